//! Frames with counts: data (0x46), the series of V2 (0x48), the histories of V3 and V4 (0x5A, 0x5B).

use std::collections::BTreeMap;

use super::super::cursor::Cursor;
use super::super::{Channel, Flag, Reading, Series, Undecodable};
use crate::codec::CodecSettings;

/// Both counters at the time of the frame.
pub(super) fn data(mut body: Cursor<'_>, reading: &mut Reading) -> Result<(), Undecodable> {
    let (a, b) = (body.u32_be()?, body.u32_be()?);
    body.finish()?;
    let now = |count: u32| Series::Logs(vec![count.into()]);
    reading.channels = both(now(a), now(b));
    Ok(())
}

/// A frame of a series: the first log of both counters, or the increments from log to log.
pub(super) fn series(mut body: Cursor<'_>, settings: &CodecSettings, reading: &mut Reading) -> Result<(), Undecodable> {
    let place = body.u8()?;
    reading.channels = match place {
        0 => {
            let (a, b) = (body.u32_be()?, body.u32_be()?);
            both(Series::First(a.into()), Series::First(b.into()))
        }
        1..=12 => increments(&mut body, place.into(), settings)?,
        unknown => return Err(Undecodable::UnknownValue { field: "the place in the series", value: unknown.into() }),
    };
    body.finish()
}

fn increments(
    body: &mut Cursor<'_>,
    place: u16,
    settings: &CodecSettings,
) -> Result<BTreeMap<Channel, Series>, Undecodable> {
    let (mut a, mut b) = (vec![body.u16_be()?.into()], vec![body.u16_be()?.into()]);
    let last = body.left() == 0;
    if !last {
        a.push(body.u16_be()?.into());
        b.push(body.u16_be()?.into());
    }
    let after_log = 2 * place - 1;
    check_place(after_log, last, settings)?;
    let of = |counts| Series::Increments { after_log, counts, uplinks_before: place };
    Ok(both(of(a), of(b)))
}

/// Checks that a frame fits into its series. A short frame is the last one, a long one is not. A frame that does not
/// fit belongs to a series of another length than the profile's, and so of another log period; or it is a LoRaWAN
/// frame, in which the same place has another meaning.
fn check_place(after_log: u16, last: bool, settings: &CodecSettings) -> Result<(), Undecodable> {
    const REASON: &str = "this frame has no place in a series of as many logs as the profile says \
                          (adeunis-pulse-v2-10min: 6 logs, adeunis-pulse-v2-1h: 24, adeunis-pulse-v2: either)";
    let fits = |logs| if last { after_log + 1 == logs } else { after_log + 2 < logs };
    let fits = settings.logs_per_series.map_or_else(|| fits(6) || fits(24), fits);
    if fits { Ok(()) } else { Err(Undecodable::Form(REASON)) }
}

/// An index, then steps back in time. The counter may have wrapped in between, so the subtraction wraps too.
pub(super) fn history(mut body: Cursor<'_>, channel: Channel, reading: &mut Reading) -> Result<(), Undecodable> {
    /// Above this the vendor's V3 decoder reads a step as negative.
    const LARGE_STEP: u16 = 0x7FFF;

    let mut count = body.u32_be()?;
    let mut counts = vec![u64::from(count)];
    while body.left() > 0 {
        let step = body.u16_be()?;
        if step > LARGE_STEP {
            reading.flags.insert(Flag::LargeStep.into());
        }
        count = count.wrapping_sub(u32::from(step));
        counts.push(count.into());
    }
    reading.channels.insert(channel, Series::Logs(counts));
    Ok(())
}

fn both(a: Series, b: Series) -> BTreeMap<Channel, Series> {
    BTreeMap::from([(Channel::A, a), (Channel::B, b)])
}
