//! The command line of `pulsegate erase`.

use std::time::Duration;

use clap::Args;
use jiff::{Span, SpanRelativeTo};
use pulsegate_aws::MissingSettings;
use pulsegate_model::device::DeviceId;

use super::address::{self, Resource};
use super::{Format, any_device};
use crate::Problem;

/// The device, and where it is to be erased.
#[derive(Debug, Clone, Args)]
pub struct EraseOptions {
    /// The device, such as sigfox:1A2345 or nbiot:490154203237518
    #[arg(value_parser = any_device)]
    pub device: DeviceId,
    /// Erase. Without it, what would be removed is only shown
    #[arg(long)]
    pub write: bool,
    /// Time after the tombstone in which an invocation that began before it may still write; after that the places are
    /// searched again. The longest time-out of a function
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = grace)]
    pub grace: Duration,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// The stack has no table of pulses, and no queues for it
    #[arg(long, conflicts_with_all = ["pulse_table", "pulse_sigfox_dead_letters", "pulse_nbiot_dead_letters"])]
    pub no_pulse_table: bool,
    /// The stack's output `ArchiveBucketName`
    #[arg(long, env = "ARCHIVE_BUCKET", value_name = "NAME")]
    archive_bucket: Option<String>,
    /// The stack's output `UndeliveredBucket`
    #[arg(long, env = "UNDELIVERED_BUCKET", value_name = "NAME")]
    undelivered_bucket: Option<String>,
    /// The stack's output `EventsTable`
    #[arg(long, env = "EVENTS_TABLE", value_name = "NAME")]
    events_table: Option<String>,
    /// The stack's output `DownlinkTable`
    #[arg(long, env = "DOWNLINK_TABLE", value_name = "NAME")]
    downlink_table: Option<String>,
    /// The stack's output `PulseTable`
    #[arg(long, env = "PULSE_TABLE", value_name = "NAME")]
    pulse_table: Option<String>,
    /// The stack's output `QuarantineQueueUrl`
    #[arg(long, env = "QUARANTINE_QUEUE_URL", value_name = "URL")]
    quarantine_queue: Option<String>,
    /// The stack's output `RawDeadLettersUrl`
    #[arg(long, env = "RAW_DEAD_LETTERS_URL", value_name = "URL")]
    raw_dead_letters: Option<String>,
    /// The stack's output `PulseSigfoxDeadLettersUrl`
    #[arg(long, env = "PULSE_SIGFOX_DEAD_LETTERS_URL", value_name = "URL")]
    pulse_sigfox_dead_letters: Option<String>,
    /// The stack's output `PulseNbiotDeadLettersUrl`
    #[arg(long, env = "PULSE_NBIOT_DEAD_LETTERS_URL", value_name = "URL")]
    pulse_nbiot_dead_letters: Option<String>,
}

const ARCHIVE: Resource = Resource::named(["--archive-bucket", "ARCHIVE_BUCKET", "ArchiveBucketName"]);
const UNDELIVERED: Resource = Resource::named(["--undelivered-bucket", "UNDELIVERED_BUCKET", "UndeliveredBucket"]);
const EVENTS: Resource = Resource::named(["--events-table", "EVENTS_TABLE", "EventsTable"]);
const DOWNLINKS: Resource = Resource::named(["--downlink-table", "DOWNLINK_TABLE", "DownlinkTable"]);
const PULSES: Resource = Resource::named(["--pulse-table", "PULSE_TABLE", "PulseTable"]);
const QUARANTINE: Resource = Resource::queue(["--quarantine-queue", "QUARANTINE_QUEUE_URL", "QuarantineQueueUrl"]);
const RAW_LETTERS: Resource = Resource::queue(["--raw-dead-letters", "RAW_DEAD_LETTERS_URL", "RawDeadLettersUrl"]);
const SIGFOX_LETTERS: Resource =
    Resource::queue(["--pulse-sigfox-dead-letters", "PULSE_SIGFOX_DEAD_LETTERS_URL", "PulseSigfoxDeadLettersUrl"]);
const NBIOT_LETTERS: Resource =
    Resource::queue(["--pulse-nbiot-dead-letters", "PULSE_NBIOT_DEAD_LETTERS_URL", "PulseNbiotDeadLettersUrl"]);

/// Addresses of the places where a device can be.
#[derive(Debug, Clone)]
pub struct EraseAddresses {
    /// Name of the archive's bucket.
    pub archive: String,
    /// Name of the bucket of undelivered stream records.
    pub undelivered: String,
    /// Tables: what is in them, name, sort key.
    pub tables: Vec<(&'static str, String, &'static str)>,
    /// Queues: what is in them, URL.
    pub queues: Vec<(&'static str, String)>,
}

impl EraseOptions {
    /// Returns the addresses of all places.
    ///
    /// # Errors
    /// [`Problem::Settings`] naming all that are missing.
    pub fn addresses(&self) -> Result<EraseAddresses, Problem> {
        let always = address::all([
            (&ARCHIVE, self.archive_bucket.as_ref()),
            (&UNDELIVERED, self.undelivered_bucket.as_ref()),
            (&EVENTS, self.events_table.as_ref()),
            (&DOWNLINKS, self.downlink_table.as_ref()),
            (&QUARANTINE, self.quarantine_queue.as_ref()),
            (&RAW_LETTERS, self.raw_dead_letters.as_ref()),
        ]);
        let of_pulses = address::all([
            (&PULSES, self.pulse_table.as_ref()),
            (&SIGFOX_LETTERS, self.pulse_sigfox_dead_letters.as_ref()),
            (&NBIOT_LETTERS, self.pulse_nbiot_dead_letters.as_ref()),
        ]);
        let of_pulses = if self.no_pulse_table { Ok(None) } else { of_pulses.map(Some) };
        let ([archive, undelivered, events, downlinks, quarantine, letters], of_pulses) = match (always, of_pulses) {
            (Ok(always), Ok(of_pulses)) => (always, of_pulses),
            (always, of_pulses) => {
                let missing = [always.err(), of_pulses.err()].into_iter().flatten().flat_map(|missing| missing.0);
                return Err(MissingSettings(missing.collect()).into());
            }
        };
        let mut tables = vec![("device events", events, "event"), ("downlinks", downlinks, "downlink")];
        let mut queues = vec![("quarantine", quarantine), ("dead letters of raw-sigfox", letters)];
        if let Some([pulses, sigfox, nbiot]) = of_pulses {
            tables.push(("pulses", pulses, "uplink"));
            queues.push(("dead letters of pulse, Sigfox", sigfox));
            queues.push(("dead letters of pulse, NB-IoT", nbiot));
        }
        Ok(EraseAddresses { archive, undelivered, tables, queues })
    }
}

fn grace(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let wrong = "it is not a duration such as 15m or 0s";
    span.ok().and_then(|span| span.try_into().ok()).ok_or_else(|| wrong.to_owned())
}
