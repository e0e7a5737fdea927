//! The template's settings of queues, mappings and functions.

use std::time::Duration;

use serde_json::Value;

use super::queue_mapping::QueueSettings;
use super::stream_mapping::StreamSettings;
use crate::template::Template;

/// The deployed settings. All queues and all mappings on queues have the same; [`Settings::read`] checks that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Visibility time-out of the queues.
    pub visibility: Duration,
    /// Maximum number of receives before a message becomes a dead letter.
    pub max_receives: u32,
    /// The mappings on the queues.
    pub queues: QueueSettings,
    /// The mapping on the stream.
    pub stream: StreamSettings,
    /// Time-out of the functions behind queues and stream.
    pub limit: Duration,
}

impl Settings {
    /// Reads `template.yaml`.
    pub fn read() -> Self {
        let template = Template::read();
        let number = |value: &Value| -> u64 { template.text(value).parse().unwrap_or_else(|e| panic!("{value}: {e}")) };
        let seconds = |value: &Value| Duration::from_secs(number(value));
        let mappings = template.resources_of("AWS::Lambda::EventSourceMapping");
        let batch = |mapping: &Value| usize::try_from(number(&mapping["BatchSize"])).unwrap_or(usize::MAX);
        let window = |mapping: &Value| seconds(&mapping["MaximumBatchingWindowInSeconds"]);
        let of_queue = |mapping: &Value| QueueSettings {
            batch: batch(mapping),
            window: window(mapping),
            concurrency: usize::try_from(number(&mapping["ScalingConfig"]["MaximumConcurrency"])).unwrap_or(1),
        };
        let (streams, queues): (Vec<&Value>, Vec<&Value>) = mappings
            .into_iter()
            .map(|(_, mapping)| mapping)
            .partition(|mapping| mapping["StartingPosition"].is_string());
        let redriven = template.resources_of("AWS::SQS::Queue").into_iter().map(|(_, queue)| queue);
        let redriven = redriven.filter(|queue| queue["RedrivePolicy"].is_object());
        let of_messages = |queue: &Value| {
            let max_receives = number(&queue["RedrivePolicy"]["maxReceiveCount"]);
            (seconds(&queue["VisibilityTimeout"]), u32::try_from(max_receives).unwrap_or(u32::MAX))
        };
        let (visibility, max_receives) = alike(redriven.map(of_messages));
        Self {
            visibility,
            max_receives,
            queues: alike(queues.into_iter().map(of_queue)),
            stream: alike(streams.into_iter().map(|mapping| StreamSettings {
                batch: batch(mapping),
                window: window(mapping),
                give_up: seconds(&mapping["MaximumRecordAgeInSeconds"]),
            })),
            limit: seconds(&template.section("Globals")["Function"]["Timeout"]),
        }
    }
}

fn alike<T: PartialEq + std::fmt::Debug>(mut settings: impl Iterator<Item = T>) -> T {
    let first = settings.next().expect("the template has one");
    settings.for_each(|other| assert_eq!(other, first, "the settings differ"));
    first
}
