//! The destination of a record, and the content to send there.

use pulsegate_model::aggregate::{Aggregator, StreamRecord};
use pulsegate_model::at::At;
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::envelope::Packed;
use pulsegate_model::quarantine::{Quarantined, QuarantinedRecord, UDP_BRIDGE};
use pulsegate_model::uplink::{Kind, ProfileName, Uplink};
use pulsegate_model::{envelope, profile, record};
use pulsegate_pipeline::sigfox;
use pulsegate_pipeline::sigfox::{CallbackKind, Content, Messages};
use serde_json::Value;
use sigfox_recovery::item;
use udp_bridge::intake;
use udp_bridge::protocol::{IdentifiedUplink, Inbound, Protocol, Trust};

/// The stages that parse callbacks. Lines that are still unreadable are quarantined under the same name.
const CALLBACK: &str = "sigfox-callback";
const RECOVERY: &str = sigfox_recovery::STAGE;

/// Destinations of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The queue of `raw-sigfox`.
    RawSigfox,
    /// The stream of `raw-nbiot`.
    RawNbiot,
    /// The queue of `pulse` for Sigfox.
    PulseSigfox,
    /// The queue of `pulse` for NB-IoT.
    PulseNbiot,
}

impl Place {
    /// Its name in the template.
    pub fn name(self) -> &'static str {
        match self {
            Self::RawSigfox => "ProcessRawDataSigfox",
            Self::RawNbiot => "ProcessRawDataNbiot",
            Self::PulseSigfox => "ProcessPulseDataSigfox",
            Self::PulseNbiot => "ProcessPulseDataNbiot",
        }
    }
}

/// The destination and content of a record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route {
    pub(crate) to: Place,
    pub(crate) load: Load,
    /// Messages for quarantine: invalid lines of a batch, one by one.
    pub(crate) again: Vec<String>,
}

/// The content to send.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Load {
    /// Message bodies for a queue.
    Bodies(Vec<String>),
    /// A record for the stream.
    Record(StreamRecord),
}

/// Returns the route of a record, or the reason why it stays in quarantine. `id` is the ID of its message.
pub(crate) fn route(id: &str, kept: &QuarantinedRecord) -> Result<Route, String> {
    match kept.stage.as_str() {
        CALLBACK => callback(CALLBACK, kept),
        RECOVERY => missed(kept),
        UDP_BRIDGE => datagram(kept),
        "raw-sigfox" => as_it_is(Place::RawSigfox, kept),
        "raw-nbiot" | "pulse" if has_events(kept) => as_it_is(Place::RawSigfox, kept),
        "raw-nbiot" => Ok(to_stream(id, kept)),
        "pulse" => match network(kept).ok_or("the record has no device ID, so its network is unknown")? {
            Network::Sigfox => as_it_is(Place::PulseSigfox, kept),
            Network::Nbiot => as_it_is(Place::PulseNbiot, kept),
        },
        stage => Err(format!("no stage is called {stage:?}")),
    }
}

fn as_it_is(to: Place, kept: &QuarantinedRecord) -> Result<Route, String> {
    let body = kept.text().ok_or("the record is not text that a queue accepts")?;
    Ok(Route { to, load: Load::Bodies(vec![body.to_owned()]), again: Vec::new() })
}

fn to_stream(id: &str, kept: &QuarantinedRecord) -> Route {
    let partition_key = kept.device.map_or_else(|| id.to_owned(), |device| device.to_string());
    let record = StreamRecord { partition_key, data: kept.record().unwrap_or_default() };
    Route { to: Place::RawNbiot, load: Load::Record(record), again: Vec::new() }
}

/// Parses a datagram, as the bridge does now at the listener that received it. Its uplinks are one record of the stream:
/// nobody waits for an answer, so they may be more than the bridge takes at once.
fn datagram(kept: &QuarantinedRecord) -> Result<Route, String> {
    let received = kept.received.ok_or("the record has no time of arrival")?;
    match listener(kept)?.parse(&kept.record().unwrap_or_default()) {
        Ok(Inbound::Uplink(profile, opened, _)) => {
            let (key, mut record) = (opened.device.to_string(), Aggregator::default());
            opened.each(|opened| {
                let mut data = Vec::new();
                record::encode(&uplink(profile.uplink_name(), opened, received), &mut data);
                record.add(|| key.clone(), &data);
            });
            let record = record.close().ok_or("the datagram has no uplink")?;
            Ok(Route { to: Place::RawNbiot, load: Load::Record(record), again: Vec::new() })
        }
        Ok(Inbound::Wrong(refusal, _)) | Err(refusal) => Err(format!("still rejected: {refusal}")),
        Ok(Inbound::Settled(_) | Inbound::Asked(_)) => Err("the datagram has no uplink".to_owned()),
    }
}

/// The protocol of the trusted listener that received a datagram. Only listeners for CoAP have no profile.
fn listener(kept: &QuarantinedRecord) -> Result<Protocol, String> {
    match &kept.profile {
        Some(name) => {
            let profile = profile::find(Network::Nbiot, name).filter(|profile| profile.codec.identify.is_some());
            let profile = profile.ok_or_else(|| format!("{name:?} is not a profile whose datagrams can be read"))?;
            Ok(Protocol::in_the_clear(profile, true))
        }
        None if kept.listener.as_ref().is_some_and(|listener| listener.starts_with("coap:")) => {
            Ok(Protocol::Coap(Trust::InTheClear))
        }
        None => Err("the record names no profile".to_owned()),
    }
}

/// The uplink with its time: that of the device's clock, if that was possible on arrival, or that of the arrival.
fn uplink(profile: ProfileName, opened: IdentifiedUplink, received: At) -> Uplink {
    let IdentifiedUplink { device, clock, sequence, radio, payload, .. } = opened;
    let (at, time_source) = intake::dated(clock, false, received);
    Uplink { device, kind: Kind::Data, at, time_source, sequence, profile, payload, radio }
}

/// True if the record has device events. Only the stage `raw-sigfox` stores them; they were sent to another stage.
fn has_events(kept: &QuarantinedRecord) -> bool {
    kept.text().and_then(|text| envelope::unpack(text.as_bytes()).ok()).is_some_and(|held| !held.events.is_empty())
}

/// Returns the network of the record's device, also if the rest of the record is unreadable.
fn network(kept: &QuarantinedRecord) -> Option<Network> {
    let written = || {
        let envelope: Value = serde_json::from_str(kept.text()?).ok()?;
        envelope["uplinks"][0]["device"].as_str()?.parse::<DeviceId>().ok()
    };
    kept.device.or_else(written).map(DeviceId::network)
}

/// Parses a callback, or a line of one, as the functions do now.
fn callback(stage: &'static str, kept: &QuarantinedRecord) -> Result<Route, String> {
    let name = kept.profile.as_deref().ok_or("the record names no profile")?;
    let profile =
        profile::find(Network::Sigfox, name).ok_or_else(|| format!("no Sigfox profile is called {name:?}"))?;
    let kind = kept.callback.as_deref().ok_or("the record names no kind of callback")?;
    let kind: CallbackKind = kind.parse().map_err(|e: sigfox::UnknownKind| e.to_string())?;
    let body = kept.record().unwrap_or_default();
    let content = Content { body: &body, query: kept.query.as_deref().unwrap_or_default(), extra: Vec::new() };
    read(&sigfox::read(stage, kind, profile, &content))
}

/// Parses an item of Sigfox's list of undelivered callbacks, or a line of a batch in one.
fn missed(kept: &QuarantinedRecord) -> Result<Route, String> {
    let listed = serde_json::from_slice::<Value>(&kept.record().unwrap_or_default()).ok();
    let Some(listed) = listed.filter(|listed| listed["callback"].is_object()) else {
        return callback(RECOVERY, kept);
    };
    match item::read(&listed) {
        item::Item::Missed(missed) => read(&missed.read()),
        item::Item::Foreign => Err("the callback is for another service".to_owned()),
        item::Item::Unreadable(record) => Err(record.reason().to_owned()),
    }
}

/// Builds the route of parsed messages. It answers no downlink, because the device no longer listens.
fn read(messages: &Messages) -> Result<Route, String> {
    let packed = envelope::pack(&messages.uplinks).into_iter().chain(envelope::pack_events(&messages.events));
    let bodies: Vec<String> = packed.map(|Packed { body, .. }| body).collect();
    if bodies.is_empty() {
        let reason = messages.unreadable.first().map(Quarantined::reason);
        return Err(format!("still unreadable: {}", reason.unwrap_or("it is empty")));
    }
    let again = messages.unreadable.iter().map(Quarantined::to_message).collect();
    Ok(Route { to: Place::RawSigfox, load: Load::Bodies(bodies), again })
}
