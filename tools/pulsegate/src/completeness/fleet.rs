//! A day of all devices, from the files of days.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::civil::Date;
use pulsegate_model::day::DayRow;
use pulsegate_pipeline::archive::days;
use pulsegate_pipeline::archive::reader::Archive;
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::ports::ReadError;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::summary::Summary;
use super::worst::{Found, Worst};
use crate::options::DataFormat;
use crate::{Problem, print};

/// The files of a month of 3.6 million meters have some gigabytes.
const TIMEOUT: Duration = Duration::from_mins(30);

const CSV: [&str; 3] = ["day", "device", "reasons"];

/// The output.
pub(super) async fn shown<S: ObjectStore>(
    archive: &Archive<S>,
    day: Date,
    most: usize,
    format: DataFormat,
) -> Result<String, Problem> {
    let mut fleet = Fleet { day, summary: Summary::default(), worst: Worst::new(most) };
    let is_there = days::rows_of(&archive.store, day, Instant::now() + TIMEOUT, |row| fleet.add(row)).await;
    let is_there = is_there.map_err(|e| ReadError { what: "a file of days".to_owned(), source: e.into() })?;
    if fleet.summary.days == 0 {
        let why =
            if is_there { "it is not over yet, or there was no meter then." } else { "there is none of its month." };
        return Err(Problem::NoDay(day, why));
    }
    fleet.text(format)
}

/// A day of all devices, whose rows are added in order of device and channel.
pub(super) struct Fleet {
    pub(super) day: Date,
    pub(super) summary: Summary,
    pub(super) worst: Worst,
}

impl Fleet {
    pub(super) fn add(&mut self, row: DayRow) {
        self.summary.add(&row);
        self.worst.add(row);
    }

    pub(super) fn text(self, format: DataFormat) -> Result<String, Problem> {
        let Self { day, summary, worst } = self;
        let (found, number) = worst.found();
        match format {
            DataFormat::Table => Ok(table(day, &summary, &found, number)),
            DataFormat::Csv => {
                let row = |found: &Found| [day.to_string(), found.device.to_string(), found.reasons.join("; ")];
                print::csv(&CSV, &found.iter().map(row).collect::<Vec<_>>())
            }
            DataFormat::Json => {
                let object = |found: &Found| json!({"device": found.device, "reasons": found.reasons});
                Ok(print::json_text(&json!({
                    "day": day.to_string(),
                    "summary": summary.json(),
                    "worst": found.iter().map(object).collect::<Value>(),
                    "devices_with_reasons": number,
                })))
            }
        }
    }
}

fn table(day: Date, summary: &Summary, found: &[Found], number: u64) -> String {
    let mut text = format!("{day}: {} devices, {} channels\n\n", summary.devices, summary.channels);
    // Writing to a string cannot fail.
    for line in summary.lines() {
        let _ = writeln!(text, "{line}");
    }
    let _ = match (found.len(), number) {
        (_, 0) => writeln!(text, "\nno device with gaps, losses or breaks"),
        (shown, number) => writeln!(text, "\ndevices with gaps, losses or breaks: {number}; the worst {shown}:\n"),
    };
    if !found.is_empty() {
        let rows: Vec<[String; 2]> =
            found.iter().map(|found| [found.device.to_string(), found.reasons.join("; ")]).collect();
        text.push_str(&print::table(&["device", "reasons"], &rows));
    }
    text
}
