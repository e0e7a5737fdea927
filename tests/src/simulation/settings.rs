//! The template's settings of queues, mappings and functions.

use std::time::Duration;

use serde_json::Value;

use super::queue_mapping::QueueSettings;
use super::stream_mapping::StreamSettings;
use crate::template::Template;

/// The deployed settings, of a stack with a table of pulses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The queue in front of `raw-sigfox`.
    pub raw: DeployedQueue,
    /// The two queues in front of `pulse`, which have the same settings; [`Settings::read`] checks that.
    pub pulse: DeployedQueue,
    /// The mapping on the stream.
    pub stream: StreamSettings,
    /// Time-out of the functions behind queues and stream.
    pub limit: Duration,
}

/// The settings of a queue and of the mapping on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeployedQueue {
    /// Visibility time-out.
    pub visibility: Duration,
    /// Maximum number of receives before a message becomes a dead letter.
    pub max_receives: u32,
    /// The mapping.
    pub mapping: QueueSettings,
}

impl Settings {
    /// Reads `template.yaml`.
    pub fn read() -> Self {
        let template = Template::with(&[]);
        let number = |value: &Value| -> u64 { template.text(value).parse().unwrap_or_else(|e| panic!("{value}: {e}")) };
        let seconds = |value: &Value| Duration::from_secs(number(value));
        let properties = |name: &str| template.resource(name)["Properties"].clone();
        let batch = |mapping: &Value| usize::try_from(number(&mapping["BatchSize"])).unwrap_or(usize::MAX);
        let window = |mapping: &Value| seconds(&mapping["MaximumBatchingWindowInSeconds"]);
        let deployed = |(queue, mapping): (&str, &str)| {
            let (queue, mapping) = (properties(queue), properties(mapping));
            let max_receives = number(&queue["RedrivePolicy"]["maxReceiveCount"]);
            DeployedQueue {
                visibility: seconds(&queue["VisibilityTimeout"]),
                max_receives: u32::try_from(max_receives).unwrap_or(u32::MAX),
                mapping: QueueSettings {
                    batch: batch(&mapping),
                    window: window(&mapping),
                    concurrency: usize::try_from(number(&mapping["ScalingConfig"]["MaximumConcurrency"])).unwrap_or(1),
                },
            }
        };
        let pulse = [("ProcessPulseDataSigfox", "PulseSigfoxSource"), ("ProcessPulseDataNbiot", "PulseNbiotSource")];
        let stream = properties("RawNbiotSource");
        Self {
            raw: deployed(("ProcessRawDataSigfox", "RawSigfoxSource")),
            pulse: alike(pulse.into_iter().map(deployed)),
            stream: StreamSettings {
                batch: batch(&stream),
                window: window(&stream),
                give_up: seconds(&stream["MaximumRecordAgeInSeconds"]),
            },
            limit: seconds(&template.section("Globals")["Function"]["Timeout"]),
        }
    }
}

fn alike<T: PartialEq + std::fmt::Debug>(mut settings: impl Iterator<Item = T>) -> T {
    let first = settings.next().expect("the template has one");
    settings.for_each(|other| assert_eq!(other, first, "the settings differ"));
    first
}
