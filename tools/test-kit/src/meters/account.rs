//! The points and the consumption that must result from a set of sessions.

use std::collections::BTreeMap;

use pulsegate_model::merge::{Point, Points};

use super::counter::Fate;
use super::frames::Log;
use super::input::Input;
use super::kinds::Kind;
use super::{Expected, Fleet};

impl Fleet {
    /// See [`Fleet::expected`].
    pub(super) fn expected_of(&self, kind: &Kind, number: u32, hours: &[u32]) -> Vec<Expected> {
        let logs = self.told(kind, number, hours).into_iter().flat_map(|(_, logs)| logs);
        let points = logs.flat_map(|log| {
            kind.channels.iter().map(move |&(channel, input)| {
                let index = if input == Input::A { log.a } else { log.b };
                Expected { channel: channel.to_owned(), at: Some(log.at), index }
            })
        });
        let mut points: Vec<Expected> = points.collect();
        points.sort_unstable();
        points.dedup();
        points
    }

    /// See [`Fleet::total`].
    pub(super) fn total_of(&self, kind: &Kind, number: u32, hours: &[u32]) -> BTreeMap<String, u64> {
        let told = self.told(kind, number, hours);
        let until = match self.fate(kind, number) {
            Fate::StartsAgain { after } => Some(after),
            Fate::GoesOn | Fate::RollsOver => None,
        };
        let counted = |is_before: bool| {
            let sessions = told.iter().filter(move |(hour, _)| until.is_none_or(|until| *hour <= until) == is_before);
            sessions.flat_map(|(_, logs)| logs).map(|log| log.counted)
        };
        let ends = |is_before: bool| counted(is_before).min().zip(counted(is_before).max());
        let total = |input: Input| {
            let pulses = |(from, to): (i64, i64)| input.of(to) - input.of(from);
            let total = match (ends(true), ends(false)) {
                (Some(before), Some((_, last))) => {
                    let zero = until.map_or(0, |until| self.counted(number, until).cast_signed());
                    pulses(before) + pulses((zero, last))
                }
                (before, after) => before.or(after).map_or(0, pulses),
            };
            total.cast_unsigned()
        };
        kind.channels.iter().map(|&(channel, input)| (channel.to_owned(), total(input))).collect()
    }

    /// The logs of the sessions of these hours, in order, each once, without hours in which the meter is not due.
    fn told(&self, kind: &Kind, number: u32, hours: &[u32]) -> Vec<(u32, Vec<Log>)> {
        let mut hours: Vec<u32> = hours.iter().copied().filter(|&hour| self.is_due(number, hour)).collect();
        hours.sort_unstable();
        hours.dedup();
        let (mut counted, mut next) = (0, 0);
        let tell = |hour: u32| {
            counted += (next..=hour).map(|hour| i64::from(self.pulses(number, hour))).sum::<i64>();
            next = hour + 1;
            (hour, self.logs(kind, number, hour, counted))
        };
        hours.into_iter().map(tell).collect()
    }
}

/// The pulses of a channel from its first point to its last: the differences of the indexes, modulo the counter's width. A
/// difference of half the counter's range or more is a reset, after which the index itself counts. Without a known width every
/// decrease is a reset.
pub fn consumption(points: &Points) -> u64 {
    let counted = |pair: &[Point]| {
        let [from, to] = pair else { return 0 };
        let is_half = |pulses: u64| from.counter_bits.is_some_and(|bits| pulses >> (bits - 1) > 0);
        pulsegate_model::merge::difference(from, to).filter(|&pulses| !is_half(pulses)).unwrap_or(to.index)
    };
    points.points.windows(2).map(counted).sum()
}
