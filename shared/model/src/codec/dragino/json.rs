//! The JSON that devices send if they are set to it, as `{"IMEI":"866207058378443","Model":...,"1":{1,4,...},...}`.
//!
//! No source has the names of the counts of these two models. The published text of a related model is not even JSON: the
//! records of its log are lists in braces. So only the meter's ID is read, and the uplink goes to quarantine under it.
//!
//! Source: <https://wiki.dragino.com>, `wiki_test`, changes 132.1 to 133.1, "General Json format payload" of a DS03A-NB.

use super::decoration;
use crate::device::Imei;

/// The reason for which JSON is rejected.
pub(super) const REASON: &str =
    "the device is set to JSON (AT+PRO=2,5); set it to bytes or hex (AT+PRO=2,0), which this codec reads";

/// The IMEI in a text in braces, from the first key of that name in any case.
pub(super) fn imei(datagram: &[u8]) -> Option<Imei> {
    const KEY: &[u8] = b"\"IMEI\"";

    let text = decoration::without_start(datagram);
    if !text.starts_with(b"{") {
        return None;
    }
    let key = text.windows(KEY.len()).position(|window| window.eq_ignore_ascii_case(KEY))?;
    let value = text[key + KEY.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}
