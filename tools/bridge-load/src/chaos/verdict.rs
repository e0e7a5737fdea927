//! Checks every acknowledgement against the stream.

use std::fmt;

use fixedbitset::FixedBitSet;

use super::consumer::Stored;
use crate::flood::Tally;

/// How many lost readings are named.
const NAMED: usize = 5;

/// The counts of a run.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Readings sent.
    pub sent: u64,
    /// Readings acknowledged.
    pub acknowledged: u64,
    /// Readings acknowledged and not stored, which must never happen.
    pub lost: u64,
    /// The numbers of the first of these.
    pub first_lost: Vec<usize>,
    /// Readings stored and never acknowledged: the acknowledgement was lost or never sent.
    pub stored_unacknowledged: u64,
    /// Repeated writes, which have no effect.
    pub duplicates: u64,
    /// Items in the stream that no meter has sent.
    pub foreign_stored: u64,
    /// Records of the stream that cannot be parsed.
    pub unreadable: u64,
    /// Unauthenticated datagrams sent, and answers to them.
    pub flooded: Tally,
    /// Answers to meters that acknowledge no reading.
    pub unexpected: u64,
    /// Other problems.
    pub problems: Vec<String>,
}

impl Verdict {
    /// Compares acknowledgements with what is stored.
    pub fn new(sent: u64, acknowledged: &FixedBitSet, stored: &Stored) -> Self {
        let lost = || acknowledged.difference(&stored.readings);
        Self {
            sent,
            acknowledged: acknowledged.count_ones(..) as u64,
            lost: lost().count() as u64,
            first_lost: lost().take(NAMED).collect(),
            stored_unacknowledged: stored.readings.difference(acknowledged).count() as u64,
            duplicates: stored.duplicates,
            foreign_stored: stored.foreign,
            unreadable: stored.unreadable,
            ..Self::default()
        }
    }

    /// The broken invariants.
    pub fn broken(&self) -> Vec<String> {
        let must_be_none = [
            (self.lost, "readings are acknowledged and lost"),
            (self.foreign_stored, "items are stored that no meter has sent"),
            (self.unreadable, "records of the stream are unreadable"),
            (self.flooded.answered, "answers went to unauthenticated senders"),
            (self.unexpected, "answers acknowledge no reading"),
            (u64::from(self.acknowledged == 0), "run without any acknowledgement"),
        ];
        let counted =
            must_be_none.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        counted.chain(self.problems.iter().cloned()).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let never = self.sent - self.acknowledged;
        writeln!(f, "readings sent:              {}", self.sent)?;
        writeln!(f, "acknowledged:               {}", self.acknowledged)?;
        writeln!(f, "acknowledged and lost:      {}  {:?}", self.lost, self.first_lost)?;
        writeln!(f, "never acknowledged:         {never}, of these stored {}", self.stored_unacknowledged)?;
        writeln!(f, "duplicates in the stream:   {}, each stored once", self.duplicates)?;
        writeln!(f, "unauthenticated datagrams:  {}, answered {}", self.flooded.sent, self.flooded.answered)?;
        writeln!(f, "foreign items stored:       {}", self.foreign_stored)?;
        writeln!(f, "unreadable in the stream:   {}", self.unreadable)?;
        for broken in self.broken() {
            writeln!(f, "BROKEN: {broken}")?;
        }
        write!(
            f,
            "{}",
            if self.broken().is_empty() {
                "every acknowledgement holds"
            } else {
                "an acknowledgement or another invariant is broken"
            }
        )
    }
}
