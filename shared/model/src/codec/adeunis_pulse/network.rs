//! Radio settings (0x20), and answers to downlinks (0x31, 0x33).
//!
//! ```text
//!  0      1        2          3
//! +------+--------+----------+--------------------+
//! | 0x20 | status | S202     |                    |   Sigfox: bits 1-0 repetitions, bits 7-4 area
//! | 0x20 | status | S202     | downlinks (u16)    |   Sigfox, V4: their period in minutes
//! | 0x20 | status | options  | provisioning |     |   LoRaWAN: bit 0 ADR, bit 2 duty cycle, bit 5 class C; ABP or OTAA
//! | 0x20 | status | address, port, local port, APN    NB-IoT
//! +------+--------+----------+--------------------+
//! | 0x31 | status | register values               |   to downlink 0x40, in the order asked for
//! | 0x33 | status | result   | register (u16)     |   to downlink 0x41
//! +------+--------+----------+--------------------+
//! ```

use super::super::cursor::Cursor;
use super::super::{Details, Reading, Undecodable};
use super::{Generation, word};

/// Radio settings, in three forms of different length: Sigfox, Sigfox with the period of downlinks (V4), LoRaWAN.
pub(super) fn radio(mut body: Cursor<'_>, generation: Generation, reading: &mut Reading) -> Result<(), Undecodable> {
    match body.left() {
        2 => lorawan(&mut body, &mut reading.details)?,
        length => {
            sigfox(body.u8()?, &mut reading.details);
            if length == 3 && generation == Generation::V4 {
                reading.details.insert("downlink_period_min", body.u16_be()?);
            }
        }
    }
    body.finish()
}

fn sigfox(register: u8, details: &mut Details) {
    details.insert("repetitions", register & 0x03);
    details.insert("network_area", word(register >> 4, &[(2, "RC2")]));
    details.insert_unknown("network", register & 0x0C);
}

fn lorawan(body: &mut Cursor<'_>, details: &mut Details) -> Result<(), Undecodable> {
    const ADR: u8 = 1;
    const DUTY_CYCLE: u8 = 1 << 2;
    const CLASS_C: u8 = 1 << 5;
    let options = body.u8()?;
    details.insert("adr", options & ADR != 0);
    details.insert("duty_cycle", options & DUTY_CYCLE != 0);
    details.insert("class_c", options & CLASS_C != 0);
    details.insert_unknown("network", options & !(ADR | DUTY_CYCLE | CLASS_C));
    details.insert("provisioning", word(body.u8()?, &[(0, "abp"), (1, "otaa")]));
    Ok(())
}

/// Over NB-IoT: address and port of the server, the local port and the APN. The vendor's decoder and documents disagree
/// about the length of each, so all of it is kept unchanged.
pub(super) fn server(body: Cursor<'_>, reading: &mut Reading) {
    reading.details.insert("network_hex", hex::encode(body.rest()));
}

/// The requested registers. The frame does not contain their numbers; it is empty if the request was invalid.
pub(super) fn registers(body: Cursor<'_>, reading: &mut Reading) {
    reading.details.insert("registers_hex", hex::encode(body.rest()));
}

/// The result of a downlink that sets registers, and the register at which it failed.
pub(super) fn set_registers(mut body: Cursor<'_>, reading: &mut Reading) -> Result<(), Undecodable> {
    const RESULTS: [(u8, &str); 7] = [
        (1, "success"),
        (2, "no-update"),
        (3, "incoherent"),
        (4, "invalid-register"),
        (5, "invalid-value"),
        (6, "truncated-value"),
        (7, "access-not-allowed"),
    ];
    reading.details.insert("request_status", word(body.u8()?, &RESULTS));
    reading.details.insert("register", body.u16_be()?);
    body.finish()
}
