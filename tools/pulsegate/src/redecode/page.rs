//! Uplinks of the archive in pages that end between two uplinks: an uplink that arrived in two kinds is compared once.
//! Events have nothing to decode, and are skipped.

use std::vec;

use pulsegate_model::at::At;
use pulsegate_model::device::DeviceId;
use pulsegate_model::uplink::{Kind, Uplink};
use pulsegate_pipeline::archive::place::{Day, Place};
use pulsegate_pipeline::archive::reader::{Archive, ArchiveError};
use pulsegate_pipeline::archive::scan::{PlaceUplinks, Scan};
use pulsegate_pipeline::archive::store::ObjectStore;
use pulsegate_pipeline::ports::ReadError;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::question::Question;
use crate::Problem;

/// The selected uplinks.
pub(super) enum Selected<'a, S> {
    /// Those of a device.
    Device(Vec<Uplink>),
    /// Those of all devices.
    All(Scan<'a, S>),
}

/// The uplinks of a device, or of a file, in order.
pub(super) struct Uplinks {
    source: Source,
    next: Option<Uplink>,
}

enum Source {
    Device(vec::IntoIter<Uplink>),
    Place(Box<PlaceUplinks>),
}

/// The part of its order by which an uplink is found again. All kinds of an uplink have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Mark {
    device: DeviceId,
    at: At,
    sequence: Option<u32>,
}

impl<'a, S: ObjectStore> Selected<'a, S> {
    pub(super) async fn open(archive: &'a Archive<S>, question: &Question, deadline: Instant) -> Result<Self, Problem> {
        let (from, last) = question.span();
        let selected = match question.device {
            Some(device) => archive.uplinks(device, from, last, deadline).await.map(Self::Device),
            None => archive.scan(from, last, deadline).await.map(Self::All),
        };
        selected.map_err(unread)
    }

    /// The files of a part, in order: each part has some of each day's. A device has one part, without files.
    pub(super) fn places(&self, number: u32, parts: u32) -> Vec<Option<Place>> {
        match self {
            Self::Device(_) => vec![None],
            Self::All(scan) => scan.places().filter(|place| part(*place, parts) == number).map(Some).collect(),
        }
    }

    pub(super) async fn read(&self, place: Option<Place>, deadline: Instant) -> Result<Uplinks, Problem> {
        let source = match (self, place) {
            (Self::All(scan), Some(place)) => {
                Source::Place(Box::new(scan.open(place, deadline).await.map_err(unread)?))
            }
            (Self::Device(uplinks), _) => Source::Device(uplinks.clone().into_iter()),
            (Self::All(_), None) => Source::Device(Vec::new().into_iter()),
        };
        Ok(Uplinks { source, next: None })
    }
}

impl Uplinks {
    /// Skips the uplinks up to this one.
    pub(super) fn skip(&mut self, done: &Mark) -> Result<(), Problem> {
        while self.peek()?.is_some_and(|uplink| Mark::of(uplink) <= *done) {
            self.next = None;
        }
        Ok(())
    }

    /// The next page, of so many uplinks, and the remaining kinds of the last; none at the end.
    pub(super) fn page(&mut self, limit: usize) -> Result<Vec<Uplink>, Problem> {
        let mut page: Vec<Uplink> = Vec::new();
        while let Some(next) = self.peek()? {
            let is_of_last = page.last().is_some_and(|last| Mark::of(last) == Mark::of(next));
            if page.len() >= limit && !is_of_last {
                break;
            }
            page.extend(self.next.take());
        }
        Ok(page)
    }

    fn peek(&mut self) -> Result<Option<&Uplink>, Problem> {
        while self.next.is_none() {
            let next = match &mut self.source {
                Source::Device(uplinks) => uplinks.next(),
                Source::Place(uplinks) => uplinks.next_uplink().map_err(unread)?,
            };
            let Some(next) = next else { break };
            self.next = Some(next).filter(|next| next.kind != Kind::Event);
        }
        Ok(self.next.as_ref())
    }
}

impl Mark {
    pub(super) fn of(uplink: &Uplink) -> Self {
        let Uplink { device, at, sequence, .. } = *uplink;
        Self { device, at, sequence }
    }
}

/// The number of a file's part: a function of the file alone, so that a resumed run has the same parts although files
/// have been added meanwhile.
fn part(place: Place, parts: u32) -> u32 {
    let day = match place.day {
        Day::Date(day) => u32::try_from(day).unwrap_or_default(),
        Day::Odd => 0,
    };
    (day + u32::from(place.partition)) % parts
}

fn unread(error: ArchiveError) -> Problem {
    ReadError { what: "the archive".to_owned(), source: error.into() }.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn uplink((at, sequence, kind): (u32, Option<u32>, bool)) -> Uplink {
        serde_json::from_value(json!({
            "device": "sigfox:1", "kind": if kind { "data" } else { "data-advanced" }, "time_source": "network",
            "at": format!("2026-11-20T12:00:{at:02}Z"), "sequence": sequence, "profile": "p", "payload": "46",
        }))
        .unwrap()
    }

    proptest! {
        #[test]
        fn every_uplink_is_in_one_page_and_no_kind_of_it_in_another_from_wherever_it_is_resumed(
            keys in proptest::collection::btree_set((0..5_u32, proptest::option::of(0..3_u32), any::<bool>()), 0..30),
            limit in 1..5_usize,
        ) {
            let all: Vec<Uplink> = keys.into_iter().map(uplink).collect();
            let mut done: Option<Mark> = None;
            let mut seen = Vec::new();
            loop {
                let mut uplinks = Uplinks { source: Source::Device(all.clone().into_iter()), next: None };
                if let Some(done) = &done {
                    uplinks.skip(done).unwrap();
                }
                let page = uplinks.page(limit).unwrap();
                let Some(last) = page.last() else { break };
                prop_assert!(page.len() >= limit || uplinks.page(1).unwrap().is_empty());
                prop_assert!(page.iter().all(|uplink| done.as_ref().is_none_or(|done| Mark::of(uplink) > *done)));
                done = Some(Mark::of(last));
                seen.extend(page);
            }
            prop_assert_eq!(seen, all);
        }
    }

    #[test]
    fn the_files_of_a_day_and_the_days_of_a_partition_are_of_different_parts() {
        let of = |day, partition| part(Place { day: Day::Date(day), partition, bits: 6 }, 4);
        assert_eq!([of(20_000, 0), of(20_000, 1), of(20_001, 1), of(20_003, 0)], [0, 1, 2, 3]);
    }
}
