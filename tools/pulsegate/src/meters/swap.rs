//! A swap: the end of one assignment, and the beginning of the next.

use pulsegate_model::assignment::Assignment;
use pulsegate_pipeline::archive::assignments;
use pulsegate_pipeline::archive::store::ObjectStore;

use super::change::Change;
use super::rows::{Row, Rows};
use super::{cell, deadline};
use crate::options::SwapOptions;
use crate::stop::Stop;
use crate::{CommandOutput, Problem};

/// Ends the assignment of a channel and begins the next one. Both are in one file, so both are written or neither.
pub(super) async fn run<S: ObjectStore>(
    store: &S,
    options: &SwapOptions,
    stop: &Stop,
) -> Result<CommandOutput, Problem> {
    let of_device = assignments::load_device(store, options.device, deadline()).await?;
    let rows = rows(of_device.of(options.device, &options.channel), options)?;
    let SwapOptions { write, format, .. } = *options;
    let rows = Rows { right: rows.into(), ..Rows::default() };
    Change { subject: "swap", write, format, stop }.run(store, rows).await
}

/// The old assignment with its end, and the new one.
fn rows(of_channel: &[Assignment], options: &SwapOptions) -> Result<[Row; 2], Problem> {
    let SwapOptions { device, channel, .. } = options;
    // A date is one of the zone of the meter that is there now.
    let zone = of_channel.last().map(|last| last.time_zone.clone()).unwrap_or_default();
    let at = cell::time(&options.at, &zone).map_err(Problem::SwapTime)?;
    // A swap that was recorded before is corrected.
    let after = of_channel.iter().find(|assignment| assignment.from == Some(at));
    let is_before = |before: &&Assignment| {
        let ends_there = before.to.is_none() || (before.to == Some(at) && after.is_some());
        before.from.is_none_or(|from| from < at) && ends_there
    };
    let Some(before) = of_channel.iter().find(is_before) else {
        return Err(Problem::NoMeter { device: *device, channel: channel.clone(), at });
    };
    let ended = Assignment { to: Some(at), last_index: Some(options.last_index), ..before.clone() };
    let kept = after.unwrap_or(before).clone();
    let begun = Assignment {
        from: Some(at),
        to: after.and_then(|after| after.to),
        litres_per_pulse: options.litres_per_pulse.unwrap_or(kept.litres_per_pulse),
        serial: options.serial.clone().or_else(|| after.and_then(|after| after.serial.clone())),
        first_index: Some(options.first_index),
        last_index: after.and_then(|after| after.last_index),
        time_zone: options.time_zone.clone().unwrap_or(kept.time_zone),
        q3: options.q3.or(kept.q3),
        max_per_hour: options.max_per_hour.or(kept.max_per_hour),
        can_reverse: options.can_reverse.unwrap_or(kept.can_reverse),
        label: options.label.clone().or(kept.label),
        site: options.site.clone().or(kept.site),
        device: kept.device,
        channel: kept.channel,
    };
    Ok([ended, begun].map(|assignment| Row { line: None, assignment }))
}
