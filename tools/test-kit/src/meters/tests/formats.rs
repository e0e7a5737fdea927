//! The frames, byte for byte, and what the codecs decode.

use super::super::frames::{Log, Report};
use super::super::setting::Setting;
use super::*;

/// A meter at 2026-11-20T12:00:00Z. A log is seconds before that, and the count then.
fn report(logs: &[(i64, i64)]) -> Report {
    let now = 1_795_176_000;
    let log = |&(before, counted): &(i64, i64)| Log {
        at: pulsegate_model::at::At::from_unix(now - before).unwrap(),
        is_undated: false,
        counted,
        a: 1_000 + counted.cast_unsigned(),
        b: 50 + counted.cast_unsigned() / 4,
        is_garbled: false,
    };
    Report {
        setting: Setting::Usual,
        pulses: 0,
        device: "nbiot:282C02424EED".parse().unwrap(),
        modem: "490154203237518".parse().unwrap(),
        at: pulsegate_model::at::At::from_unix(now).unwrap(),
        sequence: 42,
        logs: logs.iter().map(log).collect(),
        leaks: false,
        low_battery: false,
        battery_mv: 3_610,
        signal: 23,
    }
}

fn check(profile: &str, report: &Report, expected: &[&str]) {
    let frames = (kinds::find(profile).unwrap().write)(report);
    assert_eq!(frames.iter().map(hex::encode).collect::<Vec<_>>(), expected, "{profile}");
}

/// Hourly logs: 27 pulses in the last hour, none in the one before it, 73 in that before.
const HOURS: [(i64, i64); 4] = [(0, 300), (3_600, 273), (7_200, 273), (10_800, 200)];

#[test]
fn adeunis_frames_are_as_the_documents_draw_them() {
    let hours = report(&HOURS);
    check("adeunis-pulse-v4", &hours, &["4640000005140000007d"]);
    check("adeunis-pulse-v4-1h", &hours, &["5a4000000514001b00000049"]);
    check("adeunis-pulse-v3-1h", &hours, &["5a4000000514001b00000049"]);
    let head = "0490154203237518170000002a";
    check("adeunis-pulse4-nbiot", &hours, &[&format!("{head}4644000005140000007d1a1e0f40")]);
    check("adeunis-pulse4-nbiot-1h", &hours, &[&format!("{head}5a4400000514001b000000491a1e0f40")]);
    let low = Report { low_battery: true, ..hours };
    check("adeunis-pulse-v4", &low, &["4642000005140000007d"]);
}

#[test]
fn a_series_is_one_frame_with_the_first_log_and_three_with_what_was_counted_since() {
    let logs = report(&[(0, 330), (600, 325), (1_200, 316), (1_800, 312), (2_400, 302), (3_000, 300)]);
    let frames = ["484000000005140000007d", "48600100020000000a0003", "4880020004000100090002", "48a00300050001"];
    check("adeunis-pulse-v2-10min", &logs, &frames);
}

#[test]
fn dragino_frames_are_as_the_decoders_read_them() {
    let mut report = report(&HOURS);
    let imei = "f490154203237518";
    let log = ["000004f96b002830", "000004f96b001a20", "000004b06b000c10", &"00".repeat(5 * 8)].concat();
    let own = "00000000000000000514";
    check("dragino-sw3l-nb", &report, &[&format!("{imei}01790e1a17{own}6b003640{log}")]);
    let record = |count: &str, time: &str| format!("00{count}000000{time}");
    let log = [record("0004f9", "6b002830"), record("0004f9", "6b001a20"), record("0004b0", "6b000c10")].concat();
    let log = log + &"00".repeat(5 * 11);
    check("dragino-cpn01-nb", &report, &[&format!("{imei}00790e1a17010000000005140000006b003640{log}")]);
    report.leaks = true;
    report.logs.truncate(1);
    let log = "00".repeat(8 * 8);
    check("dragino-sw3l-nb", &report, &[&format!("{imei}01790e1a17000001000000000005146b003640{log}")]);
}

#[test]
fn a_pack_of_senml_says_what_the_standard_asks_for_and_the_same_in_both_forms() {
    let report = report(&HOURS[..2]);
    let text = r#"[{"bn":"urn:imei:490154203237518:","bt":1795176000,"bu":"count","n":"A","v":1300},{"n":"A","v":1273,"t":-3600},{"n":"battery","u":"V","v":3.61}]"#;
    let json = (kinds::find("senml-json").unwrap().write)(&report).concat();
    assert_eq!(String::from_utf8(json).unwrap(), text);
    let base = "a521781975726e3a696d65693a3439303135343230333233373531383a221a6b0036402365636f756e7400614102190514";
    let cbor = [base, "a3006141021904f906390e0f", "a300676261747465727901615602fb400ce147ae147ae1"].concat();
    check("senml-cbor", &report, &[&format!("83{cbor}")]);
}

#[test]
fn an_efento_message_has_major_and_minor_samples() {
    let report = report(&[(0, 310), (900, 302), (1_800, 299), (2_700, 290)]);
    let head = "0a06282c02424eed1001183c";
    let major = "2210081910b4d780d80620602a0400000808";
    let minor = "2213081810b4d780d80620b8082a06006c9f08bf07";
    let tail = "28d08881d8063817400f82010f343930313534323033323337353138";
    check("efento", &report, &[&[head, major, minor, tail].concat()]);
}
