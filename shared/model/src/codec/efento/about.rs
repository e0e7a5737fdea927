//! Messages of a device about itself: its configuration, and device info.

use std::fmt::Display;

use super::message::{Configuration, DeviceInfo, Modem, Runtime, Update};
use super::{insert_time, insert_token};
use crate::codec::{Details, Reading, Undecodable};

/// The longest serial number accepted, in bytes: longer than any known one.
const MAX_SERIAL: usize = 16;

/// The part of a reading that all messages have in common.
pub(super) fn reading(serial: &[u8]) -> Result<Reading, Undecodable> {
    if !(1..=MAX_SERIAL).contains(&serial.len()) {
        return Err(Undecodable::Form("a message without the device's serial number"));
    }
    let mut reading = Reading::default();
    reading.details.insert("serial", hex::encode_upper(serial));
    Ok(reading)
}

pub(super) fn configuration(message: &Configuration) -> Result<Reading, Undecodable> {
    let mut reading = Reading { frame: "configuration", ..reading(&message.serial)? };
    let details = &mut reading.details;
    for (name, value) in [
        ("period_base_s", message.period_base),
        ("period_factor", message.period_factor),
        ("transmission_interval_s", message.transmission_interval),
        ("ack_interval_s", message.ack_interval),
        ("transfer_limit", message.transfer_limit),
        ("transfer_limit_timer_s", message.transfer_limit_timer),
        ("supervision_period_s", message.supervision_period),
        ("config_hash", message.config_hash),
    ] {
        insert_set(details, name, value);
    }
    // Of a configuration that is sent in parts: -1, -2, and so on; the last has the number of parts.
    insert_set(details, "payload_split", message.payload_split);
    insert_list(details, "channel_types", &message.channel_kinds);
    insert_list(details, "errors", &message.errors);
    insert_time(details, "error_at", message.error_at);
    insert_time(details, "config_hash_at", message.config_hash_at);
    insert_token(details, &message.cloud_token);
    Ok(reading)
}

pub(super) fn device_info(message: &DeviceInfo) -> Result<Reading, Undecodable> {
    let mut reading = Reading { frame: "device-info", ..reading(&message.serial)? };
    let details = &mut reading.details;
    // 0x060A is 6.10.
    insert_set(details, "software", message.software);
    if !message.commit.is_empty() {
        details.insert("software_commit", message.commit.as_str());
    }
    insert_list(details, "memory_statistics", &message.memory_statistics);
    insert_token(details, &message.cloud_token);
    if let Some(runtime) = &message.runtime {
        insert_runtime(details, runtime);
    }
    if let Some(Modem { kind, parameters }) = &message.modem {
        details.insert("modem", *kind);
        insert_list(details, "modem_parameters", parameters);
    }
    if let Some(Update { at, status }) = &message.update {
        insert_time(details, "updated_at", *at);
        details.insert("update_status", *status);
    }
    Ok(reading)
}

fn insert_runtime(details: &mut Details, runtime: &Runtime) {
    details.insert("up_time_s", runtime.up_time);
    insert_list(details, "message_counters", &runtime.message_counters);
    insert_set(details, "min_battery_mv", runtime.min_battery_mv);
    insert_time(details, "battery_reset_at", runtime.battery_reset_at);
    for (name, celsius) in [
        ("mcu_celsius", runtime.mcu_celsius),
        ("min_battery_mcu_celsius", runtime.min_battery_mcu_celsius),
        ("max_mcu_celsius", runtime.max_mcu_celsius),
        ("min_mcu_celsius", runtime.min_mcu_celsius),
    ] {
        details.insert(name, celsius);
    }
    insert_list(details, "errors", &runtime.errors);
}

/// Adds a number; zero means that it is absent.
fn insert_set<T: Into<i64>>(details: &mut Details, name: &'static str, value: T) {
    let value = value.into();
    if value != 0 {
        details.insert(name, value);
    }
}

/// Adds numbers in the order of the schema, which names each position.
fn insert_list(details: &mut Details, name: &'static str, numbers: &[impl Display]) {
    if !numbers.is_empty() {
        details.insert(name, numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    }
}
