//! Tests of reports: of made-up runs, and of the committed document.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use cost::measurement::Measurement;
use pulsegate_pipeline::ports::{Log, LogLine, ReadError};
use serde_json::json;
use tokio::time::Instant;

use super::record::{FUNCTIONS, PULSE_FUNCTIONS, record};
use super::*;
use crate::audit::{Audit, NetworkCounts, Size, Sizes, Sources};
use crate::print::Format;
use crate::run::{Burst, Measured, Run, Second, Volume};
use crate::spec::Spec;

mod committed;
mod documents;
mod logs;

/// A temporary directory of a test. It is removed when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("fleet-report-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    /// Writes a run into the directory.
    fn run(&self, name: &str, devices: u32) -> PathBuf {
        let directory = self.0.join(name);
        fs::create_dir_all(&directory).unwrap();
        run(devices).write(&directory).unwrap();
        directory
    }

    /// Writes a run with the sums of its logs and its audit.
    fn recorded(&self, name: &str, devices: u32) -> PathBuf {
        let directory = self.run(name, devices);
        functions(devices).write(&directory).unwrap();
        fs::write(directory.join(crate::audit::FILE), serde_json::to_string(&audit(name, devices)).unwrap()).unwrap();
        directory
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(devices: u32) -> Run {
    let options = json!({
        "date": "2026-11-20T12:00:00Z",
        "machine": {"cores": 2, "processor": "Some Processor", "memory_bytes": 25_000_000_000_u64, "kernel": "6.18"},
    });
    let bridge = [
        ("received_total", 300_000.0),
        ("durable_total", 280_000.0),
        ("put_records_count", 1_000.0),
        ("put_records_sum", 7_000.0),
        ("put_bytes_sum", 28_000_000.0),
    ];
    let measured = Measured {
        complete: true,
        seconds: 600.0,
        sent: 600_000,
        acknowledged: 600_000,
        peak_rate: 1_234.0,
        nbiot_ack_ms: Some([100.0, 150.0, 200.5, 250.0, 300.0]),
        to_pulses_ms: Some([500.0, 600.0, 700.0, 800.0, 900.0]),
        to_pulses_samples: 99,
        cpu_seconds: BTreeMap::from([("bridge".to_owned(), 3.0), ("cloud".to_owned(), 540.0)]),
        rss: BTreeMap::from([("bridge".to_owned(), 12_300_000)]),
        bridge: bridge.iter().map(|(name, value)| (format!("pulsegate_bridge_{name}"), *value)).collect(),
        traffic: [("datagrams", 70), ("acknowledgements", 26), ("uplinks", 45), ("answers", 200)]
            .map(|(name, bytes)| (name.to_owned(), Volume { count: 10, bytes: 10 * bytes }))
            .into(),
        seconds_sent: vec![1_000; 25],
        seconds_acknowledged: vec![999; 25],
        ..Measured::default()
    };
    let spec = Spec::new("2026-11-20T12:00:00Z".parse().unwrap(), devices);
    Run { spec, options: options.as_object().unwrap().clone(), measured }
}

fn functions(devices: u32) -> Functions {
    let each = |ms_each: f64| {
        let mut sums = Sums::default();
        (1..=10).for_each(|n| sums.take(f64::from(n) * 10.0, 3.0 + ms_each * f64::from(n) * 10.0));
        Function {
            invocations: 1_000,
            records: 5_000,
            uplinks: u64::from(devices),
            seconds: 600.0,
            mean_ms: 12.34,
            p50_ms: 11.1,
            p99_ms: 45.6,
            max_ms: 78.9,
            billed_ms: 14.0,
            billed_sums: sums,
            log_bytes: 420.4,
            ..Function::default()
        }
    };
    Functions {
        functions: FUNCTIONS.iter().chain(&PULSE_FUNCTIONS).map(|name| ((*name).to_owned(), each(0.1))).collect(),
        metrics: ["a received", "a stored", "b received"].map(str::to_owned).into(),
        bridge_log_bytes_per_minute: Some(1_500.0),
        ..Functions::default()
    }
}

fn audit(name: &str, devices: u32) -> Audit {
    let counts = NetworkCounts {
        sent: 300_000,
        acknowledged: 299_999,
        pulses: 300_000,
        given_up: 1,
        ..NetworkCounts::default()
    };
    let size = |bytes: u64| Size { items: 100, bytes: 100 * bytes, units: 100 };
    let sizes = Sizes { uplinks: 100, pulses: size(300), message_bytes: 100 * 249 };
    let both = ["sigfox", "nbiot"].map(str::to_owned);
    Audit {
        at: "2026-11-20T13:00:00Z".to_owned(),
        runs: vec![name.to_owned()],
        ok: true,
        wrong: vec![],
        networks: both.iter().map(|network| (network.clone(), counts)).collect(),
        meters: crate::audit::Meters { right: devices.into(), ..crate::audit::Meters::default() },
        consumption: None,
        strange: crate::audit::UnexpectedItems::default(),
        foreign: 0,
        sources: Sources { objects: 10, object_bytes: 3_000, files: 4, file_bytes: 700, rows: 200, pulses_table: true },
        sizes: both.iter().map(|network| (network.clone(), sizes)).collect(),
        queues: BTreeMap::new(),
        quarantined_unknown: 0,
        not_looked_at: vec![],
    }
}

fn options(runs: &[PathBuf]) -> Options {
    Options {
        runs: runs.to_vec(),
        record: false,
        env: None,
        until: None,
        output: None,
        measurement: None,
        charts: None,
        format: Format::Table,
    }
}
