//! The pulses that meters have counted, for a comparison with what others make of their uplinks.
//!
//! The water of a slot of five minutes flows evenly: of `n` pulses the `k`th comes after `k / n` of the slot. So the count is known
//! to the millisecond. Between two sessions there are twelve slots.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_model::at::At;

use super::counter::Fate;
use super::home::SLOTS;
use super::kinds::Kind;
use super::setting::Setting;
use super::{Fleet, Transport};

/// A dated index of a channel as a meter has sent it, and what the channel has counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrueReading {
    /// The channel.
    pub channel: String,
    /// The time that dates the index.
    pub at: At,
    /// Pulses of the channel since the start, over all of its registers; negative before the start.
    pub pulses: i64,
    /// 0 for the first register; 1 for the one that has begun by a reset or a swap.
    pub register: u8,
    /// The index as sent.
    pub index: u64,
    /// True if the index is wrong.
    pub is_garbled: bool,
}

/// A count of a period of a channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrueCount {
    /// The channel.
    pub channel: String,
    /// The end of the period.
    pub at: At,
    /// The pulses in it.
    pub pulses: u64,
}

/// The change of a meter's register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The counter starts again at zero, and no pulse is lost.
    Reset,
    /// The same, and pulses are lost.
    PowerLoss,
    /// Another meter takes its place, and assignments have it.
    Swap,
    /// Another meter takes its place, and nobody knows.
    UntoldSwap,
}

/// An uplink that a meter has numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// Its time.
    pub at: At,
    /// Its number.
    pub number: u32,
    /// The hour of its session.
    pub hour: u32,
    /// True if it never arrives.
    pub is_lost: bool,
    /// True for a status message.
    pub is_status: bool,
}

impl Fleet {
    /// The dated indexes that a meter has sent in these hours, each once, without those that were lost.
    pub fn readings(&self, number: u32, hours: &[u32]) -> Vec<TrueReading> {
        let kind = self.mix.kind(number);
        if self.setting(kind, number) == Setting::PulsesSinceUplink {
            return vec![];
        }
        let restart = self.restart(kind, number).map_or(u32::MAX, |restart| restart.after);
        let (dated, _) = self.told_by_dating(kind, number, hours);
        let readings = dated.iter().flat_map(|(hour, logs)| logs.iter().map(move |log| (hour, log)));
        let of_channels = readings.flat_map(|(hour, log)| {
            kind.channels.iter().map(move |&(channel, input)| TrueReading {
                channel: channel.to_owned(),
                at: log.at,
                pulses: input.of(log.counted),
                register: u8::from(*hour > restart),
                index: if input == super::input::Input::A { log.a } else { log.b },
                is_garbled: log.is_garbled,
            })
        });
        of_channels.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The counts of periods that a meter has sent in these hours, without those that were lost.
    pub fn counts(&self, number: u32, hours: &[u32]) -> Vec<TrueCount> {
        let kind = self.mix.kind(number);
        if self.setting(kind, number) != Setting::PulsesSinceUplink {
            return vec![];
        }
        let (dated, _) = self.told_by_dating(kind, number, hours);
        let of_sessions = dated.iter().filter_map(|(hour, logs)| Some((self.pulses(number, *hour), logs.first()?.at)));
        let of_channels = of_sessions.flat_map(|(pulses, at)| {
            let one =
                move |&(channel, _): &(&str, _)| TrueCount { channel: channel.to_owned(), at, pulses: pulses.into() };
            kind.channels.iter().map(one)
        });
        of_channels.collect()
    }

    /// The change of a meter's register, with the hour after whose session it is.
    pub fn change(&self, number: u32) -> Option<(Change, u32)> {
        match self.fate(self.mix.kind(number), number) {
            Fate::GoesOn | Fate::RollsOver => None,
            Fate::StartsAgain { after } => Some((Change::Reset, after)),
            Fate::LosesPower { after } => Some((Change::PowerLoss, after)),
            Fate::Swapped { after, is_told: true } => Some((Change::Swap, after)),
            Fate::Swapped { after, is_told: false } => Some((Change::UntoldSwap, after)),
        }
    }

    /// The pulses of each channel until a meter's counter is reset or the meter is swapped, since the start.
    pub fn pulses_at_change(&self, number: u32) -> BTreeMap<String, i64> {
        let kind = self.mix.kind(number);
        let Some(restart) = self.restart(kind, number) else { return BTreeMap::new() };
        let pulses = self.counted(number, restart.after).cast_signed() + restart.later;
        kind.channels.iter().map(|&(channel, input)| (channel.to_owned(), input.of(pulses))).collect()
    }

    /// True if a meter's counter reaches its width, at some time or other.
    pub fn rolls_over(&self, number: u32) -> bool {
        self.fate(self.mix.kind(number), number) == Fate::RollsOver
    }

    /// The hour in whose session a meter sends a wrong index, if it does in one.
    pub fn garbled(&self, number: u32) -> Option<u32> {
        self.garbled_hour(self.mix.kind(number), number)
    }

    /// The uplinks that a meter has numbered in the hours in which it is due, in order. None of a meter without numbers.
    pub fn numbered(&self, number: u32) -> Vec<Numbered> {
        let kind = self.mix.kind(number);
        if kind.transport == Transport::Efento {
            return vec![];
        }
        let hours = (0..self.hours()).filter(|&hour| self.is_due(number, hour));
        hours.flat_map(|hour| self.numbered_in(kind, number, hour)).collect()
    }

    fn numbered_in(&self, kind: &'static Kind, number: u32, hour: u32) -> impl Iterator<Item = Numbered> {
        let all = self.uplinks(kind, number, hour);
        (0..all).filter_map(move |position| {
            Some(Numbered {
                at: self.at(kind.network(), number, hour.into(), position),
                number: self.sequence(kind, number, hour, position)?,
                hour,
                is_lost: self.is_lost(kind, number, hour, position),
                is_status: self.has_status(kind, number, hour) && position + 1 == all,
            })
        })
    }

    /// The pulses of a meter's channel A until a time, in milliseconds since the start, over all of its registers; negative
    /// before the first session's hour.
    pub fn counted_at(&self, number: u32, ms: i64) -> i64 {
        let due = |hour: i64| self.order.time(number, hour);
        let mut hour = ms.div_euclid(super::order::HOUR.cast_signed()) - 1;
        while due(hour) < ms {
            hour += 1;
        }
        let until = match u32::try_from(hour) {
            Ok(hour) => self.counted(number, hour).cast_signed(),
            Err(_) => -(hour + 1..0).map(|hour| i64::from(self.pulses_of(number, hour))).sum::<i64>(),
        };
        let (from, to) = (due(hour - 1), due(hour));
        let slots = self.slots(number, hour);
        // After how much of the hour, in parts of a slot.
        let passed = (ms - from) * SLOTS.cast_signed() as i64;
        let mut left = i64::from(slots.iter().sum::<u32>());
        for (nth, &pulses) in (0_i64..).zip(&slots) {
            let of_slot = (passed - nth * (to - from)).clamp(0, to - from);
            left -= i64::from(pulses) * of_slot / (to - from);
        }
        until - left
    }
}
