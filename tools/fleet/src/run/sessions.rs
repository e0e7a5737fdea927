//! What was sent of a run, and what of that was acknowledged: the file `sessions`.

use std::io;
use std::path::Path;

use fixedbitset::FixedBitSet;

use super::write_whole;
use crate::Problem;

/// Two bits of each session, and how far the fleet has come.
#[derive(Debug)]
pub struct Sessions {
    /// As of these bits.
    pub progress: Progress,
    devices: usize,
    sent: Vec<FixedBitSet>,
    acknowledged: Vec<FixedBitSet>,
}

/// How far a fleet has come: what is written with the bits, so that both are of the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Virtual milliseconds since the fleet's start.
    pub virtual_ms: u64,
    /// Uplinks of the sessions that were sent.
    pub sent: u64,
    /// Uplinks of the sessions of which all were acknowledged.
    pub acknowledged: u64,
}

/// What the file begins with. The last digit is its version.
const MAGIC: &[u8; 8] = b"sessns 1";
const SESSIONS: &str = "sessions";
const WORD: usize = size_of::<u64>();

impl Sessions {
    /// None sent.
    pub fn new(devices: u32, hours: u32) -> Self {
        let (devices, hours) = (devices as usize, hours as usize);
        let none = || vec![FixedBitSet::with_capacity(devices); hours];
        Self { progress: Progress::default(), devices, sent: none(), acknowledged: none() }
    }

    /// Whether the session was given to the network.
    pub fn is_sent(&self, meter: u32, hour: u32) -> bool {
        self.sent[hour as usize].contains(meter as usize)
    }

    /// Whether all its uplinks were acknowledged.
    pub fn is_acknowledged(&self, meter: u32, hour: u32) -> bool {
        self.acknowledged[hour as usize].contains(meter as usize)
    }

    /// It is given to the network now.
    pub fn send(&mut self, meter: u32, hour: u32) {
        self.sent[hour as usize].insert(meter as usize);
    }

    /// All its uplinks are acknowledged.
    pub fn acknowledge(&mut self, meter: u32, hour: u32) {
        self.acknowledged[hour as usize].insert(meter as usize);
    }

    /// How many meters each hour has.
    pub fn devices(&self) -> usize {
        self.devices
    }

    /// How many were sent.
    pub fn sent(&self) -> u64 {
        self.sent.iter().map(|hour| hour.count_ones(..) as u64).sum()
    }

    /// How many were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.iter().map(|hour| hour.count_ones(..) as u64).sum()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`Problem`] if there is no such file, or it is not of such a fleet.
    pub fn read(directory: &Path, devices: u32, hours: u32) -> Result<Self, Problem> {
        let file = directory.join(SESSIONS);
        let bytes = std::fs::read(&file).map_err(|e| match e.kind() {
            // Not the same as none sent: a run has one from its beginning on.
            io::ErrorKind::NotFound => Problem::Wrong(format!(
                "{} is not there, without which nobody knows what was sent: put it back, or send the fleet again into another \
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

    /// Writes them, whole or not at all.
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
    /// Little-endian; of each hour one bit for each meter, filled up to words of 64.
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
