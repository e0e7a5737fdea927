//! The figures of many rows of days.

use std::collections::BTreeMap;

use pulsegate_model::codec::Channel;
use pulsegate_model::consumption::Unit;
use pulsegate_model::day::DayRow;
use pulsegate_model::device::DeviceId;
use pulsegate_model::ledger::Ledger;
use serde_json::{Value, json};

use crate::options::UnitName;
use crate::print::percent;

/// Sums of rows, which are added in order of device and channel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Summary {
    last: Option<(DeviceId, Channel)>,
    /// The first channel of the last device, whose rows count the uplinks of the device.
    first: Option<Channel>,
    pub(super) devices: u64,
    pub(super) channels: u64,
    pub(super) days: u64,
    pub(super) days_read: u64,
    /// Days of a known log period.
    pub(super) days_expected: u64,
    pub(super) days_complete: u64,
    pub(super) slots_read: u64,
    pub(super) slots_expected: u64,
    pub(super) uplinks: u64,
    pub(super) undecodable: u64,
    pub(super) uplinks_lost: u64,
    pub(super) lost_but_covered: u64,
    pub(super) restarts: u64,
    pub(super) breaks: u64,
    pub(super) volumes: BTreeMap<Unit, Volumes>,
}

/// Volumes of a unit, in thousandths of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Volumes {
    timed: i64,
    spread: i64,
    unplaced: i64,
    after_break: i64,
}

impl Summary {
    pub(super) fn add(&mut self, row: &DayRow) {
        let is_new_device = self.last.as_ref().is_none_or(|(device, _)| *device != row.device);
        if is_new_device {
            self.devices += 1;
            self.first = Some(row.channel.clone());
        }
        if is_new_device || self.last.as_ref().is_none_or(|(_, channel)| *channel != row.channel) {
            self.channels += 1;
            self.last = Some((row.device, row.channel.clone()));
        }
        let ledger = &row.ledger;
        self.days += 1;
        self.days_read += u64::from(ledger.is_read());
        self.days_complete += u64::from(ledger.is_complete() == Some(true));
        if let Some(expected) = ledger.slots_expected {
            self.days_expected += 1;
            self.slots_expected += u64::from(expected);
            self.slots_read += u64::from(ledger.slots_read);
        }
        // Each channel of a device has its uplinks.
        if self.first.as_ref() == Some(&row.channel) {
            self.uplinks += u64::from(ledger.uplinks);
            self.undecodable += u64::from(ledger.undecodable);
            self.uplinks_lost += u64::from(ledger.uplinks_lost);
            self.lost_but_covered += u64::from(ledger.lost_but_covered);
            self.restarts += u64::from(ledger.restarts);
        }
        self.breaks += u64::from(ledger.breaks);
        self.volumes.entry(row.unit).or_default().add(ledger);
    }

    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let complete = match self.days_expected {
            0 => "log period unknown".to_owned(),
            expected => format!("{} complete ({})", self.days_complete, percent(self.days_complete, expected)),
        };
        let slots = match self.slots_expected {
            0 => "-".to_owned(),
            expected => format!("{} ({} of {expected} slots)", percent(self.slots_read, expected), self.slots_read),
        };
        let mut lines = vec![
            format!(
                "days read           {} of {} ({}), {complete}",
                self.days_read,
                self.days,
                percent(self.days_read, self.days)
            ),
            format!("interval read rate  {slots}"),
            format!(
                "uplinks             {} arrived, {} lost by their numbers, {} of these covered by later ones, {} not decoded",
                self.uplinks, self.uplinks_lost, self.lost_but_covered, self.undecodable
            ),
            format!("breaks              {} of the index, {} of the numbering of uplinks", self.breaks, self.restarts),
        ];
        lines.extend(self.volumes.iter().map(|(unit, volumes)| {
            let unit = unit_of(*unit);
            let decimals = unit.decimals_of([volumes.total(), volumes.after_break]);
            let text = |value: i64| format!("{} {}", unit.text(value, decimals), unit.name());
            let [timed, spread, unplaced] =
                volumes.shares().map(|share| share.map_or("-".to_owned(), |of| format!("{of:.1} %")));
            let total = text(volumes.total());
            let after = match volumes.after_break {
                0 => String::new(),
                after => format!("; {} of it after a break", text(after)),
            };
            format!("volume              {total}: {timed} timed, {spread} spread, {unplaced} unplaced{after}")
        }));
        lines
    }

    pub(super) fn json(&self) -> Value {
        let volumes = self.volumes.iter().map(|(unit, of)| {
            let unit = unit_of(*unit);
            let number = |value: i64| unit.json(value);
            let Volumes { timed, spread, unplaced, after_break } = *of;
            let value = json!({
                "total": number(of.total()), "timed": number(timed), "spread": number(spread), "unplaced": number(unplaced),
                "after_break": number(after_break),
            });
            (unit.name().to_owned(), value)
        });
        json!({
            "devices": self.devices, "channels": self.channels, "days": self.days, "days_read": self.days_read,
            "days_of_known_log_period": self.days_expected, "days_complete": self.days_complete,
            "slots_read": self.slots_read, "slots_expected": self.slots_expected, "uplinks": self.uplinks,
            "undecodable": self.undecodable, "uplinks_lost": self.uplinks_lost,
            "lost_but_covered": self.lost_but_covered, "restarts": self.restarts, "breaks": self.breaks,
            "volume": volumes.collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl Volumes {
    fn add(&mut self, ledger: &Ledger) {
        self.timed = self.timed.saturating_add(ledger.timed);
        self.spread = self.spread.saturating_add(ledger.spread);
        self.unplaced = self.unplaced.saturating_add(ledger.unplaced);
        self.after_break = self.after_break.saturating_add(ledger.after_break);
    }

    fn total(&self) -> i64 {
        self.timed.saturating_add(self.spread).saturating_add(self.unplaced)
    }

    /// The parts of the volume, in per cent; none of no volume, or of one that flowed backwards.
    fn shares(&self) -> [Option<f64>; 3] {
        let total = self.total();
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        [self.timed, self.spread, self.unplaced].map(|part| (total > 0).then(|| part as f64 * 100.0 / total as f64))
    }
}

/// The unit in which volumes of a ledger are shown.
pub(super) fn unit_of(unit: Unit) -> UnitName {
    match unit {
        Unit::Litres => UnitName::L,
        Unit::Pulses => UnitName::Pulses,
    }
}
