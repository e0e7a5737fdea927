//! Counts every session of the runs, and lists the messages that are missing or altered.

use std::collections::BTreeMap;

use super::accounts::Accounts;
use super::expected_run::{Deviation, ExpectedRun};
use super::findings::NetworkCounts;
use super::missing::{Missing, Stage};
use crate::Problem;

impl Accounts {
    /// Counts every session. Calls `missing` for each message that is missing or altered.
    pub(super) fn tally(
        &self,
        mut missing: impl FnMut(Missing) -> Result<(), Problem>,
    ) -> Result<BTreeMap<String, NetworkCounts>, Problem> {
        let mut networks: BTreeMap<String, NetworkCounts> = BTreeMap::new();
        for run in &self.runs {
            for meter in 0..run.fleet.spec().devices {
                run.tally(meter, &mut networks, &mut missing)?;
            }
        }
        Ok(networks)
    }
}

impl ExpectedRun {
    fn tally(
        &self,
        meter: u32,
        networks: &mut BTreeMap<String, NetworkCounts>,
        missing: &mut impl FnMut(Missing) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let (mut counted, mut next) = (0, 0);
        for hour in 0..self.fleet.hours() {
            let is_sent = self.sessions.is_sent(meter, hour);
            if !is_sent && !self.has_any((meter, hour)) {
                continue;
            }
            counted += (next..=hour).map(|hour| u64::from(self.fleet.pulses(meter, hour))).sum::<u64>();
            next = hour + 1;
            let known = self.fleet.meter(meter);
            let counts = networks.entry(known.device.network().to_string()).or_default();
            for (position, uplink) in self.fleet.session(meter, hour, counted).uplinks.iter().enumerate() {
                let stage = self.count((meter, hour), position, counts);
                if let Some(stage) = stage {
                    missing(Missing::new(self, &known, (hour, position), uplink, stage)?)?;
                }
            }
        }
        Ok(())
    }

    /// Counts an uplink. Returns the last stage that it reached, or `None` if it is stored correctly.
    fn count(&self, (meter, hour): (u32, u32), position: usize, counts: &mut NetworkCounts) -> Option<Stage> {
        let is_sent = self.sessions.is_sent(meter, hour);
        let is_acknowledged = is_sent && self.sessions.is_acknowledged(meter, hour);
        let (raw, pulses) = (self.has_raw((meter, hour), position), self.has_pulses((meter, hour), position));
        let deviation = self.deviations.get(&(meter, hour, position));
        let is_altered = matches!(deviation, Some(Deviation::Altered(_)));
        let pulses = pulses && !is_altered;
        let add = |count: &mut u64, yes: bool| *count += u64::from(yes);
        add(&mut counts.sent, is_sent);
        add(&mut counts.acknowledged, is_acknowledged);
        add(&mut counts.given_up, is_sent && !is_acknowledged);
        add(&mut counts.given_up_stored, is_sent && !is_acknowledged && pulses);
        add(&mut counts.unnoted, !is_sent && (raw || pulses));
        add(&mut counts.raw, is_sent && raw);
        add(&mut counts.pulses, is_sent && pulses);
        let stage = Stage::of(deviation, is_acknowledged, raw, pulses);
        match &stage {
            Some(Stage::Quarantined) => counts.quarantined += 1,
            Some(Stage::DeadLetter) => counts.dead_letters += 1,
            Some(Stage::Altered) => counts.altered += 1,
            Some(Stage::NotRaw | Stage::NotPulses | Stage::PulsesOnly) => counts.lost += 1,
            Some(Stage::NeverAcknowledged) | None => {}
        }
        // The session was not recorded as sent, so its other messages need not be there.
        stage.filter(|stage| is_sent || *stage != Stage::NeverAcknowledged)
    }
}
