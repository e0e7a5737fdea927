//! Computes the rows of days, and what they leave for the days after.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::dates::{Dates, Day, zone_of};
use super::{Carry, DayRow, History, Readings, Report, ReportKind};
use crate::assignment::{Assignment, Zone};
use crate::at::At;
use crate::codec::Channel;
use crate::consumption::calendar::Every;
use crate::consumption::{
    Count, Marks, Meter, PeriodEnd, Quality, Reading, Rules, StepKind, Volume, decisive, tolerance,
};
use crate::device::DeviceId;
use crate::ledger::{Gap, Ledger, Numbering, numbering, volume_of_day};

/// The numbers that decide about later ones: as many as may be dated out of order.
const DECISIVE_NUMBERS: usize = 20;

/// Counts of periods that decide about later ones, each the only one of its time. Two on each side decide about a period.
const DECISIVE_COUNTS: usize = 4;

/// Readings that cover a lost uplink are looked for this long before the day, in seconds.
const COVER: i64 = 3 * 86_400;

/// The rows of a device from a date on, in order of channel and day. A channel has rows from the day of its first reading,
/// of the first index that an assignment states or of the beginning of its first assignment on. `until` returns the first local date of a time zone that has no row, because it is not over
/// or not wanted.
pub fn days(
    device: DeviceId,
    history: &History<'_>,
    from: Date,
    until: &dyn Fn(&Zone) -> Date,
    dates: &mut Dates,
) -> Vec<DayRow> {
    let device_history = DeviceHistory::new(device, history);
    let mut rows = Vec::new();
    let no_readings = Readings::default();
    let channels: BTreeSet<&Channel> = history.channels.keys().chain(history.assignments.keys().copied()).collect();
    for channel in channels {
        let readings = history.channels.get(channel).unwrap_or(&no_readings);
        let assignments = history.assignments.get(channel).copied().unwrap_or_default();
        let of_channel = ChannelHistory::new(channel, readings, assignments, &device_history);
        let is_carried = history.carry.channels.contains_key(channel);
        let first = if is_carried { Some(from) } else { of_channel.first_date(readings, assignments, dates) };
        let Some(first) = first else { continue };
        let mut date = first.max(from);
        while date < until(zone_of(date, assignments)) {
            let Some(day) = dates.day(date, assignments) else { break };
            rows.push(of_channel.row(&day));
            let Ok(tomorrow) = date.checked_add(1.day()) else { break };
            date = tomorrow;
        }
    }
    rows
}

/// The facts that the days before a date leave for it and the days after.
pub fn carry(device: DeviceId, history: &History<'_>, at: Date, dates: &mut Dates) -> Carry {
    let device_history = DeviceHistory::new(device, history);
    let mut carry = Carry::default();
    let mut last_end = dates.start(at, &[]).unwrap_or(At::MAX);
    for (channel, readings) in &history.channels {
        let assignments = history.assignments.get(channel).copied().unwrap_or_default();
        let Some(end) = dates.start(at, assignments) else { continue };
        last_end = end;
        let before = Readings { points: points_before(readings, end), counted: counts_before(readings, end) };
        if before != Readings::default() {
            carry.channels.insert(channel.clone(), before);
        }
    }
    let before = device_history.reports_before(last_end);
    let numbers: Vec<(At, u32)> = device_history.numbers.iter().copied().filter(|(at, _)| *at < last_end).collect();
    carry.numbers = numbers[numbers.len().saturating_sub(DECISIVE_NUMBERS)..].to_vec();
    carry.period = last(before, |report| report.period).or(history.carry.period);
    carry.counted_at = before.last().map(|report| report.counted_at).or(history.carry.counted_at);
    carry.battery_mv = last(before, |report| report.battery_mv).or(history.carry.battery_mv);
    carry.last_contact = last(before, Report::contact).or(history.carry.last_contact);
    carry
}

/// Of the cumulative counts before a time, those that decide about later ones.
fn points_before(readings: &Readings, end: At) -> Vec<Reading> {
    let mut points: Vec<Reading> = readings.points.iter().copied().filter(|point| point.at < end).collect();
    points.sort_unstable();
    points.dedup();
    decisive(&points).to_vec()
}

/// The same of counts of periods.
fn counts_before(readings: &Readings, end: At) -> Vec<Count> {
    let mut counts: Vec<Count> = readings.counted.iter().copied().filter(|count| count.at < end).collect();
    counts.sort_unstable();
    counts.dedup();
    let (mut alone, mut start) = (0, counts.len());
    for together in counts.chunk_by(|one, other| one.at == other.at).rev() {
        if alone == DECISIVE_COUNTS {
            break;
        }
        alone += usize::from(together.len() == 1);
        start -= together.len();
    }
    counts.split_off(start)
}

/// The parts of a history that all channels have in common.
struct DeviceHistory<'a> {
    device: DeviceId,
    carry: &'a Carry,
    /// Sorted.
    reports: Vec<&'a Report>,
    /// Sorted.
    numbers: Vec<(At, u32)>,
    numbering: Numbering,
}

impl<'a> DeviceHistory<'a> {
    fn new(device: DeviceId, history: &'a History<'_>) -> Self {
        let mut reports: Vec<&Report> = history.reports.iter().collect();
        reports.sort_unstable();
        reports.dedup();
        let numbered = reports.iter().filter_map(|report| Some((report.at, report.number?)));
        let mut numbers: Vec<(At, u32)> = history.carry.numbers.iter().copied().chain(numbered).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let numbering = numbering(device.network(), &numbers);
        Self { device, carry: &history.carry, reports, numbers, numbering }
    }

    fn reports_before(&self, end: At) -> &[&'a Report] {
        &self.reports[..self.reports.partition_point(|report| report.at < end)]
    }

    /// The log period at a time: the last that an uplink before it has told, or else the first after it.
    fn period(&self, end: At) -> Option<u32> {
        let told = last(self.reports_before(end), |report| report.period).or(self.carry.period);
        told.or_else(|| self.reports.iter().find_map(|report| report.period))
    }

    fn counted_at(&self) -> PeriodEnd {
        let told = self.carry.counted_at.or_else(|| self.reports.first().map(|report| report.counted_at));
        told.unwrap_or_default()
    }
}

impl Report {
    /// The time, if it proves that the device can be reached.
    fn contact(&self) -> Option<At> {
        (self.kind != ReportKind::Event).then_some(self.at)
    }
}

fn last<T>(reports: &[&Report], of: impl Fn(&Report) -> Option<T>) -> Option<T> {
    reports.iter().rev().find_map(|report| of(report))
}

/// Known facts about a channel.
struct ChannelHistory<'a> {
    device: &'a DeviceHistory<'a>,
    channel: &'a Channel,
    volume: Volume,
    /// Times of readings, sorted, each once: of a count, the beginning of its period.
    read: Vec<i64>,
}

impl<'a> ChannelHistory<'a> {
    fn new(
        channel: &'a Channel,
        readings: &Readings,
        assignments: &[Assignment],
        device: &'a DeviceHistory<'a>,
    ) -> Self {
        let (period, counted_at) = (device.period(At::EPOCH), device.counted_at());
        let Readings { points, counted } = readings;
        let meter = Meter { points, counted, period, counted_at, assignments, rules: Rules::default() };
        let before = if counted_at == PeriodEnd::End { i64::from(period.unwrap_or(0)) } else { 0 };
        let mut read: Vec<i64> = points.iter().map(|point| point.at.unix()).collect();
        read.extend(counted.iter().map(|count| count.at.unix() - before));
        if !read.is_sorted() {
            read.sort_unstable();
        }
        read.dedup();
        Self { device, channel, volume: Volume::of(&meter), read }
    }

    /// The date of the first row: that of the first reading, of the beginning of its period, of the first index that an
    /// assignment states, or of the beginning of the first assignment. One that has always held begins nothing.
    fn first_date(&self, readings: &Readings, assignments: &[Assignment], dates: &mut Dates) -> Option<Date> {
        let read = readings.points.iter().map(|point| point.at).chain(readings.counted.iter().map(|count| count.at));
        let assigned = assignments.iter().min_by_key(|assignment| assignment.from).and_then(|first| first.from);
        let first = read.chain(self.volume.begin()).chain(assigned).min()?;
        dates.containing(first, assignments)
    }

    fn row(&self, day: &Day) -> DayRow {
        let Day { date, zone, start, end, hours, .. } = day;
        let device = self.device;
        let period = device.period(*end);
        let reports = &device.reports_before(*end)[device.reports_before(*start).len()..];
        let total = self.volume.intervals(&[*start, *end], Every::Day).first().copied();
        let hours = self.volume.intervals(hours, Every::Hour);
        let of_channel = |mark: &&crate::codec::Mark| mark.channel.as_ref().is_none_or(|of| of == self.channel);
        let before = device.reports_before(*end);
        DayRow {
            device: device.device,
            channel: self.channel.clone(),
            day: *date,
            zone: zone.clone(),
            start: *start,
            end: *end,
            unit: self.volume.unit(),
            total: total.and_then(|total| total.value),
            quality: total.map_or(Quality::Missing, |total| total.quality),
            flags: total.map_or(Marks::NONE, |total| total.flags),
            hour_qualities: hours.iter().map(|hour| hour.quality).collect(),
            hours: hours.into_iter().map(|hour| hour.value).collect(),
            ledger: self.ledger(day, period, reports),
            night_minimum: self.night_minimum(day, period),
            longest_still: self.longest_still(day),
            device_flags: reports.iter().flat_map(|report| report.flags.iter().filter(of_channel)).cloned().collect(),
            battery_mv: last(before, |report| report.battery_mv).or(device.carry.battery_mv),
            last_contact: last(before, Report::contact).or(device.carry.last_contact),
        }
    }

    fn ledger(&self, day: &Day, period: Option<u32>, reports: &[&Report]) -> Ledger {
        let is_of_day = |at: At| (day.start..day.end).contains(&at);
        let Numbering { gaps, restarts } = &self.device.numbering;
        let gaps = gaps.iter().filter(|gap| is_of_day(gap.at));
        let (mut uplinks_lost, mut lost_but_covered) = (0_u32, 0_u32);
        for gap in gaps {
            uplinks_lost = uplinks_lost.saturating_add(gap.lost);
            lost_but_covered = lost_but_covered.saturating_add(self.covered(gap, period, day.start));
        }
        let of_kind = |kind: ReportKind| count(reports.iter().filter(|report| report.kind == kind).count());
        let volume = volume_of_day(&self.volume, day.start, day.end, period);
        Ledger {
            slots_read: self.slots_read(day, period),
            slots_expected: period.map(|period| slots_of(day, period)),
            uplinks: of_kind(ReportKind::Uplink) + of_kind(ReportKind::Undecodable),
            undecodable: of_kind(ReportKind::Undecodable),
            uplinks_lost,
            lost_but_covered,
            restarts: count(restarts.iter().filter(|at| is_of_day(**at)).count()),
            timed: volume.timed,
            spread: volume.spread,
            unplaced: volume.unplaced,
            after_break: volume.after_break,
            breaks: volume.breaks,
        }
    }

    /// Readings of the day, at most one for each slot. A reading some seconds before midnight is the one of midnight.
    fn slots_read(&self, day: &Day, period: Option<u32>) -> u32 {
        let apart = i64::from(period.unwrap_or(2)) / 2;
        let early = tolerance(Every::Day).min(apart / 6);
        let (mut slots, mut last) = (0, None);
        for &at in between(&self.read, day.start.unix() - early, day.end.unix() - early) {
            if last.is_none_or(|last| at - last >= apart) {
                slots += 1;
                last = Some(at);
            }
        }
        period.map_or(slots, |period| slots.min(slots_of(day, period)))
    }

    /// Lost uplinks of a gap whose slots have readings all the same. It is taken that they were sent at even times.
    fn covered(&self, gap: &Gap, period: Option<u32>, day: At) -> u32 {
        let Some(period) = period.map(i64::from).filter(|period| *period > 0) else { return 0 };
        let length = gap.at.unix() - gap.after.unix();
        let sent = |nth: i64| gap.after.unix() + length * nth / (i64::from(gap.lost) + 1);
        let slots = (length / (i64::from(gap.lost) + 1) / period).max(1);
        // By a clock that drifts, a reading is some seconds off the time at which its uplink was sent.
        let late = tolerance(Every::Hour).min(period / 12);
        let is_covered = |nth: &i64| {
            let (from, to) = (sent(nth - 1), sent(*nth));
            let read = between(&self.read, from + 1 + late, to + 1 + late).len();
            from >= day.unix() - COVER && i64::try_from(read).is_ok_and(|read| read >= slots)
        };
        // Earlier ones are not covered, and there may be many of them.
        let first = (1..=i64::from(gap.lost)).rev().take_while(|nth| sent(nth - 1) >= day.unix() - COVER);
        count(first.filter(is_covered).count())
    }

    fn night_minimum(&self, day: &Day, period: Option<u32>) -> Option<i64> {
        let tolerance = tolerance(Every::Hour);
        let (from, to) = (day.night.0.unix() - tolerance, day.night.1.unix() + tolerance);
        let longest = i64::from(period.unwrap_or(3_600)) * 3 / 2;
        let rates = self.volume.steps_between(from, to).filter_map(|step| {
            let length = step.to.unix() - step.from.unix();
            let is_within = step.from.unix() >= from && step.to.unix() <= to;
            let is_known = !step.kind.is_break() && length > 0 && length <= longest;
            (is_within && is_known).then(|| step.volume.saturating_mul(3_600) / length)
        });
        rates.min()
    }

    fn longest_still(&self, day: &Day) -> Option<u32> {
        let (start, end) = (day.start.unix(), day.end.unix());
        let (mut longest, mut since) = (None, None);
        for step in self.volume.steps_between(start, end) {
            match step.kind {
                StepKind::Still => {
                    let from = *since.get_or_insert(step.from.unix().max(start));
                    longest = longest.max(Some(step.to.unix().min(end) - from));
                }
                StepKind::Changed => {}
                kind => {
                    since = None;
                    longest = longest.or((!kind.is_break()).then_some(0));
                }
            }
        }
        longest.and_then(|longest| longest.try_into().ok())
    }
}

/// Slots of a day; one at least.
fn slots_of(day: &Day, period: u32) -> u32 {
    let seconds = (day.end.unix() - day.start.unix()).max(0).unsigned_abs();
    u32::try_from(seconds / u64::from(period.max(1))).unwrap_or(u32::MAX).max(1)
}

/// Of sorted times, those from `from` on and before `to`.
fn between(times: &[i64], from: i64, to: i64) -> &[i64] {
    let first = times.partition_point(|at| *at < from);
    let last = times.partition_point(|at| *at < to);
    &times[first..last.max(first)]
}

fn count(number: usize) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}
