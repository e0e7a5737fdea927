//! The devices of a day that need someone, with the reason.

use std::cmp::Reverse;

use pulsegate_model::at::At;
use pulsegate_model::day::DayRow;
use pulsegate_model::device::DeviceId;

use super::summary::unit_of;

/// The worst of the devices whose rows are added in order of device.
#[derive(Debug, Default)]
pub(super) struct Worst {
    most: usize,
    /// The device whose rows are being added.
    current: Vec<DayRow>,
    /// At most twice as many as wanted.
    found: Vec<Found>,
    /// The number of devices with a reason.
    number: u64,
}

/// A device with reasons.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    rank: Rank,
    pub(super) device: DeviceId,
    /// The error, in words.
    pub(super) reasons: Vec<String>,
}

/// The order of devices, the worst first: those without a reading, the longest silent first; then by what is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_read: bool,
    /// Of a device without a reading.
    last_contact: Option<At>,
    /// Breaks of the index, where pulses can hide.
    breaks: Reverse<u32>,
    /// Slots without a reading, in thousandths.
    unread: Reverse<u32>,
    lost: Reverse<u32>,
}

impl Worst {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn add(&mut self, row: DayRow) {
        if self.current.first().is_some_and(|first| first.device != row.device) {
            self.close();
        }
        self.current.push(row);
    }

    /// The worst, in order, and the number of devices with a reason.
    pub(super) fn found(mut self) -> (Vec<Found>, u64) {
        self.close();
        self.cut();
        (self.found, self.number)
    }

    fn close(&mut self) {
        let rows = std::mem::take(&mut self.current);
        let Some(found) = Found::of(&rows) else { return };
        self.number += 1;
        self.found.push(found);
        if self.found.len() >= self.most.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.found.sort_unstable();
        self.found.truncate(self.most);
    }
}

impl Found {
    /// `None` if nothing is wrong.
    fn of(rows: &[DayRow]) -> Option<Self> {
        let first = rows.first()?;
        let mut reasons = by_channel(rows, unread);
        let lost = first.ledger.uplinks_lost;
        if lost > 0 {
            reasons.push(format!("{} lost, {} covered", counted(lost, "uplink"), first.ledger.lost_but_covered));
        }
        if first.ledger.restarts > 0 {
            reasons.push(format!("{} of the numbering", counted(first.ledger.restarts, "restart")));
        }
        if first.ledger.undecodable > 0 {
            reasons.push(format!("{} not decoded", counted(first.ledger.undecodable, "uplink")));
        }
        reasons.extend(by_channel(rows, broken));
        if reasons.is_empty() {
            return None;
        }
        let is_read = rows.iter().all(|row| row.ledger.is_read());
        let unread_of = |row: &DayRow| {
            let expected = row.ledger.slots_expected.filter(|expected| *expected > 0)?;
            let missing = u64::from(expected.saturating_sub(row.ledger.slots_read));
            u32::try_from(missing * 1_000 / u64::from(expected)).ok()
        };
        let rank = Rank {
            is_read,
            last_contact: first.last_contact.filter(|_| !is_read),
            breaks: Reverse(rows.iter().map(|row| row.ledger.breaks).max().unwrap_or_default()),
            unread: Reverse(rows.iter().filter_map(unread_of).max().unwrap_or_default()),
            lost: Reverse(lost),
        };
        Some(Self { rank, device: first.device, reasons })
    }
}

/// The reasons of channels: `A, B not read`.
fn by_channel(rows: &[DayRow], reason: impl Fn(&DayRow) -> Option<String>) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for row in rows {
        let Some(of_row) = reason(row) else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == of_row) {
            Some((_, channels)) => channels.push(row.channel.as_str()),
            None => reasons.push((of_row, vec![row.channel.as_str()])),
        }
    }
    reasons.into_iter().map(|(reason, channels)| format!("{} {reason}", channels.join(", "))).collect()
}

/// Counts of a channel that are not in its readings.
fn unread(row: &DayRow) -> Option<String> {
    match (row.ledger.is_read(), row.ledger.slots_expected) {
        (false, _) => Some(match row.last_contact {
            Some(at) => format!("not read, last contact {at}"),
            None => "not read, never heard of".to_owned(),
        }),
        (true, Some(expected)) if row.ledger.slots_read < expected => {
            Some(format!("read in {} of {expected} slots", row.ledger.slots_read))
        }
        (true, _) => None,
    }
}

/// Breaks of a channel's index, and volume that is in no interval.
fn broken(row: &DayRow) -> Option<String> {
    let unit = unit_of(row.unit);
    let breaks = (row.ledger.breaks > 0).then(|| {
        let flags = if row.flags.is_empty() { String::new() } else { format!(" ({})", row.flags.names()) };
        format!("{}{flags}", counted(row.ledger.breaks, "break"))
    });
    let unplaced =
        (row.ledger.unplaced != 0).then(|| format!("{} {} unplaced", unit.exact(row.ledger.unplaced), unit.name()));
    let parts: Vec<String> = [breaks, unplaced].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `1 break`, `2 breaks`.
fn counted(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
