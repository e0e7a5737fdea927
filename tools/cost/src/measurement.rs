//! The measurement file: the results of recorded runs, from which bills and plans are calculated. `fleet report` writes it
//! as JSON, and `cost bill` and `cost plan` read it (`--measured`).
//!
//! Numbers count uplinks: messages of a meter, however they are packed. Means are over the whole run.

pub mod archive;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::archive::Archive;
use crate::Error;

/// Bounds of a number that cannot be zero, and of one that can. Within them no calculation overflows a decimal.
const POSITIVE: (f64, f64) = (1e-6, 1e9);
/// See [`POSITIVE`].
const NATURAL: (f64, f64) = (0.0, 1e9);

/// Bounds of a function's memory in MB and of its run time in milliseconds
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const MEMORY: (f64, f64) = (128.0, 10_240.0);
/// See [`MEMORY`].
const TIME: (f64, f64) = (0.0, 900_000.0);

/// The built-in file.
const BUILT_IN: &str = include_str!("../measured/local.json");

/// The results of recorded runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Source of the numbers, as text for people: what ran against what, and which numbers were derived.
    pub source: String,
    /// True if some numbers are not measured yet, but estimates; `source` names them.
    #[serde(default)]
    pub provisional: bool,
    /// The recorded runs.
    pub runs: Vec<Recorded>,
    /// Functions of the template.
    pub functions: Functions,
    /// Queues of the template.
    pub queues: Queues,
    /// The stream `ProcessRawDataNbiot`.
    pub stream: Stream,
    /// The UDP bridge.
    pub bridge: Bridge,
    /// Callbacks.
    pub callbacks: Callbacks,
    /// Stored items of an uplink.
    pub tables: Tables,
    /// Number of distinct metrics in the logs, by name and `part`. AWS bills each by the month.
    pub metrics: u32,
    /// The archive. `fleet report` copies it from the built-in file.
    pub archive: Archive,
}

/// A recorded run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Date, as `2026-11-21`.
    pub date: String,
    /// Processor, cores, memory, and the stand-in for AWS.
    pub machine: String,
    /// Command line.
    pub command: String,
    /// Meters.
    pub devices: u32,
    /// Uplinks a second, mean.
    pub uplinks_per_second: f64,
}

/// The functions that uplinks pass through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Functions {
    /// Answers callbacks; measured with batch callbacks.
    pub sigfox_callback: Function,
    /// Stores raw uplinks of Sigfox.
    pub raw_sigfox: Function,
    /// Decodes them.
    pub pulse_sigfox: Function,
    /// Stores raw uplinks of NB-IoT.
    pub raw_nbiot: Function,
    /// Decodes them.
    pub pulse_nbiot: Function,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// Memory size, MB.
    pub memory_mb: f64,
    /// Uplinks of an invocation, mean.
    pub uplinks_per_invocation: f64,
    /// Uplinks a second through the function in that measurement.
    pub uplinks_per_second: f64,
    /// Billed milliseconds of an invocation, mean.
    pub billed_ms: f64,
    /// Billed milliseconds of an invocation without uplinks, by a linear fit over all invocations.
    pub fixed_ms: f64,
    /// Additional billed milliseconds for each uplink, by the same fit.
    pub per_uplink_ms: f64,
    /// Bytes of log of an invocation, mean, with the 26 bytes that CloudWatch adds to each line.
    pub log_bytes: f64,
}

/// The queues that uplinks pass through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queues {
    /// From the callback to the raw stage.
    #[serde(rename = "ProcessRawDataSigfox")]
    pub raw_sigfox: Queue,
    /// From the raw stage to the pulse stage.
    #[serde(rename = "ProcessPulseDataSigfox")]
    pub pulse_sigfox: Queue,
    /// From the raw stage to the pulse stage of NB-IoT.
    #[serde(rename = "ProcessPulseDataNbiot")]
    pub pulse_nbiot: Queue,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Bytes of an uplink in a message, with its share of the envelope, mean.
    pub uplink_bytes: f64,
}

/// The stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Uplinks of a record, mean.
    pub uplinks_per_record: f64,
    /// Bytes of a record, mean.
    pub record_bytes: f64,
    /// Records of a put, mean.
    pub records_per_put: f64,
    /// Uplinks a second in that measurement.
    pub uplinks_per_second: f64,
    /// Number of bridges that wrote to it.
    pub bridges: f64,
}

/// The bridge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// Bytes of a meter's datagram, without the 28 of the IP and UDP headers, mean.
    pub datagram_bytes: f64,
    /// Bytes of an acknowledgement, without these headers, mean.
    pub acknowledgement_bytes: f64,
    /// Seconds of processor time for a million datagrams.
    pub cpu_seconds_per_million: f64,
    /// Bytes of log of a task in a minute, with the 26 bytes that CloudWatch adds to each line.
    pub log_bytes_per_minute: f64,
}

/// Callbacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callbacks {
    /// Bytes of an uplink in a batch, mean.
    pub line_bytes: f64,
    /// Bytes of an answer with its headers, mean.
    pub answer_bytes: f64,
}

/// Stored items of an uplink, means over both networks. Sizes are `DynamoDB`'s, attribute names included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// Bytes of a raw item.
    pub raw_bytes: f64,
    /// Write units of a raw item: 1 for each started 1,024 bytes.
    pub raw_units: f64,
    /// Bytes of a pulse item.
    pub pulse_bytes: f64,
    /// Write units of a pulse item.
    pub pulse_units: f64,
}

impl Measurement {
    /// Returns the built-in measurement.
    ///
    /// # Errors
    /// [`Error::Invalid`]; a test shows that it does not occur.
    pub fn built_in() -> Result<Self, Error> {
        Self::parse(BUILT_IN, "the built-in measurements")
    }

    /// Reads a file; without one, returns the built-in measurement.
    ///
    /// # Errors
    /// [`Error`], naming the file and what is wrong with it.
    pub fn read(file: Option<&Path>) -> Result<Self, Error> {
        let Some(file) = file else { return Self::built_in() };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|e| Error::File(name.clone(), e))?;
        Self::parse(&text, &name)
    }

    /// Parses a measurement file; error messages call it `name`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not a measurement file, or a number is out of bounds.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        let measurement: Self =
            serde_json::from_str(text).map_err(|e| Error::Invalid(format!("{name}: not a measurement file: {e}")))?;
        match measurement.out_of_bounds() {
            None => Ok(measurement),
            Some((field, value)) => Err(Error::Invalid(format!("{name}: {field} cannot be {value}; measure again"))),
        }
    }

    /// The same with the raw functions' times of writing objects instead of items.
    #[must_use]
    pub fn with_archive(&self) -> Self {
        let mut all = self.clone();
        for raw in [&mut all.functions.raw_sigfox, &mut all.functions.raw_nbiot] {
            raw.fixed_ms = self.archive.raw_fixed_ms.value;
            raw.per_uplink_ms = self.archive.raw_row_ms.value;
        }
        all
    }

    /// Returns the text of the file.
    pub fn text(&self) -> String {
        // Numbers and strings always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Returns the first number that is out of its bounds, with its name.
    fn out_of_bounds(&self) -> Option<(String, f64)> {
        let outside = |(_, value, (least, most)): &(String, f64, (f64, f64))| !(*least..=*most).contains(value);
        self.numbers().into_iter().find(outside).map(|(name, value, _)| (name, value))
    }

    /// All numbers, each with its name and bounds.
    fn numbers(&self) -> Vec<(String, f64, (f64, f64))> {
        let functions = self.functions.by_name().into_iter().flat_map(|(name, f)| {
            [
                ("memory_mb", f.memory_mb, MEMORY),
                ("uplinks_per_invocation", f.uplinks_per_invocation, POSITIVE),
                ("uplinks_per_second", f.uplinks_per_second, POSITIVE),
                ("billed_ms", f.billed_ms, TIME),
                ("fixed_ms", f.fixed_ms, TIME),
                ("per_uplink_ms", f.per_uplink_ms, TIME),
                ("log_bytes", f.log_bytes, NATURAL),
            ]
            .map(|(field, value, bounds)| (format!("functions.{name}.{field}"), value, bounds))
        });
        let queues = self.queues.by_name();
        let queues = queues.map(|(name, q)| (format!("queues.{name}.uplink_bytes"), q.uplink_bytes, POSITIVE));
        let (s, b, c, t) = (&self.stream, &self.bridge, &self.callbacks, &self.tables);
        let others = [
            ("stream.uplinks_per_record", s.uplinks_per_record, POSITIVE),
            ("stream.record_bytes", s.record_bytes, POSITIVE),
            ("stream.records_per_put", s.records_per_put, POSITIVE),
            ("stream.uplinks_per_second", s.uplinks_per_second, POSITIVE),
            ("stream.bridges", s.bridges, POSITIVE),
            ("bridge.datagram_bytes", b.datagram_bytes, POSITIVE),
            ("bridge.acknowledgement_bytes", b.acknowledgement_bytes, NATURAL),
            ("bridge.cpu_seconds_per_million", b.cpu_seconds_per_million, POSITIVE),
            ("bridge.log_bytes_per_minute", b.log_bytes_per_minute, NATURAL),
            ("callbacks.line_bytes", c.line_bytes, POSITIVE),
            ("callbacks.answer_bytes", c.answer_bytes, NATURAL),
            ("tables.raw_bytes", t.raw_bytes, POSITIVE),
            ("tables.raw_units", t.raw_units, POSITIVE),
            ("tables.pulse_bytes", t.pulse_bytes, POSITIVE),
            ("tables.pulse_units", t.pulse_units, POSITIVE),
        ];
        let others = others.map(|(name, value, bounds)| (name.to_owned(), value, bounds));
        let archive = self.archive.by_name();
        let archive = archive.map(|(name, of, bounds)| (format!("archive.{name}.value"), of.value, bounds));
        functions.chain(queues).chain(others).chain(archive).collect()
    }
}

impl Functions {
    /// The functions and queues with their names in the template.
    pub fn by_name(&self) -> [(&'static str, &Function); 5] {
        [
            ("sigfox-callback", &self.sigfox_callback),
            ("raw-sigfox", &self.raw_sigfox),
            ("pulse-sigfox", &self.pulse_sigfox),
            ("raw-nbiot", &self.raw_nbiot),
            ("pulse-nbiot", &self.pulse_nbiot),
        ]
    }
}

impl Queues {
    /// The functions and queues with their names in the template.
    pub fn by_name(&self) -> [(&'static str, &Queue); 3] {
        [
            ("ProcessRawDataSigfox", &self.raw_sigfox),
            ("ProcessPulseDataSigfox", &self.pulse_sigfox),
            ("ProcessPulseDataNbiot", &self.pulse_nbiot),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_is_built_in_is_read_and_says_where_it_is_from() {
        let measurement = Measurement::built_in().unwrap();
        assert!(measurement.source.len() > 40 && !measurement.runs.is_empty());
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let measurement = Measurement::built_in().unwrap();
        assert_eq!(Measurement::parse(&measurement.text(), "it").unwrap(), measurement);
    }

    #[test]
    fn a_number_that_cannot_be_is_named() {
        for (field, value) in [
            ("/functions/raw-nbiot/fixed_ms", -1.0),
            ("/functions/raw-nbiot/memory_mb", 0.5),
            ("/stream/record_bytes", 0.0),
            ("/tables/raw_bytes", 2e9),
        ] {
            let mut json: serde_json::Value = serde_json::from_str(BUILT_IN).unwrap();
            *json.pointer_mut(field).unwrap() = value.into();
            let problem = Measurement::parse(&json.to_string(), "x.json").unwrap_err().in_full();
            let dotted = field[1..].replace('/', ".");
            assert!(problem.starts_with(&format!("x.json: {dotted} cannot be {value}")), "{problem}");
        }
    }

    #[test]
    fn a_field_that_nobody_knows_is_refused() {
        let text = BUILT_IN.replacen("\"metrics\"", "\"metricss\"", 1);
        let problem = Measurement::parse(&text, "x.json").unwrap_err().in_full();
        assert!(problem.contains("metricss"), "{problem}");
    }
}
