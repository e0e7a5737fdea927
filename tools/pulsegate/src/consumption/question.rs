//! The request: defaults depend on the channel and its assignments.

use jiff::ToSpan as _;
use pulsegate_model::assignment::{Assignment, PulseVolume, Zone};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::calendar::{self, Every};
use pulsegate_model::device::DeviceId;

use super::Order;
use crate::Problem;
use crate::history::MAX_DAYS;
use crate::options::UnitName;

/// Days of the default span.
const SPAN: i64 = 7;

/// Spans of more days are shown by days.
const MAX_HOURS: i64 = 14;

/// The most days of a span that is shown by days or more.
const MAX_LONG: i64 = 3_660;

const DAY: i64 = 86_400;

/// A complete question.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) device: DeviceId,
    pub(super) channel: Channel,
    pub(super) from: At,
    pub(super) to: At,
    pub(super) interval: Every,
    pub(super) unit: UnitName,
    pub(super) zone: Zone,
    /// The channel's assignments, in order of time; if pulses are wanted, a pulse of each is worth one.
    pub(super) assignments: Vec<Assignment>,
}

impl Order {
    /// The span, in the time zone of these assignments unless another one is given.
    pub(super) fn span(&self, assignments: &[Assignment]) -> Result<(At, At), Problem> {
        let zone = self.zone_of(assignments);
        let to = self.to.map_or(self.now, |to| to.at(&zone));
        let days_before = || {
            let date = calendar::date_of(to, &zone).checked_sub(SPAN.days()).ok()?;
            calendar::start_of(date, &zone)
        };
        let from = self.from.map_or_else(|| days_before().unwrap_or(At::EPOCH), |from| from.at(&zone));
        if from >= to {
            let (from, to) = (super::units::time(from, &zone), super::units::time(to, &zone));
            return Err(Problem::EmptySpan { from, to });
        }
        let days = (to.unix() - from.unix() + DAY - 1) / DAY;
        let (most, hint) = if self.interval_of(from, to).about() < DAY {
            (MAX_DAYS, "for intervals of less than a day: use --interval day, or a shorter span")
        } else {
            (MAX_LONG, "at once: use a shorter span")
        };
        if days > most { Err(Problem::LongSpan { days, most, hint }) } else { Ok((from, to)) }
    }

    /// The channel: the given one, or the only one.
    pub(super) fn channel_of<'a>(&self, known: impl Iterator<Item = &'a Channel>) -> Result<Channel, Problem> {
        let device = self.device;
        let mut known: Vec<&Channel> = known.collect();
        known.sort_unstable();
        known.dedup();
        let names = || known.iter().map(|channel| channel.as_str()).collect::<Vec<_>>().join(", ");
        match (&self.channel, known.as_slice()) {
            (_, []) => Err(Problem::NoChannel(device)),
            (Some(given), known) if known.contains(&given) => Ok(given.clone()),
            (Some(given), _) => Err(Problem::UnknownChannel { device, channel: given.clone(), known: names() }),
            (None, [only]) => Ok((*only).clone()),
            (None, _) => Err(Problem::WhichChannel { device, known: names() }),
        }
    }

    /// The question about a channel with these assignments.
    pub(super) fn question(&self, channel: Channel, assignments: &[Assignment]) -> Result<Question, Problem> {
        let (from, to) = self.span(assignments)?;
        let unit = match self.unit {
            None if assignments.is_empty() => UnitName::Pulses,
            None => UnitName::M3,
            Some(UnitName::M3 | UnitName::L) if assignments.is_empty() => {
                return Err(Problem::NoVolume(self.device, channel));
            }
            Some(unit) => unit,
        };
        let assignments = match unit {
            UnitName::Pulses => assignments.iter().map(in_pulses).collect(),
            UnitName::M3 | UnitName::L => assignments.to_vec(),
        };
        let (zone, interval) = (self.zone_of(&assignments), self.interval_of(from, to));
        Ok(Question { device: self.device, channel, from, to, interval, unit, zone, assignments })
    }

    /// The time zone: the given one, that of the last assignment, or UTC.
    fn zone_of(&self, assignments: &[Assignment]) -> Zone {
        let of_last = || assignments.last().map(|last| last.time_zone.clone());
        self.zone.clone().or_else(of_last).unwrap_or_default()
    }

    fn interval_of(&self, from: At, to: At) -> Every {
        let default = if to.unix() - from.unix() > MAX_HOURS * DAY { Every::Day } else { Every::Hour };
        self.interval.unwrap_or(default)
    }
}

/// The same meter, whose volume is counted in pulses. Its limits stay the same.
fn in_pulses(assignment: &Assignment) -> Assignment {
    let litres_per_pulse = PulseVolume::from_thousandths(1_000).unwrap_or(assignment.litres_per_pulse);
    Assignment { litres_per_pulse, max_per_hour: assignment.most_per_hour(), ..assignment.clone() }
}
