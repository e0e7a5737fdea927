//! Packs with something harmless around them.

use super::*;

const TEXT: &str = r#"[{"bn":"urn:imei:490154203237518:","bu":"count","n":"A","v":1234}]"#;

fn both(codec: &Codec, frame: &[u8]) -> (Option<u64>, usize) {
    let count = match read(codec, frame).map(|reading| reading.channels.get(&Channel::A).cloned()) {
        Ok(Some(Series::Ago(counts))) => Some(counts[0].1),
        _ => None,
    };
    (count, codec.identify.unwrap().heads(frame).map_or(0, |heads| heads.len()))
}

#[test]
fn a_text_may_have_a_mark_before_it_and_white_space_and_control_characters_around_it() {
    let inner = Json::String(TEXT.to_owned()).to_string();
    for text in [
        TEXT.to_owned(),
        format!("\u{feff}{TEXT}"),
        format!("\u{feff}\r\n {TEXT}"),
        format!(" \r\n\t{TEXT}\r\n"),
        format!("{TEXT}\0"),
        format!("{TEXT}\r\n\0\0\0\0"),
        format!("{TEXT}\u{1a}"),
        inner.clone(),
        format!("\u{feff}{inner}\0"),
        Json::String(format!("{TEXT}\0")).to_string(),
        hex::encode(TEXT),
        hex::encode_upper(TEXT) + "\r\n",
    ] {
        assert_eq!(both(&JSON, text.as_bytes()), (Some(1234), 1), "{text:?}");
    }
}

#[test]
fn cbor_may_have_its_tag_before_it_and_zeros_behind_it() {
    let pack = cbor(&serde_json::from_str(TEXT).unwrap(), true);
    for frame in [
        [b"\xd9\xd9\xf7", pack.as_slice()].concat(),
        [&pack, &[0][..]].concat(),
        [&pack, &[0; 40][..]].concat(),
        hex::encode(&pack).into_bytes(),
    ] {
        assert_eq!(both(&CBOR, &frame), (Some(1234), 1), "{frame:x?}");
    }
}

#[test]
fn a_pack_that_goes_wrong_later_is_refused_and_is_its_meters() {
    for text in [
        format!("{TEXT}x"),
        format!("{TEXT}\0stale"),
        format!("{TEXT}{TEXT}"),
        format!("{},", &TEXT[..TEXT.len() - 1]),
        format!("{},{{\"n\":\"B\",\"v\":1e999}}]", &TEXT[..TEXT.len() - 1]),
    ] {
        assert_eq!(both(&JSON, text.as_bytes()), (None, 1), "{text:?}");
    }
    let pack = cbor(&serde_json::from_str(TEXT).unwrap(), true);
    for frame in [[&pack, &[0, 1][..]].concat(), [&[0x82], &pack[1..]].concat(), [&[0x9F], &pack[1..]].concat()] {
        assert_eq!(both(&CBOR, &frame), (None, 1), "{frame:x?}");
    }
    let clock = |text: &str| JSON.identify.unwrap().heads(text.as_bytes()).unwrap()[0].clock;
    assert_eq!(clock(r#"[{"bn":"urn:imei:490154203237518:","t":1795176000,"v":1}]"#), Some(at(NOW)));
    assert_eq!(clock(r#"[{"bn":"urn:imei:490154203237518:","t":1795176000,"v":1},"#), None);
}

#[test]
fn what_is_no_pack_is_nobodys() {
    let utf_16: Vec<u8> = format!("\u{feff}{TEXT}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for text in [&utf_16, &utf_16[2..], &TEXT.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()] {
        assert_eq!(both(&JSON, text), (None, 0));
        let reason = read(&JSON, text).unwrap_err().to_string();
        assert_eq!(reason, "not SenML in JSON: the text is in UTF-16, and has to be in UTF-8");
    }
    for text in
        ["", "[", "{}", "\0", "\u{feff}", "\"\"", "\"", "0", "5b7", "null", &TEXT[..40], &TEXT[1..TEXT.len() - 1]]
    {
        assert_eq!(both(&JSON, text.as_bytes()), (None, 0), "{text:?}");
        assert_eq!(both(&CBOR, text.as_bytes()), (None, 0), "{text:?}");
    }
}
