//! The variables of each kind of callback.

use pulsegate_pipeline::sigfox::CallbackKind;

/// Variables that expand to JSON. In quotes they would be invalid. All others need quotes, because some of them expand
/// to `null` or `N/A`.
pub(super) const JSON: [&str; 2] = ["duplicates", "computedLocation"];

/// Returns the body that requests all variables, one per line under its own name.
pub fn body(kind: CallbackKind) -> String {
    let member = |name: &&str| {
        let quote = if JSON.contains(name) { "" } else { "\"" };
        format!("  \"{name}\": {quote}{{{name}}}{quote}")
    };
    let members: Vec<String> = of(kind).iter().map(member).collect();
    format!("{{\n{}\n}}", members.join(",\n"))
}

/// Returns every variable of a kind, from Sigfox's page on it, which [`CallbackKind`] names. A device type whose
/// contract has no network metadata has no `rssi`, `snr`, `station` and `duplicates`, and one without geolocation no
/// `computedLocation`.
pub fn of(kind: CallbackKind) -> &'static [&'static str] {
    match kind {
        CallbackKind::Uplink => &["device", "time", "data", "seqNumber", "deviceTypeId", "rssi", "snr", "station"],
        CallbackKind::Bidir => {
            &["device", "time", "data", "seqNumber", "ack", "longPolling", "deviceTypeId", "rssi", "station"]
        }
        CallbackKind::Status => &["device", "time", "seqNumber", "batt", "temp"],
        CallbackKind::Geoloc => &["device", "time", "seqNumber", "lat", "lng", "radius", "geolocSource"],
        CallbackKind::Acknowledge => &["device", "time", "infoCode", "infoMessage", "downlinkAck", "downlinkOverusage"],
        CallbackKind::Repeater => &[
            "device",
            "time",
            "batt",
            "whitelistDevices",
            "repeatedMsg",
            "unwantedDevices",
            "unwantedMsg",
            "wrongMsg",
            "overRegulMsg",
        ],
        CallbackKind::DataAdvanced => &[
            "device",
            "time",
            "data",
            "seqNumber",
            "deviceTypeId",
            "lqi",
            "linkQuality",
            "fixedLat",
            "fixedLng",
            "operatorName",
            "countryCode",
            "duplicates",
            "computedLocation",
        ],
        CallbackKind::Error => &["device", "time", "info", "severity"],
        // The variables of all events, and those of the two events that report lost messages.
        CallbackKind::Event => &[
            "time",
            "severity",
            "sourceId",
            "sourceType",
            "eventType",
            "deviceTypeId",
            "groupId",
            "deviceLastSeqnumber",
            "deviceExpectedSeqnumber",
            "deviceMessageSeqnumber",
            "deviceInfo",
            "deviceMessageTime",
        ],
    }
}
