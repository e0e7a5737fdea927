//! The deployed stack, and access to it from outside.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::types::ShardIteratorType;
use aws_sdk_sqs::types::QueueAttributeName;
use pulsegate_aws as aws;
use pulsegate_aws::SecretStore;
use pulsegate_aws::items::Item;
use pulsegate_model::device::Imei;
use pulsegate_tests::bridge::post;
use pulsegate_tests::{events, repository};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use udp_bridge::protocol::sealed::{DeviceKey, Header, MasterKeys};

/// A test that waits this long has failed.
const WAIT_TIMEOUT: Duration = Duration::from_secs(90);

/// Polling interval of conditions without a notification.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The stack, and clients to inspect it.
pub struct Cloud {
    addresses: HashMap<String, String>,
    pub config: aws_config::SdkConfig,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub kinesis: aws_sdk_kinesis::Client,
}

/// An answer of the API.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Cloud {
    /// Connects to the stack whose addresses are in the environment.
    pub async fn from_environment() -> Self {
        Self::of(aws::sdk_config().await, std::env::vars().collect())
    }

    /// Connects to the stack with these addresses.
    pub async fn at(addresses: HashMap<String, String>) -> Self {
        Self::of(aws::sdk_config_of(|name| addresses.get(name).cloned()).await, addresses)
    }

    fn of(config: aws_config::SdkConfig, addresses: HashMap<String, String>) -> Self {
        Self {
            addresses,
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            kinesis: aws_sdk_kinesis::Client::new(&config),
            config,
        }
    }

    /// Returns an address of the stack.
    pub fn address(&self, name: &str) -> String {
        self.addresses.get(name).unwrap_or_else(|| panic!("{name} is not set")).clone()
    }

    /// Posts a body to a path of the API.
    pub fn post(&self, path: &str, authorization: Option<&str>, body: &[u8]) -> Answer {
        let url = format!("{}{path}", self.address("API_URL"));
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.post(url).header("content-type", "application/json");
        let request = authorization.into_iter().fold(request, |request, value| request.header("authorization", value));
        let mut response = request.send(body).unwrap();
        Answer { status: response.status().as_u16(), body: response.body_mut().read_to_string().unwrap_or_default() }
    }

    /// Makes the call of a callback event of `events/`, with the stack's secret.
    pub fn call(&self, event: &Value) -> Answer {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let url = format!("{}{}?{}", self.address("API_URL"), text(&event["rawPath"]), text(&event["rawQueryString"]));
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let bearer = format!("Bearer {}", self.address("CALLBACK_SECRET"));
        let request = ureq::http::Request::builder()
            .method(event["requestContext"]["http"]["method"].as_str().unwrap_or("POST"))
            .uri(url.trim_end_matches('?'))
            .header("authorization", bearer)
            .header("content-type", text(&event["headers"]["content-type"]))
            .body(events::body(event))
            .unwrap();
        let mut response = agent.run(request).unwrap();
        Answer { status: response.status().as_u16(), body: response.body_mut().read_to_string().unwrap_or_default() }
    }

    /// Posts a callback as Sigfox does.
    pub fn callback(&self, profile: &str, body: &Value) -> u16 {
        let bearer = format!("Bearer {}", self.address("CALLBACK_SECRET"));
        self.post(&format!("/sigfox/{profile}/uplink"), Some(&bearer), body.to_string().as_bytes()).status
    }

    /// Sends a datagram in the clear.
    pub fn datagram(&self, bytes: &[u8]) -> Vec<u8> {
        exchange(&self.address("NBIOT_ADDR"), bytes)
    }

    /// Sends a sealed datagram.
    pub fn sealed_datagram(&self, bytes: &[u8]) -> Vec<u8> {
        exchange(&self.address("NBIOT_SEALED_ADDR"), bytes)
    }

    /// Sends a CoAP request.
    pub fn coap(&self, bytes: &[u8]) -> Vec<u8> {
        exchange(&self.address("NBIOT_COAP_ADDR"), bytes)
    }

    /// Derives the key of a meter.
    pub async fn device_key(&self, imei: Imei) -> DeviceKey {
        let secret = SecretStore::new(&self.config).read(&self.address("MASTER_KEYS_SECRET_ID")).await.unwrap();
        secret.parse::<MasterKeys>().unwrap().device_key(1, imei).unwrap()
    }

    /// Sends a message of `tools/demo.json`.
    pub async fn send(&self, message: &Value) {
        if message["network"] == "sigfox" {
            let path = format!("/sigfox/{}/uplink", message["profile"].as_str().unwrap());
            let bearer = format!("Bearer {}", self.address("CALLBACK_SECRET"));
            assert_eq!(self.post(&path, Some(&bearer), events::demo_body(message).as_bytes()).status, 204);
        } else if let Some(hex) = message["hex"].as_str() {
            self.datagram(&hex::decode(hex).unwrap());
        } else if message["coap"].is_object() {
            let answer = self.coap(&post(true, 1, &self.sealed(&message["coap"]).await));
            assert_eq!(answer[..2], [0x62, 0x44], "2.04");
        } else {
            self.sealed_datagram(&self.sealed(&message["sealed"]).await);
        }
    }

    /// Seals an uplink of `tools/demo.json`.
    async fn sealed(&self, uplink: &Value) -> Vec<u8> {
        let imei: Imei = uplink["imei"].as_str().unwrap().parse().unwrap();
        let number = |name: &str| uplink[name].as_u64().and_then(|number| number.try_into().ok()).unwrap();
        let header = Header { key_id: 1, imei, counter: number("counter"), time: number("time") };
        let payload = hex::decode(uplink["payload"].as_str().unwrap()).unwrap();
        self.device_key(imei).await.seal_uplink(header, &payload)
    }

    /// Runs a function beside the stack with an event, with a command of `tools/local.py`.
    pub fn invoke(&self, command: &str, function: &str, event: &str) -> Output {
        let logs = PathBuf::from(self.address("LOGS"));
        Command::new("python3")
            .arg(repository("tools/local.py"))
            .args([command, function, "-e"])
            .arg(repository(&format!("events/{event}")))
            .arg("--dir")
            .arg(logs.parent().unwrap())
            .output()
            .unwrap()
    }

    /// Returns all items of a table, sorted by key.
    pub async fn items(&self, table: &str) -> Vec<Item> {
        let pages = self.dynamodb.scan().table_name(self.address(table)).into_paginator().items().send();
        let mut items: Vec<Item> =
            pages.collect::<Result<Vec<_>, _>>().await.unwrap().into_iter().map(Item::from).collect();
        items.sort_by_key(|item| {
            ["device", "uplink", "event", "downlink"].map(|key| format!("{:?}", item.inner().get(key)))
        });
        items
    }

    /// Returns all items of a device in a table.
    pub async fn items_of(&self, table: &str, device: &str) -> Vec<Item> {
        let items = self.items(table).await;
        items.into_iter().filter(|item| text(item, "device") == device).collect()
    }

    /// Returns the items of the pulses table as JSON.
    pub async fn pulses(&self) -> Vec<Value> {
        self.items("PULSE_TABLE").await.into_iter().map(|item| serde_dynamo::from_item(item).unwrap()).collect()
    }

    /// Returns the number of messages in a queue, visible or not.
    pub async fn waiting(&self, queue: &str) -> u64 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.sqs.get_queue_attributes().queue_url(self.address(queue));
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await.unwrap();
        let number = |name| answer.attributes().and_then(|all| all.get(name)).and_then(|n| n.parse::<u64>().ok());
        names.iter().filter_map(number).sum()
    }

    /// Receives and deletes messages until a queue is empty.
    pub async fn take_all(&self, url: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let answer = self.sqs.receive_message().queue_url(url).max_number_of_messages(10).send().await.unwrap();
            if answer.messages().is_empty() {
                return bodies;
            }
            for message in answer.messages() {
                bodies.push(message.body().unwrap_or_default().to_owned());
                let handle = message.receipt_handle().unwrap_or_default();
                self.sqs.delete_message().queue_url(url).receipt_handle(handle).send().await.unwrap();
            }
        }
    }

    /// Returns the data of all records of a stream's only shard, in order.
    pub async fn shard(&self, stream: &str) -> Vec<Vec<u8>> {
        let shards = self.kinesis.list_shards().stream_name(stream).send().await.unwrap();
        let iterator = self.kinesis.get_shard_iterator().stream_name(stream).shard_id(shards.shards()[0].shard_id());
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let mut iterator = iterator.shard_iterator;
        let mut data = Vec::new();
        loop {
            let answer = self.kinesis.get_records().set_shard_iterator(iterator).send().await.unwrap();
            if answer.records().is_empty() {
                return data;
            }
            data.extend(answer.records.into_iter().map(|record| record.data.into_inner()));
            iterator = answer.next_shard_iterator;
        }
    }

    /// Waits until the queues between the stages are empty.
    pub async fn settled(&self) {
        let queues = ["RAW_QUEUE_URL", "PULSE_SIGFOX_QUEUE_URL", "PULSE_NBIOT_QUEUE_URL"];
        for queue in queues.into_iter().filter(|queue| self.addresses.contains_key(*queue)) {
            until(queue, async || self.waiting(queue).await == 0).await;
        }
    }
}

/// Sends a datagram, and repeats it until it is acknowledged, as a meter does.
fn exchange(addr: &str, bytes: &[u8]) -> Vec<u8> {
    let meter = UdpSocket::bind("127.0.0.1:0").unwrap();
    meter.connect(addr).unwrap();
    meter.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut buffer = [0; 64];
    for _ in 0..5 {
        meter.send(bytes).unwrap();
        if let Ok(len) = meter.recv(&mut buffer) {
            return buffer[..len].to_vec();
        }
    }
    panic!("not acknowledged: {}", hex::encode(bytes));
}

/// Waits for a condition. `what` names it in the error message.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited {WAIT_TIMEOUT:?} for: {what}");
        sleep(POLL_INTERVAL).await;
    }
}

/// Returns a text attribute of an item.
pub fn text(item: &Item, name: &str) -> String {
    AttributeValue::from(item.inner().get(name).unwrap().clone()).as_s().unwrap().clone()
}
