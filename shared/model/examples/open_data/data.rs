//! The files of the data set: meter, local time without its offset, cumulative litres, difference; separated by `;`.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::DateTime;
use pulsegate_model::assignment::Zone;
use pulsegate_model::at::At;
use pulsegate_model::consumption::Reading;

use crate::Fallible;

pub(crate) const FILES: [&str; 2] = ["swm_trialA.csv", "swm_trialA_extended.csv"];

/// The time zone of Alicante, where the homes are.
pub(crate) const ZONE: &str = "Europe/Madrid";

/// Readings of meters.
pub(crate) struct Set {
    pub(crate) name: String,
    /// By the meter's name.
    pub(crate) meters: BTreeMap<String, Vec<Reading>>,
}

impl Set {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Fallible<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let zone = ZONE.parse()?;
        let mut meters: BTreeMap<String, Vec<Reading>> = BTreeMap::new();
        for (number, line) in text.lines().enumerate().skip(1) {
            let error = |what| format!("{}:{}: {what}", path.display(), number + 1);
            let [meter, time, index, _] = line.split(';').collect::<Vec<_>>()[..] else {
                return Err(error("a line has four columns").into());
            };
            let at = local(time, &zone).ok_or_else(|| error("no time like 20/11/2016 12:00:00"))?;
            let index = litres(index).ok_or_else(|| error("no number of litres"))?;
            let reading = Reading { at, index, counter_bits: None };
            if let Some(readings) = meters.get_mut(meter) {
                readings.push(reading);
            } else {
                meters.insert(meter.to_owned(), vec![reading]);
            }
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, meters })
    }

    /// The readings of both.
    pub(crate) fn with(&self, other: &Self) -> Self {
        let mut meters = self.meters.clone();
        for (meter, readings) in &other.meters {
            meters.entry(meter.clone()).or_default().extend(readings);
        }
        Self { name: "both".to_owned(), meters }
    }
}

/// A local time. Of the two that it may be when the clock goes back, the first.
fn local(text: &str, zone: &Zone) -> Option<At> {
    let time = DateTime::strptime("%d/%m/%Y %H:%M:%S", text).ok()?;
    let timestamp = zone.time_zone().to_ambiguous_timestamp(time).compatible().ok()?;
    At::from_unix(timestamp.as_second()).ok()
}

/// A whole number, of which R has written some as `4e+05`.
fn litres(text: &str) -> Option<u64> {
    let (digits, exponent) = text.split_once("e+").unwrap_or((text, "0"));
    digits.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(exponent.parse().ok()?)?)
}
