//! Packs in CBOR (RFC 8428, section 6). Nesting costs no stack: unknown values are skipped without recursion.
//!
//! Zeros after the pack are the rest of a buffer of fixed size. Any other byte is something that was sent on purpose.

use minicbor::Decoder;
use minicbor::data::{IanaTag, Type};
use minicbor::decode::Error;

use super::number::Number;
use super::record::{Field, Record, label, numbered_label};
use super::{SenMlError, short};

/// Tag 55799 in front of the pack, which only tells that it is CBOR (RFC 8949, section 3.4.6).
const SELF_DESCRIBED: &[u8] = b"\xd9\xd9\xf7";

/// Reads records until the end, or until the first error.
pub(super) fn parse(frame: &[u8], records: &mut Vec<Record>) -> Result<(), SenMlError> {
    let pack = frame.strip_prefix(SELF_DESCRIBED).unwrap_or(frame);
    self::pack(&mut Decoder::new(pack), records).map_err(|e| SenMlError::Cbor(short(&e.to_string())))
}

/// Arrays and maps may be of definite length or not; encoders of small devices often use the latter.
fn pack(decoder: &mut Decoder<'_>, records: &mut Vec<Record>) -> Result<(), Error> {
    let len = decoder.array()?;
    while goes_on(decoder, len, records.len())? {
        records.push(record(decoder)?);
    }
    if decoder.input()[decoder.position()..].iter().any(|&byte| byte != 0) {
        return Err(Error::message("something follows after the pack").at(decoder.position()));
    }
    Ok(())
}

fn record(decoder: &mut Decoder<'_>) -> Result<Record, Error> {
    let len = decoder.map()?;
    let mut record = Record::default();
    let mut done = 0;
    while goes_on(decoder, len, done)? {
        if decoder.datatype()? == Type::String {
            let name = decoder.str()?;
            take(decoder, &mut record, label(name), name)?;
        } else {
            let number = decoder.int()?;
            let label = i64::try_from(number).ok().and_then(numbered_label);
            take(decoder, &mut record, label, "")?;
        }
        done += 1;
    }
    Ok(record)
}

/// True if an array or map of length `len` has another element after those that are done.
fn goes_on(decoder: &mut Decoder<'_>, len: Option<u64>, done: usize) -> Result<bool, Error> {
    match len {
        Some(len) => Ok((done as u64) < len),
        None if decoder.datatype()? == Type::Break => {
            decoder.set_position(decoder.position() + 1);
            Ok(false)
        }
        None => Ok(true),
    }
}

fn take(decoder: &mut Decoder<'_>, record: &mut Record, label: Option<&'static str>, name: &str) -> Result<(), Error> {
    if let Some(label) = label {
        record.set(label, field(decoder)?);
    } else {
        decoder.skip()?;
        record.set_unknown(name);
    }
    Ok(())
}

fn field(decoder: &mut Decoder<'_>) -> Result<Field, Error> {
    let float = |number: f64| Number::float(number).map_or(Field::Other, Field::Number);
    Ok(match decoder.datatype()? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            Field::Number(Number::Int(decoder.int()?.into()))
        }
        Type::F16 => float(decoder.f16()?.into()),
        Type::F32 => float(decoder.f32()?.into()),
        Type::F64 => float(decoder.f64()?),
        Type::Tag => return decimal(decoder),
        Type::String => Field::Text(decoder.str()?.to_owned()),
        Type::Bytes => Field::Data(decoder.bytes()?.to_owned()),
        Type::Bool => Field::Flag(decoder.bool()?),
        _ => {
            decoder.skip()?;
            Field::Other
        }
    })
}

/// A decimal fraction: tag 4, an array of exponent and mantissa. Other tags have no meaning here.
fn decimal(decoder: &mut Decoder<'_>) -> Result<Field, Error> {
    let start = decoder.position();
    if decoder.tag()? == IanaTag::Decimal.tag() && decoder.array()? == Some(2) {
        let (exponent, mantissa) = (decoder.int()?, decoder.int()?);
        return Ok(Number::decimal(exponent.into(), mantissa.into()).map_or(Field::Other, Field::Number));
    }
    decoder.set_position(start);
    decoder.skip()?;
    Ok(Field::Other)
}
