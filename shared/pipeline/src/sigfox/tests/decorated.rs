//! Property tests: what relays change about a callback without changing its content changes nothing.

use super::*;

/// The spelling of a relay: an index for each kind of value.
#[derive(Debug, Clone, Copy)]
struct Spelling {
    number: usize,
    device: usize,
    data: usize,
    absent: usize,
    around: usize,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    (0..9_usize, 0..6_usize, 0..5_usize, 0..10_usize, 0..5_usize)
        .prop_map(|(number, device, data, absent, around)| Spelling { number, device, data, absent, around })
}

impl Spelling {
    /// Writes a number. `text` may have a sign and a fraction.
    fn number(self, text: &str) -> String {
        let (unsigned, sign) = text.strip_prefix('-').map_or((text, ""), |unsigned| (unsigned, "-"));
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        match self.number {
            0 if sign.is_empty() => format!("+{text}"),
            1 => format!("{sign}00{unsigned}"),
            2 => format!("{sign}{whole}.{fraction}00"),
            3 => format!("{sign}{whole}{fraction}e-{}", fraction.len()),
            4 => format!("{sign}{whole}{fraction}000E-{}", fraction.len() + 3),
            5 => format!("{sign}0.{whole}{fraction}e+{}", whole.len()),
            6 if fraction.is_empty() => format!("{text}."),
            _ => text.to_owned(),
        }
    }

    fn device(self, text: &str) -> String {
        match self.device {
            0 => format!("0x{text}"),
            1 => format!("0X{text:0>8}"),
            2 => format!("sigfox:{text}"),
            3 => format!("{text:0>16}"),
            _ => text.to_owned(),
        }
    }

    fn data(self, text: &str) -> String {
        let bytes: Vec<&str> = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
        match self.data {
            0 => bytes.join(" "),
            1 => bytes.join(":"),
            2 => bytes.iter().map(|byte| format!("0x{byte}")).collect::<Vec<_>>().join("-"),
            3 if !text.is_empty() => format!("0x{text}"),
            _ => text.to_owned(),
        }
    }

    fn absent(self) -> &'static str {
        ["None", "NaN", "undefined", "-", "n/a", "", "{rssi}", "(null)", "-Infinity", "null"][self.absent]
    }

    fn around(self, text: &str) -> String {
        match self.around {
            0 => format!(" \t{text}\r\n"),
            1 => format!("\"{text}\""),
            2 => format!("'{text}'"),
            3 => format!("\u{FEFF} \" {text}\0\""),
            _ => text.to_owned(),
        }
    }

    /// Writes one of Sigfox's variables.
    fn value(self, name: &str, text: &str) -> String {
        let spelled = match name {
            "device" => self.device(text),
            "data" => self.data(text),
            _ if ["null", "N/A"].contains(&text) => self.absent().to_owned(),
            "station" => text.to_owned(),
            _ => self.number(text),
        };
        self.around(&spelled)
    }
}

/// The body as a relay passes it on.
fn wrapped(json: &str, how: usize) -> Vec<u8> {
    let utf16 = |unit: fn(u16) -> [u8; 2], text: &str| text.encode_utf16().flat_map(unit).collect();
    match how {
        0 => format!("\u{FEFF}{json}\0\r\n").into_bytes(),
        1 => serde_json::to_vec(json).unwrap(),
        2 => serde_json::to_vec(&serde_json::to_string(&format!("\u{FEFF}{json}")).unwrap()).unwrap(),
        3 => format!("[{json}]").into_bytes(),
        4 => utf16(u16::to_le_bytes, &format!("\u{FEFF}{json}\0")),
        5 => utf16(u16::to_be_bytes, &format!("\u{FEFF}{json}")),
        6 => utf16(u16::to_le_bytes, json),
        7 => form_urlencoded::byte_serialize(json.as_bytes()).chain(["="]).collect::<String>().into_bytes(),
        8 => form(&[("payload", json.to_owned())]).into_bytes(),
        9 => serde_json::to_vec(&serde_json::json!({"Message": json})).unwrap(),
        10 => format!("{{\"messages\": [{json}]}}").into_bytes(),
        _ => json.as_bytes().to_vec(),
    }
}

fn object(values: &[(&str, String)]) -> String {
    serde_json::json!(values.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()).to_string()
}

proptest! {
    #[test]
    fn no_decoration_of_a_body_or_its_values_changes_the_uplink(
        rendered in rendered(), names in names(), spelling in spelling(), how in 0..12_usize, as_form: bool
    ) {
        let values: Vec<_> = rendered.values.iter().zip(names)
            .map(|((name, text), own)| (own, spelling.value(name, text))).collect();
        let body = if as_form { form(&values).into_bytes() } else { wrapped(&object(&values), how) };
        check(of(CallbackKind::Uplink, &Content { body: &body, ..Content::default() }), &[rendered.uplink])?;
    }

    #[test]
    fn no_decoration_of_a_line_changes_the_uplink(rendered in rendered(), mut spelling in spelling()) {
        // White space and marks around a value would be white space at the end of a line.
        spelling.around = if spelling.around == 1 { 1 } else { 4 };
        spelling.data = 4;
        // `{rssi}` would be replaced in the line itself.
        spelling.absent %= 6;
        let line = rendered.values.iter().fold(PROFILE.callbacks.uplink_line.to_owned(), |line, (name, text)| {
            line.replace(&format!("{{{name}}}"), &spelling.value(name, text))
        });
        let uplink = Uplink { radio: Radio::default(), ..rendered.uplink };
        check(of(CallbackKind::Uplink, &Content { body: line.as_bytes(), ..Content::default() }), &[uplink])?;
    }

    #[test]
    fn no_decoration_changes_an_event(
        device: u32, time in 300_000_000..4_000_000_000_i64, sequence in proptest::option::of(0..4096_u32),
        battery in proptest::option::of(0..500_i32), temperature in proptest::option::of(-4000..8000_i32),
        spelling in spelling(), how in 0..12_usize,
    ) {
        let hundredths = |n: Option<i32>| n.map_or("null".to_owned(), |n| format!("{:.2}", f64::from(n) / 100.0));
        let values = [
            ("device", format!("{device:X}")), ("time", time.to_string()), ("batt", hundredths(battery)),
            ("seqNumber", sequence.map_or("null".to_owned(), |n| n.to_string())), ("temp", hundredths(temperature)),
        ];
        let plain = of(CallbackKind::Status, &Content { body: object(&values).as_bytes(), ..Content::default() });
        let values = values.map(|(name, text)| (name, spelling.value(name, &text)));
        let body = wrapped(&object(&values), how);
        let decorated = of(CallbackKind::Status, &Content { body: &body, ..Content::default() });
        prop_assert_eq!(decorated.unreadable, []);
        prop_assert_eq!(plain.events.len(), 1);
        prop_assert_eq!(decorated.events, plain.events);
    }

    #[test]
    fn several_messages_in_one_body_are_all_read_and_the_bad_ones_are_kept(
        rendered in proptest::collection::vec(rendered(), 2..6), bad in 0..6_usize, lines: bool
    ) {
        let mut objects: Vec<String> = rendered.iter().map(|rendered| object(&rendered.values)).collect();
        let bad_one = r#"{"device": "XYZ", "time": 1}"#.to_owned();
        objects.insert(bad.min(objects.len()), bad_one.clone());
        let body = if lines { objects.join("\n") } else { format!("[{}]", objects.join(", ")) };
        let messages = of(CallbackKind::Uplink, &Content { body: body.as_bytes(), ..Content::default() });
        let uplinks: Vec<Uplink> = rendered.into_iter().map(|rendered| rendered.uplink).collect();
        prop_assert_eq!(messages.uplinks, uplinks);
        prop_assert_eq!(messages.unreadable.len(), 1);
        let record = pulsegate_model::quarantine::QuarantinedRecord::from_message(&messages.unreadable[0].to_message())?;
        prop_assert_eq!(record.record()?, bad_one.into_bytes());
    }

    #[test]
    fn what_cannot_be_read_is_kept_byte_for_byte(body: Vec<u8>, how in 0..12_usize, json in "[\\[{]\\PC{0,30}") {
        for body in [body, wrapped(&json, how)] {
            let messages = of(CallbackKind::Uplink, &Content { body: &body, ..Content::default() });
            if let ([], [only]) = (messages.uplinks.as_slice(), messages.unreadable.as_slice()) {
                let record = pulsegate_model::quarantine::QuarantinedRecord::from_message(&only.to_message())?;
                prop_assert_eq!(record.record()?, body);
            }
        }
    }
}
