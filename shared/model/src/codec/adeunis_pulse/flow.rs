//! Frames with flow: keep-alive (0x30) and flow alarm (0x47).

use std::collections::BTreeMap;

use super::super::cursor::Cursor;
use super::super::{Channel, Flag, Flow, Reading, Undecodable};

/// Alarms by bit.
const ALARMS: [(Flag, Channel); 6] = [
    (Flag::HighFlow, Channel::A),
    (Flag::HighFlow, Channel::B),
    (Flag::Tamper, Channel::A),
    (Flag::Tamper, Channel::B),
    (Flag::Leak, Channel::A),
    (Flag::Leak, Channel::B),
];

/// Sent once a day: the alarms since the last one, and the flow of the last 24 hours.
pub(super) fn keep_alive(mut body: Cursor<'_>, reading: &mut Reading) -> Result<(), Undecodable> {
    let alarms = body.u8()?;
    let [max_a, max_b, min_a, min_b] = [body.u16_be()?, body.u16_be()?, body.u16_be()?, body.u16_be()?];
    body.finish()?;
    for (bit, (flag, channel)) in ALARMS.into_iter().enumerate() {
        if alarms >> bit & 1 == 1 {
            reading.flags.insert(flag.on(channel));
        }
    }
    reading.details.insert_unknown("alarms", alarms >> ALARMS.len() << ALARMS.len());
    let day = |min: u16, max: u16| Flow { min: Some(min.into()), max: Some(max.into()), now: None };
    reading.flow = BTreeMap::from([(Channel::A, day(min_a, max_a)), (Channel::B, day(min_b, max_b))]);
    Ok(())
}

/// The flow of one of the channels exceeds its limit; the frame does not name it.
pub(super) fn alarm(mut body: Cursor<'_>, reading: &mut Reading) -> Result<(), Undecodable> {
    let (a, b) = (body.u16_be()?, body.u16_be()?);
    body.finish()?;
    let now = |flow: u16| Flow { now: Some(flow.into()), ..Flow::default() };
    reading.flow = BTreeMap::from([(Channel::A, now(a)), (Channel::B, now(b))]);
    reading.flags.insert(Flag::HighFlow.into());
    Ok(())
}
