//! Packs of pulses and of other values, in both forms.

use minicbor::Encoder;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::clock::ClockCheck;
use crate::codec::{Channel, CodecSettings, Context, Flag, Mark, Series, Value};

mod any;
mod counts;
mod details;
mod forms;
mod meters;
mod records;
mod times;

/// 2026-11-20T12:00:00Z.
const NOW: i64 = 1_795_176_000;

const BASE: &str = "urn:imei:490154203237518:";

const METER: &str = "nbiot:490154203237518";

pub(super) fn read(codec: &Codec, frame: &[u8]) -> Result<Reading, Undecodable> {
    read_of(METER, codec, frame)
}

fn read_of(device: &str, codec: &Codec, frame: &[u8]) -> Result<Reading, Undecodable> {
    let clock = ClockCheck::against(at(NOW));
    (codec.decode)(frame, &Context { settings: &CodecSettings::default(), device: device.parse().unwrap(), clock })
}

pub(super) fn json(pack: &Json) -> Result<Reading, Undecodable> {
    read(&JSON, pack.to_string().as_bytes())
}

fn refused(pack: &Json) -> String {
    json(pack).unwrap_err().to_string()
}

/// The same pack in CBOR, its arrays and maps of definite length or not.
fn cbor(pack: &Json, definite: bool) -> Vec<u8> {
    let records = pack.as_array().unwrap();
    let mut e = Encoder::new(Vec::new());
    if definite {
        e.array(records.len() as u64).unwrap()
    } else {
        e.begin_array().unwrap()
    };
    for record in records {
        let fields = record.as_object().unwrap();
        if definite {
            e.map(fields.len() as u64).unwrap()
        } else {
            e.begin_map().unwrap()
        };
        for (name, value) in fields {
            match record::label(name) {
                Some(label) => e.i64((-6..9).find(|&n| record::numbered_label(n) == Some(label)).unwrap()).unwrap(),
                None => e.str(name).unwrap(),
            };
            match value {
                Json::Number(number) if number.is_u64() => e.u64(number.as_u64().unwrap()).unwrap(),
                Json::Number(number) if number.is_i64() => e.i64(number.as_i64().unwrap()).unwrap(),
                Json::Number(number) => e.f64(number.as_f64().unwrap()).unwrap(),
                Json::String(data) if name == "vd" => {
                    use base64::Engine as _;
                    e.bytes(&base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(data).unwrap()).unwrap()
                }
                Json::String(text) => e.str(text).unwrap(),
                Json::Bool(flag) => e.bool(*flag).unwrap(),
                other => panic!("{other}"),
            };
        }
        if !definite {
            e.end().unwrap();
        }
    }
    if !definite {
        e.end().unwrap();
    }
    e.into_writer()
}

fn at(seconds: i64) -> At {
    At::from_unix(seconds).unwrap()
}
