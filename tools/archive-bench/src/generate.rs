//! Generates days of a partition, as `settle` leaves them, and objects that it has not read yet.

use std::path::Path;

use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::object;
use pulsegate_pipeline::archive::place::{Day, PartitionBits};
use pulsegate_pipeline::archive::row::Row;
use pulsegate_pipeline::archive::{file, place};
use serde_json::{Value, json};

use crate::meters::{Meters, Rows};
use crate::{Fallible, per};

/// Rows of the partition's file, and rows that are new: 56,000 meters have sent for a day, and for two hours more.
const OLD_ROWS: usize = 1_350_000;
const NEW_ROWS: usize = 90_000;

/// Uplinks of an invocation of the raw stage: its window is a minute, in which 60,000 arrive, in six.
const OBJECT_ROWS: usize = 10_000;

/// Writes the files of these days. With one day it is that of the measurement of `settle`: a file, and objects. With a
/// backlog all rows are in objects, as after a standstill of a day.
pub(crate) fn run(home: &Path, rows: Rows, days: u32, backlog: bool, bits: &PartitionBits) -> Fallible<Value> {
    let mut meters = Meters::new(rows, days, bits)?;
    let (mut of_day, mut hours, mut counted): (Vec<Uplink>, usize, usize) = (Vec::new(), 0, 0);
    let mut bytes = 0;
    for day in 0..days {
        of_day.clear();
        for hour in day * 24..(day + 1) * 24 {
            let (uplinks, with_pulses) = meters.hour(hour)?;
            of_day.extend(uplinks);
            counted += with_pulses;
            hours += 1;
        }
        // The clocks of some meters are up to a minute off.
        let first = Day::at(of_day[of_day.len() / 2].at);
        of_day.retain(|uplink| Day::of(uplink) == first);
        if days > 1 {
            bytes += write_file(home, &of_day, bits)?;
        }
    }
    let device = meters.one();
    std::fs::write(home.join("device"), device.to_string())?;
    let devices: Vec<String> = meters.devices().map(|device| device.to_string()).collect();
    std::fs::write(home.join("devices"), devices.join("\n"))?;
    let with_pulses = per(counted, hours * meters.len());
    if days > 1 {
        return Ok(json!({"days": days, "bytes": bytes, "device": device, "hours_with_pulses": with_pulses}));
    }
    if of_day.len() < OLD_ROWS + NEW_ROWS {
        return Err(format!("the meters sent {} uplinks only", of_day.len()).into());
    }
    let (old, new) = of_day[..OLD_ROWS + NEW_ROWS].split_at(if backlog { 0 } else { OLD_ROWS });
    let old_bytes = if old.is_empty() { 0 } else { write_file(home, old, bits)? };
    std::fs::create_dir_all(home.join(place::NEW))?;
    let mut new_bytes = 0;
    for batch in new.chunks(OBJECT_ROWS) {
        let object = object::encode(batch)?;
        new_bytes += object.content.len();
        std::fs::write(home.join(&object.key), &object.content)?;
    }
    // The same rows as a file, for programs that cannot read the objects.
    let new_file = file::union(None, new.iter().map(Row::from).collect())?;
    std::fs::write(home.join("new.parquet"), new_file)?;
    Ok(json!({
        "rows": old.len(), "new_rows": new.len(), "bytes_per_row": per(old_bytes, old.len().max(1)),
        "new_bytes_per_row": per(new_bytes, new.len()), "meters": meters.len(), "hours_with_pulses": with_pulses,
    }))
}

fn write_file(home: &Path, uplinks: &[Uplink], bits: &PartitionBits) -> Fallible<usize> {
    let path = home.join(bits.place(&uplinks[0]).to_string());
    let content = file::union(None, uplinks.iter().map(Row::from).collect())?;
    std::fs::create_dir_all(path.parent().unwrap_or(home))?;
    std::fs::write(&path, &content)?;
    Ok(content.len())
}
