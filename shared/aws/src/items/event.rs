//! The item of the events table.

use std::collections::BTreeMap;

use pulsegate_model::at::At;
use pulsegate_model::event::{DeviceEvent, EventDetails, Source};
use pulsegate_model::uplink::ProfileName;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct EventItem<'a> {
    device: &'a Source,
    event: String,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    profile: &'a ProfileName,
    #[serde(flatten)]
    details: &'a EventDetails,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: &'a BTreeMap<String, String>,
    expires_at: i64,
}

impl<'a> EventItem<'a> {
    pub(super) fn new(event: &'a DeviceEvent, arrived: At, retention_days: u32) -> Self {
        Self {
            device: &event.source,
            event: event.key(),
            kind: &event.kind,
            name: event.name.as_deref(),
            profile: &event.profile,
            details: &event.details,
            variables: &event.variables,
            expires_at: arrived.expires_at(retention_days),
        }
    }
}
