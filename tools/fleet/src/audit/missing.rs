//! List of uplinks that are missing or altered.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use pulsegate_model::device::DeviceId;
use serde::Serialize;

use super::expected_run::{Deviation, ExpectedRun, key};
use crate::Problem;
use crate::meters::{Meter, Uplink};

/// The last stage of an uplink that is not stored both raw and as pulses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// The meter or the Sigfox cloud has given up.
    NeverAcknowledged,
    /// Acknowledged, but not in the archive.
    NotRaw,
    /// In the archive, but not in the pulses table; without such a table, not readable by its codec.
    NotPulses,
    /// In the pulses table, but not in the archive.
    PulsesOnly,
    /// In quarantine.
    Quarantined,
    /// Among dead letters.
    DeadLetter,
    /// Stored, but not as it was sent.
    Altered,
}

/// An uplink that is not stored as sent, both raw and as pulses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Missing {
    run: String,
    pub(super) device: DeviceId,
    /// Hour of the session, from 0, and position in the session.
    pub(super) session: u32,
    pub(super) position: usize,
    /// Sort key in the pulses table.
    pub(super) uplink: String,
    pub(super) stage: Stage,
    pub(super) acknowledged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
}

impl Stage {
    pub(super) fn of(deviation: Option<&Deviation>, acknowledged: bool, raw: bool, pulses: bool) -> Option<Self> {
        match (deviation, raw, pulses) {
            (Some(Deviation::Altered(_)), ..) => Some(Self::Altered),
            // Replayed after quarantine, or stored by another delivery: no longer missing.
            (_, true, true) => None,
            (Some(Deviation::Quarantined(_)), ..) => Some(Self::Quarantined),
            (Some(Deviation::DeadLetter), ..) => Some(Self::DeadLetter),
            (None, true, false) => Some(Self::NotPulses),
            (None, false, true) => Some(Self::PulsesOnly),
            (None, false, false) if acknowledged => Some(Self::NotRaw),
            (None, false, false) => Some(Self::NeverAcknowledged),
        }
    }

    /// Printed name.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NeverAcknowledged => "never acknowledged",
            Self::NotRaw => "acknowledged, but not in the archive",
            Self::NotPulses => "in the archive, but not as pulses",
            Self::PulsesOnly => "as pulses, but not in the archive",
            Self::Quarantined => "in quarantine",
            Self::DeadLetter => "among dead letters",
            Self::Altered => "not as sent",
        }
    }
}

impl Missing {
    pub(super) fn new(
        run: &ExpectedRun,
        meter: &Meter,
        which: (u32, usize),
        uplink: &Uplink,
        stage: Stage,
    ) -> Result<Self, Problem> {
        let (session, position) = which;
        let why = match run.deviations.get(&(meter.number, session, position)) {
            Some(Deviation::Quarantined(why) | Deviation::Altered(why)) => Some(why.clone()),
            Some(Deviation::DeadLetter) | None => None,
        };
        Ok(Self {
            run: run.name.clone(),
            device: meter.device,
            session,
            position,
            uplink: key(meter, uplink)?.uplink,
            stage,
            acknowledged: run.sessions.is_acknowledged(meter.number, session),
            why,
        })
    }
}

/// The first missing uplinks, which are printed, and the file with all of them.
#[derive(Debug)]
pub(super) struct List {
    pub(super) first: Vec<Missing>,
    most: usize,
    file: Option<(String, BufWriter<File>)>,
}

impl List {
    pub(super) fn new(most: usize, file: Option<&Path>) -> Result<Self, Problem> {
        let open = |path: &Path| {
            let name = path.display().to_string();
            File::create(path).map(|file| (name.clone(), BufWriter::new(file))).map_err(|e| Problem::File(name, e))
        };
        Ok(Self { first: Vec::new(), most, file: file.map(open).transpose()? })
    }

    pub(super) fn take(&mut self, missing: Missing) -> Result<(), Problem> {
        if let Some((name, file)) = &mut self.file {
            let line = serde_json::to_string(&missing).map_err(std::io::Error::from);
            line.and_then(|line| writeln!(file, "{line}")).map_err(|e| Problem::File(name.clone(), e))?;
        }
        // Failures of the pipeline are listed before losses of the network.
        let is_worse = |other: &Missing| other.stage == Stage::NeverAcknowledged && missing.stage != other.stage;
        if self.first.len() < self.most {
            self.first.push(missing);
        } else if let Some(other) = self.first.iter_mut().find(|other| is_worse(other)) {
            *other = missing;
        }
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<Vec<Missing>, Problem> {
        if let Some((name, file)) = &mut self.file {
            file.flush().map_err(|e| Problem::File(name.clone(), e))?;
        }
        Ok(self.first)
    }
}
