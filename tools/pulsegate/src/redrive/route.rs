//! Where a record goes back to, and as what.

use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::envelope::Packed;
use pulsegate_model::quarantine::{Quarantined, QuarantinedRecord};
use pulsegate_model::{envelope, profile};
use pulsegate_pipeline::sigfox;
use pulsegate_pipeline::sigfox::{CallbackKind, Content, Messages};
use serde_json::Value;
use sigfox_recovery::item;

/// The stages that read callbacks. They say so in quarantine, too, of what is unreadable in them still.
const CALLBACK: &str = "sigfox-callback";
const RECOVERY: &str = sigfox_recovery::STAGE;

/// Where records go back to.
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

/// What to do with a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    pub(super) to: Place,
    pub(super) load: Load,
    /// What of it goes to quarantine again, by itself: bad lines of a batch.
    pub(super) again: Vec<String>,
}

/// What to send.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Load {
    /// To a queue.
    Bodies(Vec<String>),
    /// To the stream.
    Record(StreamRecord),
}

/// Where a record goes, or why it stays. `id` is its message's.
pub(super) fn route(id: &str, kept: &QuarantinedRecord) -> Result<Route, String> {
    match kept.stage.as_str() {
        CALLBACK => callback(CALLBACK, kept),
        RECOVERY => missed(kept),
        "raw-sigfox" => as_it_is(Place::RawSigfox, kept),
        "raw-nbiot" | "pulse" if has_events(kept) => as_it_is(Place::RawSigfox, kept),
        "raw-nbiot" => Ok(to_stream(id, kept)),
        "pulse" => match network(kept).ok_or("nothing in the record tells its network")? {
            Network::Sigfox => as_it_is(Place::PulseSigfox, kept),
            Network::Nbiot => as_it_is(Place::PulseNbiot, kept),
        },
        stage => Err(format!("no stage is called {stage:?}")),
    }
}

fn as_it_is(to: Place, kept: &QuarantinedRecord) -> Result<Route, String> {
    let body = kept.text().ok_or("the record is no text that a queue takes")?;
    Ok(Route { to, load: Load::Bodies(vec![body.to_owned()]), again: Vec::new() })
}

fn to_stream(id: &str, kept: &QuarantinedRecord) -> Route {
    let partition_key = kept.device.map_or_else(|| id.to_owned(), |device| device.to_string());
    let record = StreamRecord { partition_key, data: kept.record().unwrap_or_default() };
    Route { to: Place::RawNbiot, load: Load::Record(record), again: Vec::new() }
}

/// Device events that were sent to a stage without a place for them. The one that has is `raw-sigfox`.
fn has_events(kept: &QuarantinedRecord) -> bool {
    kept.text().and_then(|text| envelope::unpack(text.as_bytes()).ok()).is_some_and(|held| !held.events.is_empty())
}

/// The network of the device it is of, even where nothing else of it can be read.
fn network(kept: &QuarantinedRecord) -> Option<Network> {
    let written = || {
        let envelope: Value = serde_json::from_str(kept.text()?).ok()?;
        envelope["uplinks"][0]["device"].as_str()?.parse::<DeviceId>().ok()
    };
    kept.device.or_else(written).map(DeviceId::network)
}

/// A callback, or a line of one, read as it would be if it came now.
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

/// What was on the list of callbacks that Sigfox could not deliver: a whole item of it, or a line of a batch.
fn missed(kept: &QuarantinedRecord) -> Result<Route, String> {
    let listed = serde_json::from_slice::<Value>(&kept.record().unwrap_or_default()).ok();
    let Some(listed) = listed.filter(|listed| listed["callback"].is_object()) else {
        return callback(RECOVERY, kept);
    };
    match item::read(&listed) {
        item::Item::Missed(missed) => read(&missed.read()),
        item::Item::Foreign => Err("it is a callback to somebody else".to_owned()),
        item::Item::Unreadable(record) => Err(record.reason().to_owned()),
    }
}

/// Nobody waits for a downlink any more, so none is answered.
fn read(messages: &Messages) -> Result<Route, String> {
    let packed = envelope::pack(&messages.uplinks).into_iter().chain(envelope::pack_events(&messages.events));
    let bodies: Vec<String> = packed.map(|Packed { body, .. }| body).collect();
    if bodies.is_empty() {
        let reason = messages.unreadable.first().map(Quarantined::reason);
        return Err(format!("still unreadable: {}", reason.unwrap_or("there is nothing in it")));
    }
    let again = messages.unreadable.iter().map(Quarantined::to_message).collect();
    Ok(Route { to: Place::RawSigfox, load: Load::Bodies(bodies), again })
}
