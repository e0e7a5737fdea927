//! What the network says about a device, apart from its uplinks.

use serde::Deserialize;

use super::variables::Variables;
use super::{CallbackKind, Unreadable, uplink};
use crate::device::SigfoxId;
use crate::event::{
    DeviceEvent, DownlinkReport, LinkQuality, Location, Measure, Reception, Says, SequenceBreak, Source, slug,
};
use crate::profile::Profile;

/// The roll-over of the counter that Sigfox checks (<https://support.sigfox.com/docs/sequence-number:-general-knowledge>).
const SEQUENCE_NUMBERS: u32 = 4096;

/// Variables that go into a field of the event.
const KNOWN: &[&str] = &[
    "device",
    "time",
    "seqNumber",
    "data",
    "batt",
    "temp",
    "lqi",
    "linkQuality",
    "computedLocation",
    "lat",
    "lng",
    "radius",
    "geolocSource",
    "duplicates",
    "operatorName",
    "countryCode",
    "fixedLat",
    "fixedLng",
    "infoCode",
    "infoMessage",
    "downlinkAck",
    "downlinkOverusage",
    "eventType",
    "sourceId",
    "sourceType",
    "severity",
];

/// Builds the event. Without a source and a time there is no key to store it under; everything else may be absent, and
/// what cannot be read is left among the `variables`, as it came.
pub(super) fn of(kind: CallbackKind, variables: &Variables, profile: &Profile) -> Result<DeviceEvent, Unreadable> {
    let said: Vec<(&str, &str)> = variables.others(KNOWN).collect();
    Ok(DeviceEvent {
        source: source(variables)?,
        kind: kind.name().to_owned(),
        name: variables.text("eventType").map(slug),
        at: uplink::moment(variables)?,
        sequence: uplink::sequence(variables)?,
        profile: profile.uplink_name(),
        says: says(kind, variables),
        variables: crate::event::bounded(said)?,
    })
}

/// Events of a group or a device type have no device, but say whose they are.
fn source(variables: &Variables) -> Result<Source, Unreadable> {
    if variables.text("device").is_none()
        && let Some(id) = variables.text("sourceId")
    {
        return Ok(Source::of_event(variables.text("sourceType").unwrap_or_default(), id)?);
    }
    let device: SigfoxId = variables.required("device", "a device ID of one to eight hex digits")?;
    Ok(Source::from(device))
}

fn says(kind: CallbackKind, variables: &Variables) -> Says {
    let measure = |name| variables.lenient::<Measure>(name);
    Says {
        battery_volts: measure("batt"),
        temperature_celsius: measure("temp"),
        link_quality: variables.lenient("lqi").or_else(|| LinkQuality::from_number(variables.lenient("linkQuality")?)),
        location: location(kind, variables),
        // 0, 0 is how an unset one arrives.
        fixed_location: position(measure("fixedLat"), measure("fixedLng"))
            .filter(|at| at.lat != at.lng || !at.lat.is_zero()),
        receptions: json::<Vec<StationReport>>(variables, "duplicates")
            .into_iter()
            .flatten()
            .map(Reception::from)
            .collect(),
        operator: variables.lenient("operatorName"),
        country: variables.lenient("countryCode"),
        downlink: (kind == CallbackKind::Acknowledge).then(|| downlink(variables)).flatten(),
        sequence_break: sequence_break(variables),
        severity: variables.lenient("severity"),
    }
}

/// A value that is itself JSON.
fn json<'a, T: Deserialize<'a>>(variables: &'a Variables, name: &str) -> Option<T> {
    serde_json::from_str(variables.text(name)?).ok()
}

fn position(lat: Option<Measure>, lng: Option<Measure>) -> Option<Location> {
    Some(Location { lat: lat?, lng: lng?, radius_metres: None, source: None })
}

/// The computed position. In old DATA callbacks `lat` and `lng` are a station's; only GEOLOC's are the device's.
fn location(kind: CallbackKind, variables: &Variables) -> Option<Location> {
    if kind == CallbackKind::Geoloc {
        let position = position(variables.lenient("lat"), variables.lenient("lng"))?;
        let (radius_metres, source) = (variables.lenient("radius"), variables.lenient("geolocSource"));
        return Some(Location { radius_metres, source, ..position });
    }
    // Without a position (status 0) there are no coordinates.
    json::<Computed>(variables, "computedLocation").and_then(|computed| {
        let position = position(computed.lat, computed.lng)?;
        Some(Location { radius_metres: computed.radius, source: computed.source, ..position })
    })
}

fn downlink(variables: &Variables) -> Option<DownlinkReport> {
    Some(DownlinkReport {
        code: variables.lenient("infoCode")?,
        message: variables.text("infoMessage").map(|text| text.chars().take(256).collect()),
        acknowledged: variables.lenient("downlinkAck"),
        over_quota: variables.lenient("downlinkOverusage"),
    })
}

/// "Break in message sequence" tells the last number before, "out of message sequence" the one that was expected.
fn sequence_break(variables: &Variables) -> Option<SequenceBreak> {
    let received: u32 = variables.lenient("deviceMessageSeqnumber")?;
    let after_last = || Some((variables.lenient::<u32>("deviceLastSeqnumber")?.checked_add(1)?) % SEQUENCE_NUMBERS);
    let expected = variables.lenient("deviceExpectedSeqnumber").or_else(after_last)?;
    let missed = (received % SEQUENCE_NUMBERS + SEQUENCE_NUMBERS - expected % SEQUENCE_NUMBERS) % SEQUENCE_NUMBERS;
    Some(SequenceBreak { expected, received, missed })
}

/// `{computedLocation}`.
#[derive(Deserialize)]
struct Computed {
    lat: Option<Measure>,
    lng: Option<Measure>,
    radius: Option<Measure>,
    source: Option<u8>,
}

/// A member of `{duplicates}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StationReport {
    bs_id: Option<String>,
    rssi: Option<f64>,
    snr: Option<f64>,
    nb_rep: Option<u8>,
}

impl From<StationReport> for Reception {
    fn from(report: StationReport) -> Self {
        Self {
            station: report.bs_id.and_then(|id| id.parse().ok()),
            rssi: report.rssi.and_then(|level| level.try_into().ok()),
            snr: report.snr.and_then(|ratio| ratio.try_into().ok()),
            repetitions: report.nb_rep,
        }
    }
}
