//! Counts by place.

use std::fmt::Write as _;

use pulsegate_model::at::At;
use pulsegate_pipeline::archive::erase::Erased;
use serde_json::{Value, json};

use super::Order;
use crate::options::Format;
use crate::{Problem, print};

/// Counts of a place, in objects, items or messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    /// Had something of the device.
    pub(super) found: usize,
    /// Uplinks in these, or items.
    pub(super) rows: usize,
    /// Have nothing of it any more, or are gone.
    pub(super) removed: usize,
    /// Cannot be read, or cannot be taken apart.
    pub(super) left: usize,
}

/// The counts of all places, in the order of the steps.
#[derive(Debug, Default)]
pub(super) struct Report {
    places: Vec<(String, Count)>,
    /// The time of the device's tombstone.
    pub(super) tombstone: Option<At>,
    /// False if the run has ended early.
    pub(super) finished: bool,
}

impl From<Erased> for Count {
    fn from(erased: Erased) -> Self {
        Self { found: erased.found, rows: erased.rows, removed: erased.removed, left: erased.unreadable }
    }
}

impl Report {
    /// Adds to the counts of a place. What is left is that of the last search.
    pub(super) fn add(&mut self, place: &str, count: Count) {
        let known = self.places.iter_mut().find(|(name, _)| name == place);
        let Some((_, sum)) = known else {
            self.places.push((place.to_owned(), count));
            return;
        };
        sum.found += count.found;
        sum.rows += count.rows;
        sum.removed += count.removed;
        sum.left = count.left;
    }

    fn sum(&self, of: impl Fn(&Count) -> usize) -> usize {
        self.places.iter().map(|(_, count)| of(count)).sum()
    }

    /// The reason why the device is not erased, although the run has not failed.
    pub(super) fn problem(&self, order: &Order) -> Option<Problem> {
        let left = self.sum(|count| count.left);
        let kept = if order.write { self.sum(|count| count.found.saturating_sub(count.removed)) } else { 0 };
        if left + kept == 0 { None } else { Some(Problem::NotErased { left, kept }) }
    }

    pub(super) fn print(&self, order: &Order) -> String {
        match order.format {
            Format::Json => print::json_text(&self.object(order)),
            Format::Table => self.table(order),
        }
    }

    fn object(&self, order: &Order) -> Value {
        let place = |(name, count): &(String, Count)| {
            let Count { found, rows, removed, left } = count;
            json!({"place": name, "found": found, "rows": rows, "removed": removed, "left": left})
        };
        json!({
            "device": order.device, "written": order.write, "finished": self.finished, "tombstone": self.tombstone,
            "places": self.places.iter().map(place).collect::<Vec<_>>(),
        })
    }

    fn table(&self, order: &Order) -> String {
        let row = |(name, count): &(String, Count)| {
            let Count { found, rows, removed, left } = count;
            [name.clone(), found.to_string(), rows.to_string(), removed.to_string(), left.to_string()]
        };
        let rows: Vec<_> = self.places.iter().map(row).collect();
        let mut text = print::table(&["place", "found", "rows", "removed", "left"], &rows);
        // Writing to a string cannot fail.
        let _ = match (self.tombstone, order.write) {
            (Some(at), _) => writeln!(text, "\ntombstone of {at}"),
            (None, _) => writeln!(text, "\nno tombstone"),
        };
        if !order.write {
            text.push_str("nothing was removed; --write erases the device\n");
        }
        text
    }
}
