//! Consumption for people: a table with a chart beside it, and the total.

use std::fmt::Write as _;

use pulsegate_model::assignment::Assignment;
use pulsegate_model::consumption::{Consumption, Interval, Quality, Total};

use super::Answer;
use super::chart::Chart;
use super::data::count;
use super::question::Question;
use super::units::short_time;
use crate::print::{self, Picture, visible};

const HEAD: [&str; 5] = ["start", "value", "quality", "flags", "sum"];

/// The columns that are right-aligned.
const NUMBERS: [bool; 5] = [false, true, false, false, true];

/// The table.
pub(super) fn text(answer: &Answer, picture: Picture) -> String {
    let Consumption { intervals, total, .. } = &answer.consumption;
    let unit = answer.question.unit;
    let shown = intervals.iter().flat_map(|of| [of.value, of.sum]).chain([total.value, total.unplaced]);
    let decimals = unit.decimals_of(shown.flatten());
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| unit.text(value, decimals));
    let row = |of: &Interval| {
        let cut = if of.cut { " cut" } else { "" };
        let start = format!("{}{cut}", short_time(of.start, &answer.question.zone));
        [start, number(of.value), of.quality.to_string(), of.flags.names(), number(of.sum)]
    };
    let rows: Vec<[String; 5]> = intervals.iter().map(row).collect();
    let [start, value, quality, flags, sum] = HEAD;
    let head = [start, &format!("{value} {}", unit.name()), quality, flags, &format!("{sum} {}", unit.name())];
    let lines = print::lines(head, &rows, NUMBERS);
    let width = lines.first().map_or(0, |line| line.chars().count());
    let chart = Chart::of(intervals, width + 2, picture);

    let mut text = format!("{}\n\n", title(&answer.question));
    let bars = intervals.iter().map(|interval| chart.as_ref().map(|chart| chart.bar(interval)));
    for (line, bar) in lines.iter().zip([None].into_iter().chain(bars)) {
        let bar = bar.unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", format!("{line}  {bar}").trim_end());
    }
    let _ = write!(text, "\n{}", summary(intervals, total, |value| format!("{} {}", number(value), unit.name())));
    if let Some(chart) = chart.filter(|_| !intervals.is_empty()) {
        let _ = writeln!(text, "{}", chart.legend(intervals));
    }
    text
}

/// Two lines: the channel, its interval and its meter; the span and its time zone.
fn title(question: &Question) -> String {
    let Question { device, channel, from, to, interval, zone, assignments, .. } = question;
    let mut meters = assignments.iter().filter(|of| of.from.is_none_or(|begin| begin < *to) && of.to.is_none_or(|end| *from < end));
    let meter = match (meters.next(), meters.next()) {
        (None, _) => ", no assignment".to_owned(),
        (Some(only), None) => meter_of(only),
        (Some(_), Some(_)) => ", several meters".to_owned(),
    };
    let (from, to) = (short_time(*from, zone), short_time(*to, zone));
    format!("{device} {channel}, {interval}{meter}\n{from} to {to}, {zone}")
}

fn meter_of(assignment: &Assignment) -> String {
    let serial = assignment.serial.as_ref().map(|serial| format!(", meter {}", visible(serial.as_str())));
    let label = assignment.label.as_ref().map(|label| format!(", {}", visible(label.as_str())));
    format!("{}{}", serial.unwrap_or_default(), label.unwrap_or_default())
}

/// The total with what is in no interval, and the share of each quality.
fn summary(intervals: &[Interval], total: &Total, volume: impl Fn(Option<i64>) -> String) -> String {
    let Total { value, quality, flags, unplaced } = *total;
    let flags = if flags.is_empty() { String::new() } else { format!(", {}", flags.names()) };
    let unplaced = unplaced.map(|unplaced| format!("; {} of it in no interval", volume(Some(unplaced))));
    let total = match value {
        Some(_) => format!("total {}, {quality}{flags}{}", volume(value), unplaced.unwrap_or_default()),
        None => format!("total {quality}{flags}: the volume at an end of the span is not known"),
    };
    let share = |quality: Quality| {
        let number = count(intervals, quality);
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let percent = number as f64 * 100.0 / intervals.len().max(1) as f64;
        format!("{number} {quality} ({percent:.1} %)")
    };
    let shares: Vec<String> =
        Quality::ALL.into_iter().filter(|quality| count(intervals, *quality) > 0).map(share).collect();
    format!("{total}\n{} intervals: {}\n", intervals.len(), if shares.is_empty() { "-".to_owned() } else { shares.join(", ") })
}
