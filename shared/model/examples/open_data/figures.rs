//! Figures of a meter: what was read, what was counted, and how the two agree.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Sum;

use jiff::ToSpan as _;
use pulsegate_model::assignment::{Assignment, PulseVolume};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::calendar::{Every, date_of};
use pulsegate_model::consumption::{
    Consumption, Mark, Meter, Quality, Reading, Request, Step, StepKind, Volume, consumption,
};
use pulsegate_model::day::{Carry, Dates, DayRow, History, Readings, days};

use crate::Fallible;
use crate::data::ZONE;

const HOUR: i64 = 3_600;

/// Lengths of steps, in seconds: one and a half hours, a day, three days, 60 days, any.
pub(crate) const LENGTHS: [i64; 5] = [HOUR * 3 / 2, 24 * HOUR, 72 * HOUR, 60 * 24 * HOUR, i64::MAX];

/// A meter's figures, or the sum of those of several meters. Volumes are in litres.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) meters: usize,
    /// Meters of which volume and register agree.
    pub(crate) exact: usize,
    pub(crate) readings: usize,
    /// Times with more than one reading, and those of them with different ones.
    pub(crate) repeated: usize,
    pub(crate) contradicted: usize,
    /// Last reading less the first.
    pub(crate) register: i64,
    /// V(end) - V(start).
    pub(crate) volume: i64,
    /// Of the register's difference, what steps with a break do not count. Negative where the register fell.
    pub(crate) not_counted: i64,
    /// The volume of steps of at most each of [`LENGTHS`].
    pub(crate) by_length: [i64; LENGTHS.len()],
    /// The ledger's parts of the volume.
    pub(crate) timed: i64,
    pub(crate) spread: i64,
    pub(crate) unplaced: i64,
    /// Hours between the first reading and the last by quality, in the order of [`Quality::ALL`].
    pub(crate) hours: [usize; 4],
    /// Hours of the clock from that of the first reading to that of the last, and those with a reading.
    pub(crate) clock_hours: usize,
    pub(crate) clock_hours_read: usize,
    /// Days from that of the first reading to that of the last.
    pub(crate) days: usize,
    pub(crate) days_read: usize,
    /// Days with a reading in each hourly slot, and with at least 24 readings.
    pub(crate) days_complete: usize,
    pub(crate) days_of_24: usize,
    /// Litres by which the register fell, for each fall, and if the next reading was as high as before.
    pub(crate) falls: Vec<(u64, bool)>,
    /// Meters with falls.
    pub(crate) fallen: usize,
    pub(crate) breaks: BTreeMap<StepKind, usize>,
    pub(crate) outliers: usize,
    /// Volumes of hours with a value, and of those that are measured.
    pub(crate) flows: Vec<i64>,
    pub(crate) measured_flows: Vec<i64>,
    /// Volumes of steps without a break, in an hour.
    pub(crate) rates: Vec<i64>,
}

impl Figures {
    /// The figures of one meter.
    pub(crate) fn of(readings: &[Reading]) -> Fallible<Self> {
        let mut sorted = readings.to_vec();
        sorted.sort_unstable_by_key(|reading| (reading.at, reading.index));
        let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return Err("no readings".into()) };
        let mut figures = Self { meters: 1, readings: readings.len(), ..Self::default() };
        figures.add_register(&sorted);
        let assignments = [assignment()?];
        let meter = Meter { points: readings, assignments: &assignments, ..Meter::default() };
        figures.add_steps(&sorted, &Volume::of(&meter))?;
        let [from, to] = [first.at.unix() + HOUR - 1, last.at.unix()].map(|unix| At::from_unix(unix / HOUR * HOUR));
        let zone = ZONE.parse()?;
        let request = Request { from: from?, to: to?, interval: Every::Hour, zone: &zone };
        figures.add_hours(&consumption(&meter, &request))?;
        let after_last = date_of(last.at, &zone).checked_add(1.day())?;
        let points = readings.to_vec();
        let history = History {
            channels: [(Channel::A, Readings { points, counted: Vec::new() })].into(),
            assignments: [(&Channel::A, assignments.as_slice())].into(),
            carry: Carry { period: Some(3_600), ..Carry::default() },
            ..History::default()
        };
        let of = assignments[0].device;
        let rows = days(of, &history, date_of(first.at, &zone), &|_| after_last, &mut Dates::default());
        figures.add_days(&sorted, &rows)?;
        Ok(figures)
    }

    /// The figures that need no rule.
    fn add_register(&mut self, sorted: &[Reading]) {
        let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
        self.register = litres(last.index) - litres(first.index);
        for together in sorted.chunk_by(|one, other| one.at == other.at).filter(|together| together.len() > 1) {
            self.repeated += 1;
            self.contradicted += usize::from(together[0].index != together[together.len() - 1].index);
        }
        for (nth, pair) in sorted.windows(2).enumerate().filter(|(_, pair)| pair[1].index < pair[0].index) {
            let is_recovered = sorted.get(nth + 2).is_some_and(|next| next.index >= pair[0].index);
            self.falls.push((pair[0].index - pair[1].index, is_recovered));
        }
        self.fallen = usize::from(!self.falls.is_empty());
        let hours: BTreeSet<i64> = sorted.iter().map(|reading| reading.at.unix() / HOUR).collect();
        self.clock_hours_read = hours.len();
        self.clock_hours = usize::try_from(last.at.unix() / HOUR - first.at.unix() / HOUR).unwrap_or(0) + 1;
    }

    /// Holds each step against the readings at its ends.
    fn add_steps(&mut self, sorted: &[Reading], volume: &Volume) -> Fallible<()> {
        let mut index = litres(sorted[0].index);
        for Step { from, to, volume, kind, marks } in volume.steps() {
            let (volume, length) = (volume / 1_000, to.unix() - from.unix());
            let at_end = &sorted[sorted.partition_point(|reading| reading.at < to)..];
            let mut at_end = at_end.iter().take_while(|reading| reading.at == to).map(|reading| litres(reading.index));
            if kind.is_break() {
                let then = at_end.next().ok_or("a step ends without a reading")?;
                self.not_counted += then - index - volume;
                index = then;
                *self.breaks.entry(kind).or_default() += 1;
            } else {
                index += volume;
                at_end.find(|of| *of == index).ok_or_else(|| format!("no reading of {index} at {to}"))?;
                self.rates.push(1_000 * volume * HOUR / length.max(HOUR));
            }
            self.volume += volume;
            for (sum, _) in self.by_length.iter_mut().zip(LENGTHS).filter(|(_, longest)| length <= *longest) {
                *sum += volume;
            }
            self.outliers += usize::from(marks.contains(Mark::Outlier));
        }
        if self.register != self.volume + self.not_counted {
            return Err(format!("{} L of {} L are unexplained", self.register - self.volume, self.register).into());
        }
        self.exact = usize::from(self.register == self.volume);
        Ok(())
    }

    fn add_hours(&mut self, consumption: &Consumption) -> Fallible<()> {
        for interval in &consumption.intervals {
            let is_quality = |quality: &Quality| *quality == interval.quality;
            self.hours[Quality::ALL.iter().position(is_quality).ok_or("an unknown quality")?] += 1;
            self.flows.extend(interval.value);
            self.measured_flows.extend(interval.value.filter(|_| interval.quality == Quality::Measured));
        }
        let placed: i64 = consumption.intervals.iter().filter_map(|interval| interval.value).sum();
        let total = consumption.total;
        if total.value.is_some_and(|value| value != placed + total.unplaced.unwrap_or(0)) {
            return Err("hours and what is unplaced do not add up to the total".into());
        }
        Ok(())
    }

    fn add_days(&mut self, sorted: &[Reading], rows: &[DayRow]) -> Fallible<()> {
        self.days = rows.len();
        for row in rows {
            let from = sorted.partition_point(|reading| reading.at < row.start);
            let readings = sorted.partition_point(|reading| reading.at < row.end) - from;
            self.days_read += usize::from(readings > 0);
            self.days_of_24 += usize::from(readings >= 24);
            self.days_complete += usize::from(row.ledger.is_complete() == Some(true));
        }
        let sum = |of: fn(&DayRow) -> i64| rows.iter().map(of).sum::<i64>();
        let parts = [sum(|row| row.ledger.timed), sum(|row| row.ledger.spread), sum(|row| row.ledger.unplaced)];
        if parts.iter().sum::<i64>() != 1_000 * self.volume {
            return Err(format!("timed, spread, unplaced are {parts:?}, not {} L", self.volume).into());
        }
        [self.timed, self.spread, self.unplaced] = parts.map(|part| part / 1_000);
        Ok(())
    }
}

impl Sum for Figures {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, of| {
            let add = |sum: &mut [usize], of: &[usize]| sum.iter_mut().zip(of).for_each(|(sum, of)| *sum += of);
            sum.meters += of.meters;
            sum.exact += of.exact;
            sum.readings += of.readings;
            sum.repeated += of.repeated;
            sum.contradicted += of.contradicted;
            sum.register += of.register;
            sum.volume += of.volume;
            sum.not_counted += of.not_counted;
            sum.by_length.iter_mut().zip(of.by_length).for_each(|(sum, of)| *sum += of);
            sum.timed += of.timed;
            sum.spread += of.spread;
            sum.unplaced += of.unplaced;
            add(&mut sum.hours, &of.hours);
            sum.clock_hours += of.clock_hours;
            sum.clock_hours_read += of.clock_hours_read;
            sum.days += of.days;
            sum.days_read += of.days_read;
            sum.days_complete += of.days_complete;
            sum.days_of_24 += of.days_of_24;
            sum.falls.extend(of.falls);
            sum.fallen += of.fallen;
            of.breaks.into_iter().for_each(|(kind, count)| *sum.breaks.entry(kind).or_default() += count);
            sum.outliers += of.outliers;
            sum.flows.extend(of.flows);
            sum.measured_flows.extend(of.measured_flows);
            sum.rates.extend(of.rates);
            sum
        })
    }
}

/// The counters count litres, in the time zone of the homes. The first and last index are not stated: the readings tell them.
fn assignment() -> Fallible<Assignment> {
    Ok(Assignment {
        device: "sigfox:1".parse()?,
        channel: Channel::A,
        from: None,
        to: None,
        litres_per_pulse: PulseVolume::LITRE,
        serial: None,
        first_index: None,
        last_index: None,
        time_zone: ZONE.parse()?,
        q3: None,
        max_per_hour: None,
        can_reverse: false,
        label: None,
        site: None,
    })
}

fn litres(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}
