//! The tests, in their order of execution.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use pulsegate_aws::items::Item;
use pulsegate_aws::{
    DownlinkAdminTable, DynamoReader, DynamoTable, DynamoWatermarks, KinesisStream, RotatingSecret, SqsQueue,
    SqsReceiver,
};
use pulsegate_pipeline::ports::Queue as _;
use pulsegate_tests::{contracts, events, repository};
use serde_json::{Value, json};

use crate::cloud::{Cloud, text, until};

pub async fn real_messages_of_both_networks_arrive_as_the_published_indexes(cloud: Cloud) {
    let (messages, expected) = events::demo_today();
    for message in messages {
        cloud.send(&message).await;
    }
    for point in expected {
        let arrived = async || cloud.pulses().await.iter().any(|item| events::holds(item, &point));
        until(&format!("{point}"), arrived).await;
    }
}

pub async fn the_same_messages_again_leave_archive_and_table_identical(cloud: Cloud) {
    cloud.settled().await;
    let before = (cloud.archived().await, cloud.items("PULSE_TABLE").await);
    for message in events::demo_today().0 {
        cloud.send(&message).await;
    }
    // Sent last: once these are stored, all others are stored too, or in a queue.
    let marker = "sigfox:E2E1";
    let body = json!({"device": "E2E1", "time": 1_795_176_000, "data": "46800000009f00000002", "seqNumber": 1});
    assert_eq!(cloud.callback("adeunis-pulse-v4", &body), 204);
    let marker_datagram = "490154203237526";
    let header = format!("0{marker_datagram}0300000001");
    cloud.datagram(&hex::decode(format!("{header}46800000009f00000002")).unwrap());
    for device in [marker, &format!("nbiot:{marker_datagram}")] {
        until(device, async || cloud.items_of("PULSE_TABLE", device).await.len() == 1).await;
    }
    cloud.settled().await;

    let marks = |device: &str| device == marker || device.ends_with(marker_datagram);
    let mut archived = cloud.archived().await;
    archived.retain(|uplink| !marks(&uplink.device.to_string()));
    let mut items: Vec<Item> = cloud.items("PULSE_TABLE").await;
    items.retain(|item| !marks(&text(item, "device")));
    assert_eq!((archived, items), before);
}

pub async fn strangers_are_answered_401_and_nothing_is_enqueued(cloud: Cloud) {
    cloud.settled().await;
    let quarantined = cloud.waiting("QUARANTINE_QUEUE_URL").await;
    let body = json!({"device": "BAD", "time": 1_795_176_000, "data": "46800000009f00000002"}).to_string();
    for authorization in [None, Some("Bearer wrong"), Some("Basic c2lnZm94Ondyb25n")] {
        let answer = cloud.post("/sigfox/adeunis-pulse-v4/uplink", authorization, body.as_bytes());
        assert_eq!((answer.status, answer.body.as_str()), (401, ""));
    }
    assert_eq!(cloud.waiting("RAW_QUEUE_URL").await, 0);
    assert_eq!(cloud.waiting("QUARANTINE_QUEUE_URL").await, quarantined);
    assert!(cloud.archived_of("sigfox:BAD").await.is_empty());
}

pub async fn an_unknown_profile_and_an_unknown_route_are_answered_404(cloud: Cloud) {
    let bearer = format!("Bearer {}", cloud.address("CALLBACK_SECRET"));
    for path in ["/sigfox/acme/uplink", "/sigfox/adeunis-pulse-v4/nonsense", "/"] {
        assert_eq!(cloud.post(path, Some(&bearer), b"{}").status, 404, "{path}");
    }
}

pub async fn a_path_with_extra_slashes_is_the_callbacks_and_another_one_is_not(cloud: Cloud) {
    let secret = cloud.address("CALLBACK_SECRET");
    let post = |path: &str, authorization: Option<&str>, device: &str| {
        let body = json!({"device": device, "time": 1_795_176_000, "data": "46800000009f00000002", "seqNumber": 42});
        cloud.post(path, authorization, body.to_string().as_bytes()).status
    };
    for (path, device) in [
        ("/sigfox/adeunis-pulse-v4/uplink/", "FA0010"),
        ("/sigfox//adeunis-pulse-v4/uplink", "FA0012"),
        ("/sigfox/adeunis%2Dpulse%2Dv4/uplink", "FA0013"),
        ("/sigfox/adeunis-pulse-v4/uplink%20", "FA0014"),
        ("/prod/sigfox/adeunis-pulse-v4/uplink", "FA0015"),
    ] {
        assert_eq!(post(path, Some(&format!("Bearer {secret}")), device), 204, "{path}");
    }
    assert_eq!(post("/sigfox/adeunis-pulse-v4/uplink", Some(&secret), "FA0011"), 204);
    for device in ["FA0010", "FA0011", "FA0012", "FA0013", "FA0014", "FA0015"] {
        let device = format!("sigfox:{device}");
        until(&device, async || cloud.items_of("PULSE_TABLE", &device).await.len() == 1).await;
    }
    for path in ["/sigfox/adeunis-pulse-v4/UPLINK", "/Sigfox/adeunis-pulse-v4/uplink", "/favicon.ico"] {
        assert_eq!(post(path, Some(&secret), "FA0016"), 404, "{path}");
        assert_eq!(post(path, None, "FA0016"), 401, "{path}");
    }
    assert!(cloud.archived_of("sigfox:FA0016").await.is_empty());
}

pub async fn a_megabyte_of_noise_is_answered_at_once(cloud: Cloud) {
    let noise: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let bearer = format!("Bearer {}", cloud.address("CALLBACK_SECRET"));
    let started = Instant::now();
    assert_eq!(cloud.post("/sigfox/adeunis-pulse-v4/uplink", Some(&bearer), &noise).status, 413);
    assert_eq!(cloud.post("/sigfox/adeunis-pulse-v4/uplink", None, &noise).status, 401);
    // Sigfox waits ten seconds for an answer.
    assert!(started.elapsed() < Duration::from_secs(10));
    // The function still works.
    assert_eq!(cloud.post("/sigfox/adeunis-pulse-v4/uplink", None, b"{}").status, 401);
}

pub async fn a_callback_that_cannot_be_understood_is_quarantined_whole(cloud: Cloud) {
    cloud.take_all(&cloud.address("QUARANTINE_QUEUE_URL")).await;
    let bearer = format!("Bearer {}", cloud.address("CALLBACK_SECRET"));
    let body = r#"{"device": "{device}", "time": "later", "data": "46"}"#;
    assert_eq!(cloud.post("/sigfox/adeunis-pulse-v4/uplink", Some(&bearer), body.as_bytes()).status, 204);
    let quarantined = cloud.take_all(&cloud.address("QUARANTINE_QUEUE_URL")).await;
    let record: Value = serde_json::from_str(&quarantined[0]).unwrap();
    assert_eq!(record["record"], json!({"text": body}));
    assert_eq!(
        (&record["reason"], &record["stage"]),
        (
            &json!(r#"the variable device is missing (its value is "{device}"); add {device} to the template"#),
            &json!("sigfox-callback")
        )
    );
}

pub async fn of_a_batch_of_ten_the_undecodable_one_is_quarantined_and_none_is_retried(cloud: Cloud) {
    cloud.take_all(&cloud.address("QUARANTINE_QUEUE_URL")).await;
    let uplink = |n: usize| {
        let payload = if n == 3 { "3fe0150400030002000100" } else { "46800000009f00000002" };
        json!({
            "device": format!("sigfox:BA7C{n}"), "kind": "data", "at": "2026-11-20T12:00:00Z", "time_source": "network",
            "sequence": 1, "profile": "adeunis-pulse-v4", "payload": payload,
        })
    };
    let bodies: Vec<String> = (0..10).map(|n| json!({"v": 1, "uplinks": [uplink(n)]}).to_string()).collect();
    let queue = SqsQueue::new(&cloud.config, cloud.address("PULSE_SIGFOX_QUEUE_URL"));
    assert!(queue.send(&bodies, tokio::time::Instant::now() + Duration::from_secs(20)).await.is_empty());

    let stored = async || {
        let items = cloud.items("PULSE_TABLE").await;
        items.iter().filter(|item| text(item, "device").starts_with("sigfox:BA7C")).count()
    };
    until("nine of ten in the table", async || stored().await == 9).await;
    until("one of ten in quarantine", async || cloud.waiting("QUARANTINE_QUEUE_URL").await == 1).await;
    cloud.settled().await;
    let record: Value = serde_json::from_str(&cloud.take_all(&cloud.address("QUARANTINE_QUEUE_URL")).await[0]).unwrap();
    assert_eq!(record["reason"], "frame code 0x3f is not known to this codec (adeunis-pulse-v4 4)");
    assert_eq!((&record["codec"], &record["codec_version"]), (&json!("adeunis-pulse-v4"), &json!(4)));
    for dead_letters in ["RAW_DEAD_LETTERS_URL", "PULSE_SIGFOX_DEAD_LETTERS_URL", "PULSE_NBIOT_DEAD_LETTERS_URL"] {
        assert_eq!(cloud.waiting(dead_letters).await, 0, "{dead_letters}");
    }
}

pub async fn the_real_adapters_keep_the_contracts(cloud: Cloud) {
    const NAME: &str = "contract";
    const WATERMARKS: &str = "contract-watermarks";
    create_table(&cloud, NAME, &["device", "uplink"]).await;
    contracts::a_table_keeps_every_item_once(&DynamoTable::new(&cloud.config, NAME), async || {
        let query = cloud.dynamodb.query().table_name(NAME).key_condition_expression("device = :d");
        let query = query.expression_attribute_values(":d", AttributeValue::S(NAME.to_owned()));
        query.send().await.unwrap().items().iter().cloned().map(Item::from).collect()
    })
    .await;

    create_table(&cloud, "contract-downlinks", &["device", "downlink"]).await;
    let downlinks = DownlinkAdminTable::new(&cloud.config, "contract-downlinks");
    contracts::downlinks_and_uplinks_belong_to_each_other_once(&downlinks).await;
    contracts::a_device_has_all_its_downlinks(&downlinks).await;
    Box::pin(contracts::requests_at_once_share_nothing_but_their_uplink(&downlinks)).await;

    create_table(&cloud, WATERMARKS, &["device_type"]).await;
    contracts::watermarks_are_read_as_they_were_set(&DynamoWatermarks::new(&cloud.config, WATERMARKS)).await;

    let url = cloud.sqs.create_queue().queue_name(NAME).send().await.unwrap().queue_url.unwrap();
    let queue = SqsQueue::new(&cloud.config, &url);
    contracts::a_queue_keeps_every_message(&queue, async || cloud.take_all(&url).await).await;
    contracts::a_message_comes_again_until_it_is_deleted(&queue, &QueueReader { cloud: &cloud, url: &url }).await;

    let inbox = SqsReceiver::new(&cloud.config, &url);
    let queue = SqsQueue::new(&cloud.config, &url);
    contracts::a_message_is_held_until_it_is_given_back_or_deleted(&queue, &inbox).await;
    create_table(&cloud, "contract-pages", &["device", "uplink"]).await;
    let reader = DynamoReader::new(&cloud.config, "contract-pages");
    let table = DynamoTable::new(&cloud.config, "contract-pages");
    contracts::a_table_is_read_in_parts_and_by_keys(&table, &reader, &reader).await;

    let secrets = aws_sdk_secretsmanager::Client::new(&cloud.config);
    let put =
        async |text: &'static str| match secrets.put_secret_value().secret_id(NAME).secret_string(text).send().await {
            Ok(_) => {}
            Err(_) => drop(secrets.create_secret().name(NAME).secret_string(text).send().await.unwrap()),
        };
    let forget = async || {
        let versions = secrets.list_secret_version_ids().secret_id(NAME).send().await.unwrap();
        let previous =
            versions.versions().iter().find(|v| v.version_stages().contains(&"AWSPREVIOUS".to_owned())).unwrap();
        let change = secrets.update_secret_version_stage().secret_id(NAME).version_stage("AWSPREVIOUS");
        change.remove_from_version_id(previous.version_id().unwrap()).send().await.unwrap();
    };
    let secret = RotatingSecret::new(&cloud.config, NAME);
    contracts::a_secret_has_the_current_and_the_previous_text(&secret, put, forget).await;

    cloud.kinesis.create_stream().stream_name(NAME).shard_count(1).send().await.unwrap();
    let stream = KinesisStream::new(&cloud.config, NAME);
    contracts::a_stream_keeps_every_record(&stream, async || cloud.shard(NAME).await).await;
    contracts::records_of_a_key_keep_their_order(&stream, async || cloud.shard(NAME).await).await;
}

/// Receives from a queue, with a visibility time-out of [`VISIBILITY`].
struct QueueReader<'a> {
    cloud: &'a Cloud,
    url: &'a str,
}

const VISIBILITY: Duration = Duration::from_secs(3);

impl contracts::Consumer for QueueReader<'_> {
    type Receipt = String;

    async fn receive(&self) -> Vec<(String, String)> {
        let request = self.cloud.sqs.receive_message().queue_url(self.url);
        let seconds = i32::try_from(VISIBILITY.as_secs()).unwrap();
        let messages = request.visibility_timeout(seconds).send().await.unwrap().messages.unwrap_or_default();
        messages.into_iter().map(|message| (message.receipt_handle.unwrap(), message.body.unwrap())).collect()
    }

    async fn delete(&self, receipt: String) {
        self.cloud.sqs.delete_message().queue_url(self.url).receipt_handle(receipt).send().await.unwrap();
    }

    async fn wait(&self) {
        tokio::time::sleep(VISIBILITY + Duration::from_secs(1)).await;
    }
}

/// Creates a table with a partition key, or with a partition key and a sort key.
pub async fn create_table(cloud: &Cloud, name: &str, keys: &[&str]) {
    let mut table = cloud.dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let attribute = AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name(*key).key_type(kind);
        table = table.attribute_definitions(attribute.build().unwrap()).key_schema(key.build().unwrap());
    }
    table.send().await.unwrap();
}

pub async fn every_event_is_answered_by_its_function_under_the_runtime_interface_emulator(cloud: Cloud) {
    every_event_is_answered(&cloud, "invoke").await;
}

pub async fn every_event_is_answered_by_its_function_in_docker(cloud: Cloud) {
    every_event_is_answered(&cloud, "sam-invoke").await;
}

/// Runs a command of `tools/local.py` for every file of `events/`.
async fn every_event_is_answered(cloud: &Cloud, command: &str) {
    cloud.settled().await;
    cloud.take_all(&cloud.address("QUARANTINE_QUEUE_URL")).await;
    for event in events::listed() {
        let output = cloud.invoke(command, &event.function, &event.file);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {log}", event.file);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(events::answers(&answer, &event.answer), "{}: {answer}\n{log}", event.file);
    }
    cloud.settled().await;
    // One line of the batch, both records of `pulse-sigfox-undecodable.json`, and the datagram of
    // `raw-nbiot-quarantined.json`; all others are valid.
    assert_eq!(cloud.take_all(&cloud.address("QUARANTINE_QUEUE_URL")).await.len(), 4);
}

pub async fn every_datagram_acknowledged_before_a_sigterm_is_in_the_archive(cloud: Cloud) {
    let status = stop_a_busy_bridge(&cloud, "TERM", "490154203237534").await;
    assert!(status.success(), "{status}");
}

pub async fn every_datagram_acknowledged_before_a_kill_is_in_the_archive(cloud: Cloud) {
    let status = stop_a_busy_bridge(&cloud, "KILL", "490154203237542").await;
    assert!(!status.success());
}

/// Starts a bridge on the stack's stream, and sends it a signal while a thousand datagrams are in flight. All
/// acknowledged ones must reach the archive.
async fn stop_a_busy_bridge(cloud: &Cloud, signal: &str, imei: &str) -> ExitStatus {
    const DATAGRAMS: u32 = 1_000;
    const LEN: usize = 13;
    let (mut bridge, addr, lines) = start_bridge(&[("STREAM_NAME", &cloud.address("RAW_STREAM"))]);
    let rest = std::thread::spawn(move || lines.collect::<Vec<String>>());

    let meter = UdpSocket::bind("127.0.0.1:0").unwrap();
    meter.connect(addr).unwrap();
    let listening = meter.try_clone().unwrap();
    let (first, pipe_is_full) = std::sync::mpsc::channel();
    // Receives until the bridge has been down for a while: once its port is closed, every send is an error.
    let listener = std::thread::spawn(move || {
        let mut acknowledged = BTreeSet::new();
        let mut buffer = [0; 64];
        listening.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        while let Ok(len) = listening.recv(&mut buffer) {
            acknowledged.insert(buffer[..len].to_vec());
            let _ = first.send(());
        }
        acknowledged
    });
    for counter in 0..DATAGRAMS {
        let datagram = format!("0{imei}03{counter:08x}46800000009f00000002");
        // Once the bridge has closed its socket, the kernel returns an error, which a meter would not see.
        let _ = meter.send(&hex::decode(datagram).unwrap());
        if counter == DATAGRAMS / 2 {
            // The first acknowledgement shows that the pipe is full: the others are in flight now.
            pipe_is_full.recv_timeout(Duration::from_secs(20)).unwrap();
            Command::new("kill").arg(format!("-{signal}")).arg(bridge.id().to_string()).status().unwrap();
        }
    }
    let status = tokio::task::spawn_blocking(move || bridge.wait().unwrap()).await.unwrap();
    rest.join().unwrap();
    let acknowledged = listener.join().unwrap();
    println!("{} of {DATAGRAMS} acknowledged", acknowledged.len());
    assert!(acknowledged.iter().all(|header| header.len() == LEN));

    let missing = async || {
        let uplinks = cloud.archived_of(&format!("nbiot:{imei}")).await;
        let stored: BTreeSet<Vec<u8>> =
            uplinks.iter().filter_map(|uplink| uplink.payload.bytes().get(..LEN).map(<[u8]>::to_vec)).collect();
        acknowledged.difference(&stored).count()
    };
    until("every acknowledged datagram in the archive", async || missing().await == 0).await;
    status
}

pub async fn a_second_sigterm_ends_the_bridge_at_once(_: Cloud) {
    // Nothing listens at this endpoint, so datagrams stay in flight until the bridge gives up after ten seconds.
    let nowhere = [("STREAM_NAME", "none"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
    let (mut bridge, addr, mut lines) = start_bridge(&nowhere);
    let meter = UdpSocket::bind("127.0.0.1:0").unwrap();
    meter.send_to(&hex::decode("1122334455667788030000002646800000009f00000002").unwrap(), addr).unwrap();
    for (line, signal) in [("stream rejected records", true), ("stopping", true), ("second signal", false)] {
        assert!(lines.any(|logged| logged.contains(line)), "{line}");
        if signal {
            Command::new("kill").arg(bridge.id().to_string()).status().unwrap();
        }
    }
    assert_eq!(bridge.wait().unwrap().code(), Some(1));
}

/// Starts a bridge; returns it with the address of its trusted listener and its further log lines.
fn start_bridge(settings: &[(&str, &str)]) -> (Child, String, impl Iterator<Item = String> + Send + 'static) {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository("target"), Into::into);
    let mut bridge = Command::new(target.join("debug/udp-bridge"))
        .envs([("TRUSTED_LISTENERS", "adeunis-pulse4-nbiot=127.0.0.1:0"), ("HTTP_ADDR", "127.0.0.1:0")])
        .env("LINGER_MS", "20")
        .envs(settings.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(bridge.stdout.take().unwrap()).lines().map_while(Result::ok);
    let udp = lines.by_ref().find(|line| line.contains(r#""protocol":"udp""#)).unwrap();
    let addr = serde_json::from_str::<Value>(&udp).unwrap()["addr"].as_str().unwrap().to_owned();
    (bridge, addr, lines)
}

pub async fn a_queue_that_is_gone_is_answered_503(cloud: Cloud) {
    cloud.settled().await;
    cloud.sqs.delete_queue().queue_url(cloud.address("RAW_QUEUE_URL")).send().await.unwrap();
    let body = json!({"device": "1A2345", "time": 1_795_176_000, "data": "46800000009f00000002"});
    assert_eq!(cloud.callback("adeunis-pulse-v4", &body), 503);
}
