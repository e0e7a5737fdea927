//! An outage of the queue behind the callback that lasts longer than Sigfox repeats.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::StreamExt as _;
use pulsegate_tests::events;
use pulsegate_tests::sigfox::sender::{self, Pace, Sent};
use pulsegate_tests::sigfox::{Message, Template, api};
use serde_json::Value;

use crate::cloud::{Cloud, text, until};

const MESSAGES: u32 = 1_000;

/// The queue is created again after Sigfox has given up this many; repetitions deliver the others.
const GIVEN_UP: usize = 300;

/// One minute of Sigfox in one second. The local cloud's answers are not faster than in reality.
const PACE: Pace = Pace { scale: 1.0 / 60.0, at_once: 8 };

/// Longer than a run takes.
const RECOVERY_TIMEOUT: Duration = Duration::from_mins(2);

pub async fn what_an_outage_refused_is_there_once_whether_sigfox_repeated_it_or_it_was_fetched(cloud: Cloud) {
    cloud.settled().await;
    let quarantined = cloud.waiting("QUARANTINE_QUEUE_URL").await;
    let url = format!("{}/sigfox/adeunis-pulse-v4/uplink", cloud.address("API_URL"));
    let template = Template::post_json(url, &cloud.address("CALLBACK_SECRET"));
    let messages = messages();

    let queue = RawQueue::delete(&cloud).await;
    let mut sending = Box::pin(sender::send(&template, &messages, PACE));
    let mut sent: Vec<Sent> = sending.by_ref().take(GIVEN_UP).collect().await;
    assert!(sent.iter().all(|sent| (sent.attempts, sent.status) == (4, 503)));
    queue.create(&cloud).await;
    sent.extend(sending.collect::<Vec<_>>().await);
    let undelivered = sent.iter().filter(|sent| !sent.delivered()).count();
    println!("{undelivered} of {MESSAGES} were not delivered");
    assert!(undelivered < sent.len() && sent.iter().all(|sent| sent.attempts > 1));

    let device_type = cloud.address("SIGFOX_DEVICE_TYPE");
    api::list_undelivered(&cloud.address("SIGFOX_API_URL"), &device_type, &sent);
    forget_watermark(&cloud, &device_type).await;
    let tally = fetch_missed(&cloud).await;
    assert_eq!((&tally["found"], &tally["recovered"]), (&undelivered.into(), &undelivered.into()));

    let all: BTreeSet<String> = messages.iter().map(|message| format!("sigfox:{}", message.device)).collect();
    let expected: Vec<String> = all.iter().cloned().collect();
    let devices = async || -> Vec<String> {
        let devices = cloud.items("PULSE_TABLE").await.into_iter().map(|item| text(&item, "device"));
        devices.filter(|device| all.contains(device)).collect()
    };
    until("all pulses", async || devices().await.len() >= all.len()).await;
    assert_eq!(devices().await, expected);
    let archived = cloud.archived().await.into_iter().map(|uplink| uplink.device.to_string());
    let mut archived: Vec<String> = archived.filter(|device| all.contains(device)).collect();
    archived.sort();
    assert_eq!(archived, expected);
    cloud.settled().await;
    assert_eq!(cloud.waiting("QUARANTINE_QUEUE_URL").await, quarantined);
    assert_eq!(fetch_missed(&cloud).await["found"], 0, "the watermark is behind them now");
}

/// Returns messages of one device each, two hours old, so that Sigfox has finished its repetitions.
fn messages() -> Vec<Message> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let message = |n| Message {
        device: format!("{:X}", 0x00D0_0000 + n),
        time: now - 7_200 - u64::from(n % 60),
        data: "46800000009f00000002".to_owned(),
        sequence: n,
    };
    (0..MESSAGES).map(message).collect()
}

/// Deletes the watermark, as an operator would: earlier runs have moved it past the times of the messages.
async fn forget_watermark(cloud: &Cloud, device_type: &str) {
    let key = AttributeValue::S(device_type.to_owned());
    let table = cloud.address("SIGFOX_WATERMARKS_TABLE");
    cloud.dynamodb.delete_item().table_name(table).key("device_type", key).send().await.unwrap();
}

/// Invokes the function, as the schedule does.
async fn fetch_missed(cloud: &Cloud) -> Value {
    let (endpoint, function) = (cloud.address("AWS_ENDPOINT_URL"), cloud.address("SIGFOX_RECOVERY"));
    let url = format!("{endpoint}/2015-03-31/functions/{function}/invocations");
    let event = events::read("sigfox-recovery.json").to_string();
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(RECOVERY_TIMEOUT)).build().into();
    let invoking = tokio::task::spawn_blocking(move || agent.post(url).send(event).unwrap());
    let answer = invoking.await.unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

/// Name and attributes of the raw queue.
struct RawQueue {
    name: String,
    attributes: HashMap<QueueAttributeName, String>,
}

impl RawQueue {
    /// Deletes the queue from its stack.
    async fn delete(cloud: &Cloud) -> Self {
        let settable = [
            QueueAttributeName::VisibilityTimeout,
            QueueAttributeName::RedrivePolicy,
            QueueAttributeName::MessageRetentionPeriod,
            QueueAttributeName::SqsManagedSseEnabled,
        ];
        let url = cloud.address("RAW_QUEUE_URL");
        let request = cloud.sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        let mut attributes = request.send().await.unwrap().attributes.unwrap();
        attributes.retain(|name, _| settable.contains(name));
        cloud.sqs.delete_queue().queue_url(&url).send().await.unwrap();
        Self { name: url.rsplit('/').next().unwrap().to_owned(), attributes }
    }

    /// Creates the queue again under its name, so that callback and mapping find it.
    async fn create(self, cloud: &Cloud) {
        let request = cloud.sqs.create_queue().queue_name(self.name).set_attributes(Some(self.attributes));
        request.send().await.unwrap();
    }
}
