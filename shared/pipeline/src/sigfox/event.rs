//! Builds device events: what the network reports about a device, apart from its uplinks.

use std::collections::BTreeMap;

use pulsegate_model::device::SigfoxId;
use pulsegate_model::event::{
    DeviceEvent, DownlinkReport, EventDetails, LinkQuality, Location, Measure, Reception, SequenceBreak, Source, slug,
};
use pulsegate_model::profile::Profile;
use serde_json::{Map, Value};

use super::value::{Value as _, member};
use super::variables::Variables;
use super::{CallbackError, CallbackKind, uplink};
use crate::downlink::MAX_MESSAGE;

/// The modulus of the counter that Sigfox checks
/// (<https://support.sigfox.com/docs/sequence-number:-general-knowledge>).
const SEQUENCE_NUMBERS: u32 = 4096;

/// The most stations of one event. In dense areas ten to twenty stations receive an uplink.
const MAX_RECEPTIONS: usize = 64;

/// Builds the event. Requires a source and a time, which form its key; everything else may be absent. Values that
/// cannot be parsed stay in `variables` unchanged.
pub(super) fn of(kind: CallbackKind, variables: &Variables, profile: &Profile) -> Result<DeviceEvent, CallbackError> {
    let event = DeviceEvent {
        source: source(variables)?,
        kind: kind.name().to_owned(),
        name: variables.text("eventType").map(slug),
        at: uplink::moment(variables)?,
        sequence: uplink::sequence(variables)?,
        profile: profile.uplink_name(),
        details: details(kind, variables),
        variables: BTreeMap::new(),
    };
    if kind == CallbackKind::DataAdvanced {
        // `data` belongs to the uplink: mark it as read, so that it does not stay in `variables`.
        variables.text("data");
    }
    Ok(DeviceEvent { variables: pulsegate_model::event::bounded(variables.unread())?, ..event })
}

/// Events of a group or a device type have no device; `sourceType` and `sourceId` name their source.
fn source(variables: &Variables) -> Result<Source, CallbackError> {
    if variables.text("device").is_none()
        && let Some(id) = variables.text("sourceId")
    {
        let kind = variables.text("sourceType").unwrap_or_default();
        let device = SigfoxId::read(id).filter(|_| kind.is_empty() || kind.eq_ignore_ascii_case("device"));
        return Ok(device.map_or_else(|| Source::of_event(kind, id), |device| Ok(device.into()))?);
    }
    let device: SigfoxId = variables.required("device", "a device ID of one to eight hex digits")?;
    Ok(Source::from(device))
}

fn details(kind: CallbackKind, variables: &Variables) -> EventDetails {
    EventDetails {
        battery_volts: variables.lenient("batt"),
        temperature_celsius: variables.lenient("temp"),
        link_quality: variables.lenient("lqi").or_else(|| LinkQuality::from_number(variables.lenient("linkQuality")?)),
        location: location(kind, variables),
        // An unset position arrives as 0, 0.
        fixed_location: position(variables, "fixedLat", "fixedLng").filter(|at| !at.lat.is_zero() || !at.lng.is_zero()),
        receptions: receptions(variables),
        operator: variables.lenient("operatorName"),
        country: variables.lenient("countryCode"),
        downlink: (kind == CallbackKind::Acknowledge).then(|| downlink(variables)).flatten(),
        sequence_break: sequence_break(variables),
        severity: variables.lenient("severity"),
    }
}

/// Parses two variables that have a meaning only together; `None` unless both are valid.
fn pair<T: super::value::Value>(variables: &Variables, a: &str, b: &str) -> Option<(T, T)> {
    T::read(variables.peek(b)?)?;
    Some((variables.lenient(a)?, variables.lenient(b)?))
}

fn position(variables: &Variables, lat: &str, lng: &str) -> Option<Location> {
    pair(variables, lat, lng).map(|(lat, lng)| Location { lat, lng, radius_metres: None, source: None })
}

/// Returns the computed position of the device. In old DATA callbacks `lat` and `lng` are the position of a station;
/// only in GEOLOC are they the device's.
fn location(kind: CallbackKind, variables: &Variables) -> Option<Location> {
    if kind == CallbackKind::Geoloc {
        let position = position(variables, "lat", "lng")?;
        let (radius_metres, source) = (variables.lenient("radius"), variables.lenient("geolocSource"));
        return Some(Location { radius_metres, source, ..position });
    }
    // Without a position (status 0) there are no coordinates.
    let computed: Map<String, Value> = variables
        .lookup("computedLocation", |text| {
            let computed: Map<String, Value> = serde_json::from_str(text).ok()?;
            // An object with further members (how the position was computed, which places it is) also stays in
            // `variables`.
            let plain = |(name, value): (&String, &Value)| match name.as_str() {
                "lat" | "lng" | "radius" => member::<Measure>(value).is_some(),
                "source" => member::<u8>(value).is_some(),
                "status" => member(value) == Some(1_u8),
                _ => false,
            };
            computed.iter().all(plain).then_some(computed)
        })
        .or_else(|| serde_json::from_str(variables.peek("computedLocation")?).ok())?;
    Some(Location {
        lat: computed.get("lat").and_then(member)?,
        lng: computed.get("lng").and_then(member)?,
        radius_metres: computed.get("radius").and_then(member),
        source: computed.get("source").and_then(member),
    })
}

/// Parses the stations of `{duplicates}` as far as possible. If anything is left over, the text also stays in
/// `variables`.
fn receptions(variables: &Variables) -> Vec<Reception> {
    let parse = |text: &str| serde_json::from_str::<Vec<Map<String, Value>>>(text).ok();
    let read = |reports: &[Map<String, Value>]| reports.iter().take(MAX_RECEPTIONS).map(reception).collect::<Vec<_>>();
    let whole = variables.lookup("duplicates", |text| {
        let reports = parse(text)?;
        let stations = read(&reports);
        let complete = reports.iter().zip(&stations).all(|(report, station)| report.len() == fields(station));
        (complete && reports.len() <= MAX_RECEPTIONS).then_some(stations)
    });
    whole.or_else(|| Some(read(&parse(variables.peek("duplicates")?)?))).unwrap_or_default()
}

fn reception(report: &Map<String, Value>) -> Reception {
    Reception {
        station: report.get("bsId").and_then(Value::as_str).and_then(|id| id.parse().ok()),
        rssi: report.get("rssi").and_then(member),
        snr: report.get("snr").and_then(member),
        repetitions: report.get("nbRep").and_then(member),
    }
}

/// The number of members of the report that were parsed.
fn fields(station: &Reception) -> usize {
    let Reception { station, rssi, snr, repetitions } = station;
    [station.is_some(), rssi.is_some(), snr.is_some(), repetitions.is_some()].into_iter().map(usize::from).sum()
}

fn downlink(variables: &Variables) -> Option<DownlinkReport> {
    Some(DownlinkReport {
        code: variables.lenient("infoCode")?,
        message: variables.text("infoMessage").map(|text| text.chars().take(MAX_MESSAGE).collect()),
        acknowledged: variables.lenient("downlinkAck"),
        over_quota: variables.lenient("downlinkOverusage"),
    })
}

/// "Break in message sequence" contains the last number before the break, "out of message sequence" the expected
/// number.
fn sequence_break(variables: &Variables) -> Option<SequenceBreak> {
    let at_once = || pair::<u32>(variables, "deviceMessageSeqnumber", "deviceExpectedSeqnumber");
    let after_last = || {
        let (received, last) = pair::<u32>(variables, "deviceMessageSeqnumber", "deviceLastSeqnumber")?;
        Some((received, (last % SEQUENCE_NUMBERS + 1) % SEQUENCE_NUMBERS))
    };
    let (received, expected) = at_once().or_else(after_last)?;
    let missed = (received % SEQUENCE_NUMBERS + SEQUENCE_NUMBERS - expected % SEQUENCE_NUMBERS) % SEQUENCE_NUMBERS;
    Some(SequenceBreak { expected, received, missed })
}
