//! The days of a device, computed at once from all that has arrived: without files, and without anything that is carried from
//! one month to the next.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::Date;
use pulsegate_model::assignment::{Assignment, Zone};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::calendar::date_of;
use pulsegate_model::consumption::{Count, Reading};
use pulsegate_model::day::{self, Carry, DAYS_AHEAD, DAYS_BEHIND, Dates, DayRow, History, Readings, Report};
use pulsegate_model::device::DeviceId;
use pulsegate_model::merge;
use pulsegate_model::uplink::{Kind, Uplink};
use pulsegate_pipeline::archive::decoded::Decoded;
use pulsegate_pipeline::archive::place::Day;
use pulsegate_pipeline::archive::reports;
use pulsegate_pipeline::archive::row::{self, Row};

/// All that is known about a device in the end.
#[derive(Debug)]
pub struct Known {
    device: DeviceId,
    channels: BTreeMap<Channel, Readings>,
    reports: Vec<Report>,
    assignments: Vec<Assignment>,
}

/// The days of a month.
#[derive(Debug, PartialEq, Eq)]
pub struct Month {
    /// Its rows.
    pub rows: Vec<DayRow>,
    /// The facts that it leaves to the next month.
    pub carry: Carry,
}

impl Known {
    /// Decodes all uplinks of a device, and merges them as a whole. Without those whose time is no date: these have no day.
    pub fn of<'a>(
        device: DeviceId,
        uplinks: impl Iterator<Item = &'a Uplink>,
        assignments: impl Iterator<Item = Assignment>,
    ) -> Self {
        let dated = uplinks.filter(|uplink| uplink.device == device && Day::of(uplink) != Day::Odd);
        let mut rows: Vec<Row> = dated.map(Row::from).collect();
        rows.sort_unstable();
        let uplinks: Result<Vec<Uplink>, _> = row::valid(rows).iter().map(Row::uplink).collect();
        let uplinks = uplinks.unwrap_or_else(|e| panic!("{e}"));
        let decoded = Decoded::of(uplinks.clone());
        let events = uplinks.iter().filter(|uplink| uplink.kind == Kind::Event);
        let reports = reports::of(events, &decoded).into_iter().collect();
        let Decoded { items, .. } = decoded;
        let merged = merge::merge(items.into_values()).unwrap_or_else(|e| panic!("{e}"));
        let readings = merged.into_iter().map(|(channel, of_channel)| {
            let points = of_channel.points.iter().map(Reading::from).collect();
            (channel, Readings { points, counted: of_channel.counted.iter().map(Count::from).collect() })
        });
        Self { device, channels: readings.collect(), reports, assignments: assignments.collect() }
    }

    /// The days of all months of a span that have some, as far as they are over at its end. What a device reports long before
    /// its first count is unknown: months without rows leave nothing.
    pub fn months(mut self, span: (At, At)) -> Vec<(Date, Month)> {
        let mut all = months(span).skip_while(|first| self.month(*first, span.1).rows.is_empty()).collect::<Vec<_>>();
        let begin = all.first().map_or(0, |first| seconds(*first) - DAYS_BEHIND * 86_400);
        self.reports.retain(|report| report.at.unix() >= begin);
        all.drain(..)
            .map(|first| (first, self.month(first, span.1)))
            .filter(|(_, month)| !month.rows.is_empty())
            .collect()
    }

    /// The days of the month that begins on this date, as far as they are over at this time.
    fn month(&self, first: Date, now: At) -> Month {
        let next = first + 1.month();
        let end = At::from_unix(seconds(next) + DAYS_AHEAD * 86_400).unwrap_or(At::MAX);
        let mut assignments: BTreeMap<&Channel, Vec<Assignment>> = BTreeMap::new();
        for assignment in self.assignments.iter().filter(|of| of.from.is_none_or(|from| from < end)) {
            // The end of a span is unknown before it comes.
            let is_over = assignment.to.is_some_and(|to| to < end);
            let known = if is_over { assignment.clone() } else { without_end(assignment) };
            assignments.entry(&assignment.channel).or_default().push(known);
        }
        let before = |readings: &Readings| Readings {
            points: readings.points.iter().copied().filter(|point| point.at < end).collect(),
            counted: readings.counted.iter().copied().filter(|count| count.at < end).collect(),
        };
        let channels = self.channels.iter().map(|(channel, readings)| (channel.clone(), before(readings)));
        let channels = channels.filter(|(_, readings)| *readings != Readings::default()).collect();
        let reports = self.reports.iter().filter(|report| report.at < end).cloned().collect();
        let assignments = assignments.iter().map(|(channel, all)| (*channel, all.as_slice())).collect();
        let history = History { channels, reports, assignments, carry: Carry::default() };
        let mut dates = Dates::default();
        let until = |zone: &Zone| date_of(now, zone).clamp(first, next);
        Month {
            rows: day::days(self.device, &history, first, &until, &mut dates),
            carry: day::carry(self.device, &history, next, &mut dates),
        }
    }
}

fn without_end(assignment: &Assignment) -> Assignment {
    Assignment { to: None, last_index: None, ..assignment.clone() }
}

/// The beginning of a date in UTC.
pub fn seconds(date: Date) -> i64 {
    date.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_second())
}

/// The first days of the months in a span, and of the one before: a local day may begin there.
fn months((from, to): (At, At)) -> impl Iterator<Item = Date> {
    let first = date_of(from, &Zone::UTC).first_of_month() - 1.month();
    let last = date_of(to, &Zone::UTC);
    (0..).map(move |nth| first + i64::from(nth).months()).take_while(move |month| *month <= last)
}
