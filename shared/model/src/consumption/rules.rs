//! Limits of the rules. The defaults come from 822,503 readings of 92 homes: see `docs/consumption.md`.

/// The longest step over which a volume is spread, in seconds: 72 hours. 98 % of the volume of the homes measured lies in
/// shorter ones. The volume of a longer step is in no interval; its sum is known.
pub const MAX_INTERPOLATED: i64 = 72 * 3_600;

/// The limits for a channel whose assignments do not set them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rules {
    /// The most pulses in an hour. A step may have as many for each hour that it is long, and for its first hour at least.
    pub max_per_hour: u64,
    /// The largest fall of an index, in pulses, that is taken for water flowing backwards, or for an older value restored
    /// after a loss of power. A larger one is a reset, or implausible. 238 of 246 falls measured are of at most 100 litres.
    pub max_reverse: u64,
    /// True if the index falls when water flows backwards. No device type of today does so: they count pulses.
    pub can_reverse: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { max_per_hour: 10_000, max_reverse: 100, can_reverse: false }
    }
}
