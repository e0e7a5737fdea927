//! The file `sessions`: which sessions of a run were sent and acknowledged.

use std::io;
use std::path::Path;

use fixedbitset::FixedBitSet;

use super::write_whole;
use crate::Problem;

/// Two bits of each session, and the progress of the run.
#[derive(Debug)]
pub struct Sessions {
    /// Progress at the time of these bits.
    pub progress: Progress,
    devices: usize,
    sent: Vec<FixedBitSet>,
    acknowledged: Vec<FixedBitSet>,
}

/// Progress of a run. It is written with the bits, so that both describe the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Virtual milliseconds since the fleet's start.
    pub virtual_ms: u64,
    /// Uplinks of sent sessions.
    pub sent: u64,
    /// Uplinks of fully acknowledged sessions.
    pub acknowledged: u64,
}

/// Magic bytes of the file. The last digit is the version.
const MAGIC: &[u8; 8] = b"sessns 1";
const SESSIONS: &str = "sessions";
const WORD: usize = size_of::<u64>();

impl Sessions {
    /// Nothing sent.
    pub fn new(devices: u32, hours: u32) -> Self {
        let (devices, hours) = (devices as usize, hours as usize);
        let none = || vec![FixedBitSet::with_capacity(devices); hours];
        Self { progress: Progress::default(), devices, sent: none(), acknowledged: none() }
    }

    /// True if the session was sent.
    pub fn is_sent(&self, meter: u32, hour: u32) -> bool {
        self.sent[hour as usize].contains(meter as usize)
    }

    /// True if all uplinks of the session were acknowledged.
    pub fn is_acknowledged(&self, meter: u32, hour: u32) -> bool {
        self.acknowledged[hour as usize].contains(meter as usize)
    }

    /// Marks a session as sent.
    pub fn send(&mut self, meter: u32, hour: u32) {
        self.sent[hour as usize].insert(meter as usize);
    }

    /// Marks a session as acknowledged.
    pub fn acknowledge(&mut self, meter: u32, hour: u32) {
        self.acknowledged[hour as usize].insert(meter as usize);
    }

    /// Number of meters.
    pub fn devices(&self) -> usize {
        self.devices
    }

    /// Number of sent sessions.
    pub fn sent(&self) -> u64 {
        self.sent.iter().map(|hour| hour.count_ones(..) as u64).sum()
    }

    /// Number of acknowledged sessions.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.iter().map(|hour| hour.count_ones(..) as u64).sum()
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Problem`] if the file is missing or belongs to a fleet of another size.
    pub fn read(directory: &Path, devices: u32, hours: u32) -> Result<Self, Problem> {
        let file = directory.join(SESSIONS);
        let bytes = std::fs::read(&file).map_err(|e| match e.kind() {
            // A missing file does not mean that nothing was sent: each run writes it at its start.
            io::ErrorKind::NotFound => Problem::Wrong(format!(
                "{} is missing, so it is unknown what was sent: restore it, or run the fleet again into another \
                 directory",
                file.display()
            )),
            _ => Problem::File(file.display().to_string(), e),
        })?;
        Self::from_bytes(&bytes, devices, hours).ok_or_else(|| {
            Problem::Wrong(format!(
                "{} does not hold the sessions of {devices} meters over {hours} hours; it belongs to another run, or is \
                 damaged",
                file.display()
            ))
        })
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`Problem::File`].
    pub fn write(&self, directory: &Path) -> Result<(), Problem> {
        write_whole(&directory.join(SESSIONS), &self.to_bytes())
    }

    /// ```text
    ///  0          8             16          24               32         40                  48
    /// +----------+-------------+-----------+----------------+----------+-------------------+-------------------+------
    /// | sessns 1 | devices u64 | hours u64 | virtual ms u64 | sent u64 | acknowledged u64  | sent, hour 0 ...  | acknowledged ...
    /// +----------+-------------+-----------+----------------+----------+-------------------+-------------------+------
    /// ```
    /// Little-endian; for each hour one bit per meter, padded to words of 64 bits.
    fn to_bytes(&self) -> Vec<u8> {
        let Progress { virtual_ms, sent, acknowledged } = self.progress;
        let head = [self.devices as u64, self.sent.len() as u64, virtual_ms, sent, acknowledged];
        let mut bytes = Vec::with_capacity(MAGIC.len() + WORD * (head.len() + 2 * self.sent.len() * self.words()));
        bytes.extend_from_slice(MAGIC);
        bytes.extend(head.iter().flat_map(|word| word.to_le_bytes()));
        for hour in self.sent.iter().chain(&self.acknowledged) {
            let words = hour.as_slice().iter().copied().chain(std::iter::repeat(0)).take(self.words());
            bytes.extend(words.flat_map(|word| (word as u64).to_le_bytes()));
        }
        bytes
    }

    fn from_bytes(bytes: &[u8], devices: u32, hours: u32) -> Option<Self> {
        let (words, []) = bytes.strip_prefix(MAGIC)?.as_chunks::<WORD>() else { return None };
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let mut all = Self::new(devices, hours);
        if (words.next()?, words.next()?) != (u64::from(devices), u64::from(hours)) {
            return None;
        }
        all.progress = Progress { virtual_ms: words.next()?, sent: words.next()?, acknowledged: words.next()? };
        let (devices, per_hour) = (all.devices, all.words());
        for hour in all.sent.iter_mut().chain(&mut all.acknowledged) {
            let blocks: Option<Vec<usize>> =
                (0..per_hour).map(|_| words.next().and_then(|word| usize::try_from(word).ok())).collect();
            *hour = FixedBitSet::with_capacity_and_blocks(devices, blocks?);
        }
        words.next().is_none().then_some(all)
    }

    fn words(&self) -> usize {
        self.devices.div_ceil(u64::BITS as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_sessions_are_read_back_as_they_were_written(
            devices in 1_u32..300,
            hours in 1_u32..4,
            which in prop::collection::vec((any::<u32>(), any::<u32>(), any::<bool>()), 0..50),
            progress: [u64; 3],
        ) {
            let mut sessions = Sessions::new(devices, hours);
            let [virtual_ms, sent, acknowledged] = progress;
            sessions.progress = Progress { virtual_ms, sent, acknowledged };
            for (meter, hour, acknowledged) in which {
                sessions.send(meter % devices, hour % hours);
                if acknowledged {
                    sessions.acknowledge(meter % devices, hour % hours);
                }
            }
            let read = Sessions::from_bytes(&sessions.to_bytes(), devices, hours).unwrap();
            prop_assert_eq!(read.progress, sessions.progress);
            prop_assert_eq!(&read.sent, &sessions.sent);
            prop_assert_eq!(&read.acknowledged, &sessions.acknowledged);
        }

        #[test]
        fn a_file_that_is_cut_short_or_of_another_fleet_is_refused(cut in 0_usize..200) {
            let bytes = Sessions::new(100, 3).to_bytes();
            prop_assume!(cut < bytes.len());
            prop_assert!(Sessions::from_bytes(&bytes[..cut], 100, 3).is_none());
            prop_assert!(Sessions::from_bytes(&bytes, 101, 3).is_none());
            prop_assert!(Sessions::from_bytes(&bytes, 100, 2).is_none());
        }
    }
}
