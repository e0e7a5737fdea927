//! Packs of SenML (RFC 8428), in JSON and in CBOR, where labels are numbers (table 4: bn -2, bt -3, bu -4, n 0, u 1, v 2, vb 4, t 6).
//!
//! ```text
//! [{"bn": "urn:imei:490154203237518:", "bt": 1795176000, "bu": "count", "n": "A", "v": 1234},
//!  {"n": "A", "t": -3600, "v": 1230}, ..., {"n": "battery", "u": "V", "v": 3.61}, {"n": "leak:A", "vb": true}]
//! ```
//!
//! `docs/connect-nbiot.md` describes what such a meter sends.

use std::convert::Infallible;

use minicbor::encode::{Encoder, Error};
use serde::Serialize;

use super::Report;

/// A record, with its fields in the order of their CBOR labels.
#[derive(Debug, Default, Serialize)]
struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    bn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bt: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bu: Option<&'static str>,
    n: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    u: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vb: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<i64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum Number {
    Count(u64),
    Volts(f64),
}

/// A pack in JSON.
pub(in crate::meters) fn json(report: &Report) -> Vec<Vec<u8>> {
    // Cannot fail: plain fields, and no map with keys that are not strings.
    vec![serde_json::to_vec(&records(report)).unwrap_or_default()]
}

/// A pack in CBOR.
pub(in crate::meters) fn cbor(report: &Report) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(vec![]);
    let written = write(&mut encoder, &records(report));
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    vec![encoder.into_writer()]
}

fn records(report: &Report) -> Vec<Record> {
    let now = report.now();
    let mut records = vec![Record {
        bn: Some(format!("urn:imei:{}:", report.modem)),
        bt: Some(report.at.unix()),
        bu: Some("count"),
        ..count(now.a)
    }];
    for log in report.logs.iter().skip(1) {
        records.push(Record { t: Some(log.at.unix() - report.at.unix()), ..count(log.a) });
    }
    let volts = f64::from(report.battery_mv) / 1_000.0;
    records.push(Record { n: "battery", u: Some("V"), v: Some(Number::Volts(volts)), ..Record::default() });
    for (name, is_so) in [("leak:A", report.leaks), ("low-battery", report.low_battery)] {
        if is_so {
            records.push(Record { n: name, vb: Some(true), ..Record::default() });
        }
    }
    records
}

fn count(index: u64) -> Record {
    Record { n: "A", v: Some(Number::Count(index)), ..Record::default() }
}

fn write(pack: &mut Encoder<Vec<u8>>, records: &[Record]) -> Result<(), Error<Infallible>> {
    pack.array(records.len() as u64)?;
    for record in records {
        let there = [
            record.bn.is_some(),
            record.bt.is_some(),
            record.bu.is_some(),
            record.u.is_some(),
            record.v.is_some(),
            record.vb.is_some(),
            record.t.is_some(),
        ];
        pack.map(1 + there.into_iter().map(u64::from).sum::<u64>())?;
        if let Some(name) = &record.bn {
            pack.i8(-2)?.str(name)?;
        }
        if let Some(time) = record.bt {
            pack.i8(-3)?.i64(time)?;
        }
        if let Some(unit) = record.bu {
            pack.i8(-4)?.str(unit)?;
        }
        pack.u8(0)?.str(record.n)?;
        write_value(pack, record)?;
        if let Some(time) = record.t {
            pack.u8(6)?.i64(time)?;
        }
    }
    Ok(())
}

fn write_value(pack: &mut Encoder<Vec<u8>>, record: &Record) -> Result<(), Error<Infallible>> {
    if let Some(unit) = record.u {
        pack.u8(1)?.str(unit)?;
    }
    match record.v {
        Some(Number::Count(count)) => pack.u8(2)?.u64(count)?,
        Some(Number::Volts(volts)) => pack.u8(2)?.f64(volts)?,
        None => pack,
    };
    if let Some(flag) = record.vb {
        pack.u8(4)?.bool(flag)?;
    }
    Ok(())
}
