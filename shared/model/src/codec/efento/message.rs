//! The messages, with the fields that are read. Other fields are skipped, as protobuf specifies.

use prost::Message;

/// `ProtoMeasurements`, by POST to `m`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Measurements {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) serial: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub(super) battery_ok: bool,
    #[prost(uint32, tag = "3")]
    pub(super) period_base: u32,
    #[prost(message, repeated, tag = "4")]
    pub(super) channels: Vec<Samples>,
    #[prost(uint32, tag = "5")]
    pub(super) next_transmission_at: u32,
    #[prost(uint32, tag = "6")]
    pub(super) transfer_reason: u32,
    #[prost(uint32, tag = "7")]
    pub(super) signal: u32,
    #[prost(uint32, tag = "8")]
    pub(super) period_factor: u32,
    #[prost(uint32, tag = "9")]
    pub(super) config_hash: u32,
    /// A string in the schema. Read as bytes, so that an invalid string does not fail the counts beside it.
    #[prost(bytes = "vec", tag = "16")]
    pub(super) cloud_token: Vec<u8>,
}

/// `ProtoChannel`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Samples {
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
    #[prost(int32, tag = "2")]
    pub(super) timestamp: i32,
    #[prost(sint32, tag = "4")]
    pub(super) start_point: i32,
    #[prost(sint32, repeated, tag = "5")]
    pub(super) offsets: Vec<i32>,
}

/// `ProtoConfig`, by POST to `c`. Names of networks and servers, and all secrets, are left out.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Configuration {
    #[prost(uint32, tag = "2")]
    pub(super) period_base: u32,
    #[prost(uint32, tag = "3")]
    pub(super) transmission_interval: u32,
    #[prost(uint32, tag = "5")]
    pub(super) ack_interval: u32,
    #[prost(uint32, tag = "9")]
    pub(super) transfer_limit: u32,
    #[prost(uint32, tag = "10")]
    pub(super) transfer_limit_timer: u32,
    #[prost(uint32, repeated, tag = "20")]
    pub(super) errors: Vec<u32>,
    #[prost(uint32, tag = "21")]
    pub(super) config_hash: u32,
    #[prost(bytes = "vec", tag = "24")]
    pub(super) cloud_token: Vec<u8>,
    #[prost(bytes = "vec", tag = "25")]
    pub(super) serial: Vec<u8>,
    #[prost(uint32, tag = "26")]
    pub(super) period_factor: u32,
    #[prost(int32, repeated, tag = "27")]
    pub(super) channel_kinds: Vec<i32>,
    #[prost(uint32, tag = "29")]
    pub(super) supervision_period: u32,
    #[prost(uint32, tag = "38")]
    pub(super) error_at: u32,
    #[prost(uint32, tag = "39")]
    pub(super) config_hash_at: u32,
    #[prost(sint32, tag = "44")]
    pub(super) payload_split: i32,
}

/// `ProtoConfig` again, as the answer to a device, which leaves settings unchanged that it does not contain.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Reply {
    #[prost(bool, tag = "6")]
    pub(super) request_device_info: bool,
    #[prost(uint32, tag = "8")]
    pub(super) current_time: u32,
}

/// `ProtoDeviceInfo`, by POST to `i`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DeviceInfo {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) serial: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub(super) software: u32,
    #[prost(message, optional, tag = "13")]
    pub(super) runtime: Option<Runtime>,
    #[prost(message, optional, tag = "14")]
    pub(super) modem: Option<Modem>,
    #[prost(string, tag = "15")]
    pub(super) commit: String,
    #[prost(bytes = "vec", tag = "16")]
    pub(super) cloud_token: Vec<u8>,
    #[prost(uint32, repeated, tag = "17")]
    pub(super) memory_statistics: Vec<u32>,
    #[prost(message, optional, tag = "18")]
    pub(super) update: Option<Update>,
}

/// `ProtoRuntime`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Runtime {
    #[prost(uint32, tag = "1")]
    pub(super) up_time: u32,
    #[prost(uint32, repeated, tag = "2")]
    pub(super) message_counters: Vec<u32>,
    #[prost(sint32, tag = "3")]
    pub(super) mcu_celsius: i32,
    #[prost(uint32, tag = "4")]
    pub(super) min_battery_mv: u32,
    #[prost(sint32, tag = "5")]
    pub(super) min_battery_mcu_celsius: i32,
    #[prost(uint32, tag = "6")]
    pub(super) battery_reset_at: u32,
    #[prost(sint32, tag = "7")]
    pub(super) max_mcu_celsius: i32,
    #[prost(sint32, tag = "8")]
    pub(super) min_mcu_celsius: i32,
    #[prost(uint32, repeated, tag = "9")]
    pub(super) errors: Vec<u32>,
}

/// `ProtoModem`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Modem {
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
    #[prost(sint32, repeated, tag = "2")]
    pub(super) parameters: Vec<i32>,
}

/// `ProtoUpdateInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Update {
    #[prost(uint32, tag = "1")]
    pub(super) at: u32,
    #[prost(uint32, tag = "2")]
    pub(super) status: u32,
}
