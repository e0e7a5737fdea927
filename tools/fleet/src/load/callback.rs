//! Requests of the Sigfox cloud, as configured in its back end: see `docs/sigfox.md`.

use std::fmt::Write as _;

use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::profile;
use pulsegate_model::profile::Callbacks;
use pulsegate_model::uplink;
use serde_json::json;

use super::ledger::Message;

/// A message to be delivered by the callback of a device type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Callback {
    /// The message.
    pub(super) message: Message,
    /// The device type.
    pub(super) profile: &'static str,
    /// The device.
    pub(super) device: DeviceId,
    /// When the network received it.
    pub(super) at: At,
    /// Its sequence number.
    pub(super) sequence: u32,
    /// Its bytes.
    pub(super) data: Box<[u8]>,
    /// True for a status message, of which Sigfox's cloud sends no bytes.
    pub(super) is_status: bool,
}

/// A request for messages of one device type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// One callback, or the lines of a batch.
    pub(super) callbacks: Vec<Callback>,
    /// Number of repetitions so far.
    pub(super) repetitions: u8,
}

impl Request {
    /// A request for at least one callback.
    pub(super) fn new(callbacks: Vec<Callback>) -> Self {
        Self { callbacks, repetitions: 0 }
    }

    /// Device type of the callbacks.
    pub(super) fn profile(&self) -> &'static str {
        self.callbacks.first().map_or("", |callback| callback.profile)
    }

    /// The last part of the callback's path.
    pub(super) fn kind(&self) -> &'static str {
        if self.is_status() { "status" } else { "uplink" }
    }

    /// True for a status message, which is always a single callback.
    pub(super) fn is_status(&self) -> bool {
        self.callbacks.first().is_some_and(|callback| callback.is_status)
    }

    /// JSON body of a single callback, by the template of `docs/sigfox.md`.
    pub(super) fn single(&self) -> String {
        self.callbacks.first().map(Callback::body).unwrap_or_default()
    }

    /// Body of a batch: a form, into which Sigfox moves the query `?batch={batch}`.
    pub(super) fn batch(&self) -> String {
        let profile = profile::find(Network::Sigfox, self.profile());
        let pattern = profile.map_or(Callbacks::default().uplink_line, |profile| profile.callbacks.uplink_line);
        let mut lines = String::with_capacity(self.callbacks.len() * 64);
        for callback in &self.callbacks {
            callback.write_line(pattern, &mut lines);
        }
        test_kit::sigfox::batch_body(&lines)
    }
}

impl Callback {
    fn body(&self) -> String {
        if self.is_status {
            let (device, time) = (self.id(), self.at.unix().to_string());
            let number = self.sequence.to_string();
            return json!({"device": device, "time": time, "seqNumber": number, "batt": "3.6", "temp": "18.5"})
                .to_string();
        }
        let radio = Radio::of(self.message.meter, self.message.hour);
        json!({
            "device": self.id(),
            "time": self.at.unix().to_string(),
            "data": self.hex(),
            "seqNumber": self.sequence.to_string(),
            "rssi": radio.rssi,
            "snr": radio.snr,
            "station": radio.station,
        })
        .to_string()
    }

    fn write_line(&self, pattern: &str, lines: &mut String) {
        let line = pattern
            .replace("{device}", &self.id())
            .replace("{time}", &self.at.unix().to_string())
            .replace("{data}", &self.hex())
            .replace("{seqNumber}", &self.sequence.to_string());
        lines.push_str(&line);
        lines.push('\n');
    }

    /// Upper-case hex, as Sigfox has it.
    fn id(&self) -> String {
        let id = self.device.to_string();
        id.split_once(':').map_or_else(String::new, |(_, id)| id.to_owned())
    }

    fn hex(&self) -> String {
        self.data.iter().fold(String::with_capacity(self.data.len() * 2), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

struct Radio {
    rssi: String,
    snr: String,
    station: String,
}

impl Radio {
    /// Made-up reception data, a function of the message.
    fn of(meter: u32, hour: u32) -> Self {
        let lot = meter.wrapping_mul(0x9E37_79B9) ^ hour.wrapping_mul(0x85EB_CA6B);
        Self {
            rssi: format!("-{}.00", 95 + lot % 45),
            snr: format!("{}.{:02}", 6 + lot / 64 % 20, lot / 2_048 % 100),
            station: format!("{:04X}", lot / 65_536),
        }
    }
}

/// The reception data of a single callback, as they must be stored.
pub(crate) fn reception(meter: u32, hour: u32) -> uplink::Radio {
    let Radio { rssi, snr, station } = Radio::of(meter, hour);
    let decibels = |level: &str| level.parse::<f64>().ok()?.try_into().ok();
    uplink::Radio { rssi: decibels(&rssi), snr: decibels(&snr), station: station.parse().ok(), signal_quality: None }
}

#[cfg(test)]
mod tests {
    use pulsegate_model::uplink::Uplink;
    use pulsegate_pipeline::sigfox::{CallbackKind, Content, read};

    use super::*;

    fn callback(device: &str, sequence: u32) -> Callback {
        Callback {
            message: Message { meter: 7, hour: 0, counted: 0, position: 0, of: 1 },
            profile: "adeunis-pulse-v4",
            device: device.parse().unwrap(),
            at: "2026-11-20T12:00:00Z".parse().unwrap(),
            sequence,
            data: [0x46, 0x80, 0, 0, 0, 0x9F, 0, 0, 0, 2].into(),
            is_status: false,
        }
    }

    /// The uplinks that the function parses from a body.
    fn understood(body: &str) -> Vec<Uplink> {
        let profile = profile::find(Network::Sigfox, "adeunis-pulse-v4").unwrap();
        let content = Content { body: body.as_bytes(), ..Content::default() };
        let messages = read("test", CallbackKind::Uplink, profile, &content);
        assert!(messages.unreadable.is_empty() && messages.events.is_empty(), "{messages:?}");
        messages.uplinks
    }

    fn check(uplink: &Uplink, callback: &Callback) {
        assert_eq!(
            (uplink.device, uplink.at, uplink.sequence),
            (callback.device, callback.at, Some(callback.sequence))
        );
        assert_eq!(uplink.payload.bytes(), &*callback.data);
    }

    #[test]
    fn a_line_is_as_the_page_on_sigfox_has_it() {
        let request = Request::new(vec![callback("sigfox:1A2345", 42), callback("sigfox:FAF7E", 7)]);
        let body = request.batch();
        let (_, lines) = form_urlencoded::parse(body.as_bytes()).next().unwrap();
        assert_eq!(lines, "1A2345;1795176000;46800000009f00000002;42\nFAF7E;1795176000;46800000009f00000002;7\n");
    }

    #[test]
    fn a_batch_is_understood_line_by_line() {
        let request = Request::new((0..4_000).map(|n| callback(&format!("sigfox:{:X}", n + 1), n)).collect());
        let uplinks = understood(&request.batch());
        assert_eq!(uplinks.len(), 4_000);
        for uplink in &uplinks {
            check(uplink, &request.callbacks[uplink.sequence.unwrap() as usize]);
        }
    }

    #[test]
    fn a_single_body_is_understood_and_the_same_each_time() {
        let request = Request::new(vec![callback("sigfox:1A2345", 42)]);
        let uplinks = understood(&request.single());
        let [uplink] = uplinks.as_slice() else { panic!("{uplinks:?}") };
        check(uplink, &request.callbacks[0]);
        assert!(uplink.radio.rssi.is_some() && uplink.radio.snr.is_some() && uplink.radio.station.is_some());
        assert_eq!(uplink.radio, reception(7, 0));
        assert_eq!(request.single(), request.single());
    }

    #[test]
    fn a_status_message_is_understood_as_an_event_with_its_number() {
        let request = Request::new(vec![Callback { is_status: true, ..callback("sigfox:1A2345", 42) }]);
        assert_eq!(request.kind(), "status");
        let profile = profile::find(Network::Sigfox, "adeunis-pulse-v4").unwrap();
        let body = request.single();
        let content = Content { body: body.as_bytes(), ..Content::default() };
        let messages = read("test", CallbackKind::Status, profile, &content);
        let [event] = messages.events.as_slice() else { panic!("{messages:?}") };
        let row = event.numbered().unwrap();
        assert_eq!(
            (row.device.to_string(), row.at, row.sequence),
            ("sigfox:1A2345".to_owned(), request.callbacks[0].at, Some(42))
        );
        assert!(event.variables.is_empty() && event.details.battery_volts.is_some());
    }

    /// 32 bits of device ID, the longest time and number, and 12 bytes.
    #[test]
    fn the_longest_batch_is_no_longer_than_the_function_takes() {
        const MAX_CONTENT: usize = 256 * 1024;
        let longest = Callback { data: [0xFF; 12].into(), ..callback("sigfox:FFFFFFFF", 4_095) };
        let body = Request::new(vec![longest; super::super::sigfox::MAX_LINES]).batch();
        assert!(body.len() <= MAX_CONTENT, "{}", body.len());
    }
}
