//! The archive, from options or the environment.

use clap::Args;
use pulsegate_aws::MissingSettings;
use pulsegate_pipeline::archive::place::PartitionBits;

use super::address::{self, Resource};

/// The archive to read.
#[derive(Debug, Clone, Args)]
pub struct ArchiveOptions {
    /// The stack's output `ArchiveBucketName`
    #[arg(long, env = "ARCHIVE_BUCKET", value_name = "NAME")]
    archive_bucket: Option<String>,
    /// The stack's output `PartitionBits`, such as 2026-01-01=0,2027-03-01=6; it may be empty
    #[arg(long, env = "PARTITION_BITS", value_name = "BITS")]
    partition_bits: Option<String>,
}

pub(super) const BUCKET: Resource = Resource::named(["--archive-bucket", "ARCHIVE_BUCKET", "ArchiveBucketName"]);

impl ArchiveOptions {
    /// Returns the name of the bucket, and the number of partitions. With another number than the stack's, a reader looks
    /// into files that do not exist and finds nothing; so there is no default.
    ///
    /// # Errors
    /// [`MissingSettings`] naming each that is missing or wrong.
    pub fn archive(&self) -> Result<(String, PartitionBits), MissingSettings> {
        let bucket = address::all([(&BUCKET, self.archive_bucket.as_ref())]);
        match (bucket, self.bits()) {
            (Ok([bucket]), Ok(bits)) => Ok((bucket, bits)),
            (Ok(_), Err(wrong)) => Err(MissingSettings(vec![wrong])),
            (Err(MissingSettings(mut all)), bits) => {
                all.extend(bits.err());
                Err(MissingSettings(all))
            }
        }
    }

    fn bits(&self) -> Result<PartitionBits, String> {
        const REMEDY: &str = "give the stack's output PartitionBits, which may be empty";
        let given = self.partition_bits.as_ref();
        let given = given.ok_or_else(|| format!("--partition-bits or PARTITION_BITS is missing: {REMEDY}"))?;
        given.trim().parse().map_err(|reason| format!("--partition-bits or PARTITION_BITS: {reason}: {REMEDY}"))
    }
}
