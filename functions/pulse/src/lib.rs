//! `ProcessPulseDataSigfox` or `ProcessPulseDataNbiot` -> the pulses table. One binary, deployed once per network.
//!
//! The work is [`pulsegate_pipeline::pulse`]; this crate connects it to Lambda.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use pulsegate_aws::lambda::{self, MissingId};
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::config::{ConfigError, EnvSettings};
use pulsegate_pipeline::ports::{PulseStore, Queue};
use pulsegate_pipeline::pulse::PulseStage;
use tokio::time::Instant;

/// The settings of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `PULSE_TABLE`.
    pub table: String,
    /// `PULSE_RETENTION_DAYS`: the table keeps an item for so many days after its arrival; for ever if 0 or absent.
    pub retention_days: u32,
    /// `QUARANTINE_QUEUE_URL`.
    pub quarantine_queue: String,
    /// `ARCHIVE_BUCKET`: has the erased devices.
    pub archive_bucket: String,
    /// `AWS_LAMBDA_FUNCTION_NAME`, set by Lambda: distinguishes the networks in the metrics.
    pub function_name: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable.
    pub fn from_settings(settings: &EnvSettings<'_>) -> Result<Self, ConfigError> {
        let table = settings.required("PULSE_TABLE");
        let retention_days = settings.optional("PULSE_RETENTION_DAYS");
        let quarantine_queue = settings.required("QUARANTINE_QUEUE_URL");
        let archive_bucket = settings.required("ARCHIVE_BUCKET");
        let function_name = settings.required("AWS_LAMBDA_FUNCTION_NAME");
        settings.complete()?;
        Ok(Self {
            table: table?,
            retention_days: retention_days?.unwrap_or_default(),
            quarantine_queue: quarantine_queue?,
            archive_bucket: archive_bucket?,
            function_name: function_name?,
        })
    }
}

/// Handles an SQS batch, and names the failed records in the response. `name` is the function's name in the metrics.
///
/// # Errors
/// [`MissingId`] if a record cannot be named in the response; then all records are delivered again.
pub async fn handle(
    event: SqsEvent,
    stage: &PulseStage<impl PulseStore, impl Queue, impl ObjectStore>,
    name: &str,
    deadline: Instant,
) -> Result<SqsBatchResponse, MissingId> {
    let began = Instant::now();
    let records = lambda::from_sqs(event)?;
    let outcome = stage.run(&records, deadline).await;
    outcome.counts.emit(name, records.len(), began);
    Ok(lambda::sqs_response(&records, &outcome.failed))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pulsegate_model::at::At;
    use pulsegate_model::envelope;
    use pulsegate_model::pulse::PulseItem;
    use pulsegate_pipeline::archive::tombstones;
    use pulsegate_pipeline::fakes::{FakeObjects, FakeQueue, FakeStore, tally};
    use pulsegate_pipeline::ports::Arrived;
    use serde_json::{Value, json};

    use super::*;

    type Store = FakeStore<Arrived<PulseItem>>;
    type Stage = PulseStage<Store, FakeQueue, FakeObjects>;

    const DATA: &str = "46800000009f00000002";
    const UNKNOWN: &str = "3fe0150400030002000100";

    fn uplink(device: usize, payload: &str) -> String {
        json!({
            "device": format!("sigfox:{device:X}"), "kind": "data", "at": "2026-11-20T12:00:00Z",
            "time_source": "network", "sequence": 1, "profile": "adeunis-pulse-v4", "payload": payload,
        })
        .to_string()
    }

    fn event(bodies: &[String]) -> SqsEvent {
        let records: Vec<Value> =
            bodies.iter().enumerate().map(|(n, body)| json!({"messageId": format!("id-{n}"), "body": body})).collect();
        serde_json::from_value(json!({"Records": records})).unwrap()
    }

    /// Ten messages of one uplink each; the fourth has a frame that is unknown to the codec.
    fn ten() -> SqsEvent {
        let payload = |device| if device == 3 { UNKNOWN } else { DATA };
        let bodies: Vec<String> =
            (0..10).map(|n| format!(r#"{{"v":1,"uplinks":[{}]}}"#, uplink(n, payload(n)))).collect();
        event(&bodies)
    }

    fn stage(pulses: Store, quarantine: FakeQueue) -> Stage {
        PulseStage { pulses, quarantine, archive: FakeObjects::default() }
    }

    async fn failed(event: SqsEvent, stage: &Stage) -> Vec<String> {
        let response = handle(event, stage, "pulse-test", Instant::now() + Duration::from_secs(1)).await.unwrap();
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn of_ten_with_one_undecodable_nine_are_stored_one_is_quarantined_and_none_comes_back() {
        let stage = stage(Store::default(), FakeQueue::default());
        assert_eq!(failed(ten(), &stage).await, [""; 0]);
        assert_eq!(stage.pulses.len(), 9);
        let quarantined: Value = serde_json::from_str(&stage.quarantine.sent()[0]).unwrap();
        assert_eq!(quarantined["reason"], "frame code 0x3f is not known to this codec (adeunis-pulse-v4 4)");
        assert_eq!((&quarantined["codec"], &quarantined["codec_version"]), (&json!("adeunis-pulse-v4"), &json!(4)));
        assert_eq!(
            (&quarantined["device"], &quarantined["uplink"]),
            (&json!("sigfox:3"), &json!("2026-11-20T12:00:00Z#00001"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_quarantined_record_can_be_sent_again_as_it_is() {
        let stage = stage(Store::default(), FakeQueue::default());
        failed(ten(), &stage).await;
        let quarantined: Value = serde_json::from_str(&stage.quarantine.sent()[0]).unwrap();
        let record = quarantined["record"]["text"].as_str().unwrap();
        assert_eq!(envelope::unpack(record.as_bytes()).unwrap().uplinks.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_that_newer_code_may_read_is_quarantined_so_that_it_can_be_sent_again() {
        let stage = stage(Store::default(), FakeQueue::default());
        let member = uplink(1, DATA).replace(r#""kind":"data""#, r#""kind":"from-the-future""#);
        let message = format!(r#"{{"v":1,"uplinks":[{},{member}]}}"#, uplink(2, DATA));
        failed(event(&[message]), &stage).await;
        assert_eq!(stage.pulses.len(), 1);
        let quarantined: Value = serde_json::from_str(&stage.quarantine.sent()[0]).unwrap();
        let record = quarantined["record"]["text"].as_str().unwrap();
        assert_eq!(envelope::unpack(record.as_bytes()).unwrap().unreadable[0].envelope, record);
        assert!(record.contains(&member));
    }

    #[tokio::test(start_paused = true)]
    async fn exactly_what_the_table_refuses_comes_back() {
        let stage = stage(Store::refusing(["sigfox:2", "sigfox:7"]), FakeQueue::default());
        assert_eq!(failed(ten(), &stage).await, ["id-2", "id-7"]);
        assert_eq!(stage.pulses.len(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_quarantined_comes_back() {
        let stage = stage(Store::default(), FakeQueue::down());
        assert_eq!(failed(ten(), &stage).await, ["id-3"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_undecodable_uplink_does_not_hold_up_its_neighbours_in_the_same_message() {
        let stage = stage(Store::default(), FakeQueue::default());
        let message = format!(r#"{{"v":1,"uplinks":[{},{}]}}"#, uplink(1, UNKNOWN), uplink(2, DATA));
        assert_eq!(failed(event(&[message, "noise".to_owned()]), &stage).await, [""; 0]);
        assert_eq!(stage.pulses.len(), 1);
        assert_eq!(stage.quarantine.sent().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn items_whose_clock_is_not_set_are_counted() {
        let stage = stage(Store::default(), FakeQueue::default());
        tally::start();
        // The second frame ends with a clock that shows 2080.
        let uplinks = [DATA, "46840000009f000000027e0c2a00"].map(|payload| uplink(1, payload)).join(",");
        failed(event(&[format!(r#"{{"v":1,"uplinks":[{uplinks}]}}"#)]), &stage).await;
        assert_eq!(tally::end().get(&("pulse".to_owned(), "clocks_not_set".to_owned())), Some(&1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_batch_twice_leaves_the_table_as_it_was() {
        let stage = stage(Store::default(), FakeQueue::default());
        failed(ten(), &stage).await;
        let before = stage.pulses.values();
        failed(ten(), &stage).await;
        assert_eq!(stage.pulses.values(), before);
    }
    #[tokio::test(start_paused = true)]
    async fn what_is_of_an_erased_device_is_dropped_and_counted() {
        let stage = stage(Store::default(), FakeQueue::default());
        let erased = "sigfox:1".parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        tombstones::bury(&stage.archive, erased, At::EPOCH, deadline).await.unwrap();
        tally::start();
        assert_eq!(failed(ten(), &stage).await, [""; 0]);
        let tally = tally::end();
        let count = |name: &str| tally[&("pulse-test".to_owned(), name.to_owned())];
        assert_eq!((count("received"), count("stored"), count("quarantined"), count("erased")), (10, 8, 1, 1));
        assert!(stage.pulses.values().iter().all(|item| item.value.device != erased));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_stored_while_the_erased_devices_are_not_known() {
        let stage = stage(Store::default(), FakeQueue::default());
        stage.archive.set("erased", "noise");
        assert_eq!((failed(ten(), &stage).await.len(), stage.pulses.len()), (10, 0));
    }
}
