//! Holds every acknowledgement against what is in the stream.

use std::fmt;

use fixedbitset::FixedBitSet;

use super::consumer::Stored;
use crate::strangers::Tally;

/// Readings that are named, of those that must not be.
const NAMED: usize = 5;

/// What has come of it all.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Readings sent.
    pub sent: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// Of these, not stored: what must never be.
    pub lost: u64,
    /// The first of them, by number.
    pub first_lost: Vec<usize>,
    /// Never acknowledged, and stored nevertheless: its acknowledgement got lost, or was never sent.
    pub stored_unacknowledged: u64,
    /// Stored once more than needed, to no effect.
    pub duplicates: u64,
    /// In the stream without any meter having sent it like this.
    pub strangers_stored: u64,
    /// In the stream, and unreadable.
    pub unreadable: u64,
    /// What strangers sent, and how much of it was answered.
    pub strangers: Tally,
    /// Answers to meters that acknowledge nothing that was sent.
    pub unexpected: u64,
    /// What else went wrong.
    pub problems: Vec<String>,
}

impl Verdict {
    /// Compares.
    pub fn new(sent: u64, acknowledged: &FixedBitSet, stored: &Stored) -> Self {
        let lost = || acknowledged.difference(&stored.readings);
        Self {
            sent,
            acknowledged: acknowledged.count_ones(..) as u64,
            lost: lost().count() as u64,
            first_lost: lost().take(NAMED).collect(),
            stored_unacknowledged: stored.readings.difference(acknowledged).count() as u64,
            duplicates: stored.duplicates,
            strangers_stored: stored.strangers,
            unreadable: stored.unreadable,
            ..Self::default()
        }
    }

    /// What does not hold.
    pub fn broken(&self) -> Vec<String> {
        let must_be_none = [
            (self.lost, "readings are acknowledged and lost"),
            (self.strangers_stored, "items are stored that no meter has sent"),
            (self.unreadable, "pieces of the stream are unreadable"),
            (self.strangers.answered, "answers went to strangers"),
            (self.unexpected, "answers acknowledge nothing that was sent"),
            (u64::from(self.acknowledged == 0), "time that nothing at all was acknowledged"),
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
        writeln!(f, "strangers' datagrams:       {}, answered {}", self.strangers.sent, self.strangers.answered)?;
        writeln!(f, "strangers' items stored:    {}", self.strangers_stored)?;
        writeln!(f, "unreadable in the stream:   {}", self.unreadable)?;
        for broken in self.broken() {
            writeln!(f, "BROKEN: {broken}")?;
        }
        write!(f, "{}", if self.broken().is_empty() { "every acknowledgement holds" } else { "it does not hold" })
    }
}
