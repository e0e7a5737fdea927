//! `pulsegate consumption`: shows the volumes of intervals, computed from the uplinks in the archive.
//!
//! # Layout
//!
//! - `question`: what is asked, once the channel and its assignments are known: span, interval, unit.
//! - [`units`]: values with their decimals. `table`, `chart`, `data`: the output as text, and as CSV and JSON.

use pulsegate_model::assignment::{Assignment, Zone};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::calendar::Every;
use pulsegate_model::consumption::{self, Meter, Request, Rules};
use pulsegate_model::day::Readings;
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::reader::Archive;
use pulsegate_pipeline::archive::store::ObjectStore;

use crate::history::{self, History};
use crate::options::{ConsumptionOptions, DataFormat, LocalTime, UnitName};
use crate::print::Picture;
use crate::{CommandOutput, Problem};

mod chart;
mod data;
mod question;
mod table;
#[cfg(test)]
mod tests;
pub mod units;

use question::Question;

/// The request of the command line.
#[derive(Debug, Clone)]
pub struct Order {
    /// The device.
    pub device: DeviceId,
    /// Its channel; `None`: the only one.
    pub channel: Option<Channel>,
    /// The beginning.
    pub from: Option<LocalTime>,
    /// The end.
    pub to: Option<LocalTime>,
    /// The length of intervals.
    pub interval: Option<Every>,
    /// The unit.
    pub unit: Option<UnitName>,
    /// The time zone.
    pub zone: Option<Zone>,
    /// The format.
    pub format: DataFormat,
    /// The chart beside a table.
    pub picture: Picture,
    /// The time of the command.
    pub now: At,
}

/// The answer, for each format.
struct Answer {
    question: Question,
    consumption: consumption::Consumption,
}

impl Order {
    /// Converts the options of a command line.
    pub fn of(options: &ConsumptionOptions, now: At, picture: Picture) -> Self {
        let ConsumptionOptions { device, channel, from, to, interval, unit, tz, format, .. } = options.clone();
        Self { device, channel, from, to, interval, unit, zone: tz, format, picture, now }
    }
}

/// Shows the consumption. Notes are on standard error.
///
/// # Errors
/// [`Problem`] if the question is wrong, or the archive cannot be read.
pub async fn run<S: ObjectStore + Sync>(archive: &Archive<S>, order: &Order) -> Result<CommandOutput, Problem> {
    let (text, notes) = shown(archive, order).await?;
    for note in notes {
        eprintln!("pulsegate: {note}");
    }
    Ok(text.into())
}

/// The output, and notes for people.
async fn shown<S: ObjectStore + Sync>(archive: &Archive<S>, order: &Order) -> Result<(String, Vec<String>), Problem> {
    let device = order.device;
    let assignments = history::assignments(&archive.store, device).await?;
    let of_device = assignments.of_device(device);
    // The span is that of the channel's time zone, which is known once the channels are. Time zones differ by a day at most,
    // and more than that is read before and after the span.
    let any: &[Assignment] = of_device.values().next().copied().unwrap_or_default();
    let (from, to) = order.span(any)?;
    let window = history::window(from, to, order.now);
    let History { channels, reports, notes } = &History::of_items(archive, device, window).await?;
    if reports.is_empty() && of_device.is_empty() {
        let (from, to) = window;
        return Err(Problem::UnknownDevice { device, from, to });
    }
    let channel = order.channel_of(channels.keys().chain(of_device.keys().copied()))?;
    let assignments = assignments.of(device, &channel);
    let question = order.question(channel, assignments)?;
    let none = Readings::default();
    let readings = channels.get(&question.channel).unwrap_or(&none);
    let meter = Meter {
        points: &readings.points,
        counted: &readings.counted,
        period: history::period(reports),
        counted_at: history::counted_at(reports),
        assignments: &question.assignments,
        rules: Rules::default(),
    };
    let Question { from, to, interval, ref zone, .. } = question;
    let consumption = consumption::consumption(&meter, &Request { from, to, interval, zone });
    let mut notes = notes.clone();
    if readings == &none {
        notes.push(format!("no readings of {device} {} near this time", question.channel));
    }
    let answer = Answer { question, consumption };
    let text = match order.format {
        DataFormat::Table => table::text(&answer, order.picture),
        DataFormat::Csv => data::csv(&answer)?,
        DataFormat::Json => data::json(&answer),
    };
    Ok((text, notes))
}
