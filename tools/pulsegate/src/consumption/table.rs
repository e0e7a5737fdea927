//! Consumption for people: a table with a chart beside it, and the total.

use std::fmt::Write as _;

use pulsegate_model::assignment::Assignment;
use pulsegate_model::consumption::{Consumption, Interval, Quality};

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
    let volume = |value: i64| format!("{} {}", unit.text(value, decimals), unit.name());
    let _ = writeln!(text, "\n{}", total_line(answer, volume));
    for quality in Quality::ALL {
        let (number, all) = (count(intervals, quality) as u64, intervals.len() as u64);
        if number > 0 {
            let key = chart.as_ref().map(|chart| chart.key(quality)).unwrap_or_default();
            let _ = writeln!(
                text,
                "{key}{quality:12}  {number:>6} of {}  {:>7}",
                intervals.len(),
                print::percent(number, all)
            );
        }
    }
    text
}

/// Two lines: the channel, its interval and its meter; the span and its time zone.
fn title(question: &Question) -> String {
    let Question { device, channel, from, to, interval, zone, assignments, .. } = question;
    let mut meters =
        assignments.iter().filter(|of| of.from.is_none_or(|begin| begin < *to) && of.to.is_none_or(|end| *from < end));
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

/// The total with what is in no interval. Where it is not known, what is known of it.
fn total_line(answer: &Answer, volume: impl Fn(i64) -> String) -> String {
    let Consumption { intervals, total, .. } = &answer.consumption;
    let flags = if total.flags.is_empty() { String::new() } else { format!(", {}", total.flags.names()) };
    let quality = total.quality;
    match (total.value, total.unplaced) {
        (Some(value), Some(unplaced)) => {
            format!("total {}, {quality}{flags}, {} unplaced", volume(value), volume(unplaced))
        }
        (Some(value), None) => format!("total {}, {quality}{flags}", volume(value)),
        (None, _) => {
            let known = intervals.iter().rev().find_map(|of| Some((of.end, of.sum?)));
            let until = |at| short_time(at, &answer.question.zone);
            let known = known.map(|(end, sum)| format!("\n{} until {}", volume(sum), until(end))).unwrap_or_default();
            format!("total {quality}{flags}: the volume at an end is not known{known}")
        }
    }
}
