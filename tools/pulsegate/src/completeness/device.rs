//! The days of a device, from its uplinks.

use std::fmt::Write as _;

use jiff::ToSpan as _;
use jiff::civil::Date;
use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use pulsegate_model::consumption::calendar;
use pulsegate_model::day::{self, Dates, DayRow};
use pulsegate_model::device::DeviceId;
use pulsegate_pipeline::archive::reader::Archive;
use pulsegate_pipeline::archive::store::ObjectStore;
use serde_json::{Value, json};

use super::summary::{Summary, unit_of};
use crate::Problem;
use crate::consumption::units;
use crate::history::{self, History, MAX_DAYS};
use crate::options::DataFormat;
use crate::print::{self, Picture};

/// Days of the default span, and of a line of the picture: four weeks.
const SPAN: i64 = 28;

const HEAD: [&str; 14] = [
    "day",
    "channel",
    "read",
    "complete",
    "lost",
    "covered",
    "unit",
    "timed",
    "spread",
    "unplaced",
    "after break",
    "breaks",
    "battery",
    "last contact",
];

const NUMBERS: [bool; 14] = [false, false, true, false, true, true, false, true, true, true, true, true, true, false];

const CSV: [&str; 22] = [
    "day",
    "channel",
    "tz",
    "start",
    "end",
    "slots_read",
    "slots_expected",
    "complete",
    "uplinks",
    "undecodable",
    "uplinks_lost",
    "lost_but_covered",
    "restarts",
    "unit",
    "timed",
    "spread",
    "unplaced",
    "after_break",
    "breaks",
    "flags",
    "battery_mv",
    "last_contact",
];

/// The request.
pub(super) struct Question {
    pub(super) device: DeviceId,
    pub(super) from: Option<Date>,
    pub(super) to: Option<Date>,
    pub(super) now: At,
}

/// The output, and notes for people.
pub(super) async fn shown<S: ObjectStore>(
    archive: &Archive<S>,
    question: &Question,
    format: DataFormat,
    picture: Picture,
) -> Result<(String, Vec<String>), Problem> {
    let device = question.device;
    let (rows, notes) = rows(archive, question).await?;
    let text = match format {
        DataFormat::Table => table(device, &rows, picture),
        DataFormat::Csv => print::csv(&CSV, &rows.iter().map(record).collect::<Vec<_>>())?,
        DataFormat::Json => json_text(device, &rows),
    };
    Ok((text, notes))
}

/// The rows of the days that are over, and notes for people.
pub(super) async fn rows<S: ObjectStore>(
    archive: &Archive<S>,
    question: &Question,
) -> Result<(Vec<DayRow>, Vec<String>), Problem> {
    let Question { device, now, .. } = *question;
    let (from, to) = question.span()?;
    let start = |date: Date| calendar::start_of(date, &Zone::UTC).unwrap_or(At::EPOCH);
    let window = history::window(start(from), start(to), now);
    let assignments = history::assignments(&archive.store, device).await?;
    let history = History::of_uplinks(archive, device, window).await?;
    if history.reports.is_empty() && assignments.of_device(device).is_empty() {
        return Err(Problem::UnknownDevice { device, from: window.0, to: window.1 });
    }
    let mut notes = history.notes.clone();
    let history = history.into_days(&assignments, device);
    // A day that is not over is not complete.
    let until = |zone: &Zone| to.min(calendar::date_of(now, zone));
    let rows = day::days(device, &history, from, &until, &mut Dates::default());
    if rows.is_empty() {
        notes.push(format!("no days of {device} from {from} to {to} that are over and have a meter"));
    }
    Ok((rows, notes))
}

impl Question {
    fn span(&self) -> Result<(Date, Date), Problem> {
        let tomorrow = |date: Date| date.checked_add(1.day()).unwrap_or(Date::MAX);
        // Without an end, today in every time zone is the end: see `until`.
        let to = self.to.unwrap_or_else(|| tomorrow(calendar::date_of(self.now, &Zone::UTC)));
        let last = self.to.unwrap_or_else(|| calendar::date_of(self.now, &Zone::UTC));
        let from = self.from.unwrap_or_else(|| last.checked_sub(SPAN.days()).unwrap_or(Date::MIN));
        if from >= to {
            return Err(Problem::EmptySpan { from: from.to_string(), to: to.to_string() });
        }
        let days = i64::from(from.until(to).map_or(i32::MAX, |span| span.get_days()));
        if days > MAX_DAYS {
            return Err(Problem::LongSpan { days, most: MAX_DAYS, hint: "at once: use a shorter span" });
        }
        Ok((from, to))
    }
}

fn table(device: DeviceId, rows: &[DayRow], picture: Picture) -> String {
    let mut text = format!("{device}\n\n");
    if picture != Picture::None && !rows.is_empty() {
        text.push_str(&dots(rows));
        text.push('\n');
    }
    // Writing to a string cannot fail.
    for line in print::lines(HEAD, &rows.iter().map(row).collect::<Vec<_>>(), NUMBERS) {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push('\n');
    for line in summary(rows).lines() {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn summary(rows: &[DayRow]) -> Summary {
    let mut summary = Summary::default();
    for row in rows {
        summary.add(row);
    }
    summary
}

/// A dot for each day, in lines of four weeks for each channel.
fn dots(rows: &[DayRow]) -> String {
    let width = rows.iter().map(|row| row.channel.as_str().chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for of_channel in rows.chunk_by(|one, other| one.channel == other.channel) {
        for line in of_channel.chunks(usize::try_from(SPAN).unwrap_or(usize::MAX)) {
            let [first, .., last] = line else {
                let [only] = line else { continue };
                let _ = writeln!(text, "{:width$}  {}  {}", print::visible(only.channel.as_str()), only.day, dot(only));
                continue;
            };
            let weeks: Vec<String> = line.chunks(7).map(|week| week.iter().map(dot).collect()).collect();
            let channel = print::visible(first.channel.as_str());
            let _ = writeln!(text, "{channel:width$}  {}  {}  {}", first.day, weeks.join(" "), last.day);
        }
    }
    text.push_str("● complete  ◐ read in part, or the log period is not known  ○ not read\n");
    text
}

fn dot(row: &DayRow) -> char {
    match (row.ledger.is_read(), row.ledger.is_complete()) {
        (_, Some(true)) => '●',
        (true, _) => '◐',
        (false, _) => '○',
    }
}

fn row(row: &DayRow) -> [String; 14] {
    let ledger = &row.ledger;
    let unit = unit_of(row.unit);
    let volume = |value: i64| unit.exact(value);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        row.day.to_string(),
        row.channel.to_string(),
        match ledger.slots_expected {
            Some(expected) => format!("{} of {expected}", ledger.slots_read),
            None => ledger.slots_read.to_string(),
        },
        or_dash(ledger.is_complete().map(|is| if is { "yes" } else { "no" }.to_owned())),
        ledger.uplinks_lost.to_string(),
        ledger.lost_but_covered.to_string(),
        unit.name().to_owned(),
        volume(ledger.timed),
        volume(ledger.spread),
        volume(ledger.unplaced),
        volume(ledger.after_break),
        ledger.breaks.to_string(),
        or_dash(row.battery_mv.map(|millivolts| format!("{millivolts} mV"))),
        or_dash(row.last_contact.map(|at| units::short_time(at, &row.zone))),
    ]
}

fn record(row: &DayRow) -> [String; 22] {
    let ledger = &row.ledger;
    let unit = unit_of(row.unit);
    let or_empty = |text: Option<String>| text.unwrap_or_default();
    [
        row.day.to_string(),
        row.channel.to_string(),
        row.zone.to_string(),
        units::time(row.start, &row.zone),
        units::time(row.end, &row.zone),
        ledger.slots_read.to_string(),
        or_empty(ledger.slots_expected.map(|expected| expected.to_string())),
        or_empty(ledger.is_complete().map(|is| is.to_string())),
        ledger.uplinks.to_string(),
        ledger.undecodable.to_string(),
        ledger.uplinks_lost.to_string(),
        ledger.lost_but_covered.to_string(),
        ledger.restarts.to_string(),
        unit.name().to_owned(),
        unit.exact(ledger.timed),
        unit.exact(ledger.spread),
        unit.exact(ledger.unplaced),
        unit.exact(ledger.after_break),
        ledger.breaks.to_string(),
        row.flags.names(),
        or_empty(row.battery_mv.map(|millivolts| millivolts.to_string())),
        or_empty(row.last_contact.map(|at| units::time(at, &row.zone))),
    ]
}

fn json_text(device: DeviceId, rows: &[DayRow]) -> String {
    print::json_text(&json!({
        "device": device,
        "days": rows.iter().map(object).collect::<Value>(),
        "summary": summary(rows).json(),
    }))
}

fn object(row: &DayRow) -> Value {
    let ledger = &row.ledger;
    let unit = unit_of(row.unit);
    json!({
        "day": row.day.to_string(), "channel": row.channel, "tz": row.zone.name(),
        "start": units::time(row.start, &row.zone), "end": units::time(row.end, &row.zone),
        "slots_read": ledger.slots_read, "slots_expected": ledger.slots_expected, "complete": ledger.is_complete(),
        "uplinks": ledger.uplinks, "undecodable": ledger.undecodable, "uplinks_lost": ledger.uplinks_lost,
        "lost_but_covered": ledger.lost_but_covered, "restarts": ledger.restarts, "unit": unit.name(),
        "timed": unit.json(ledger.timed), "spread": unit.json(ledger.spread), "unplaced": unit.json(ledger.unplaced),
        "after_break": unit.json(ledger.after_break), "breaks": ledger.breaks,
        "flags": row.flags.iter().map(pulsegate_model::consumption::Mark::name).collect::<Value>(),
        "battery_mv": row.battery_mv, "last_contact": row.last_contact.map(|at| units::time(at, &row.zone)),
    })
}
