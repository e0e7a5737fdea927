//! Makes the points file of a day and partition from files of uplinks, device by device.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::device::DeviceId;
use pulsegate_model::merge::{self, Counted, Merge, Point, Points};
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::{Kind, Uplink, UplinkError};
use tokio::time::Instant;

use super::file::{PointRow, PointWriter, ValueKind};
use super::origin::{Decoder, Origin};
use super::source::{DeviceRows, Source};
use super::{AHEAD, REACH};
use crate::archive::columns::FileError;
use crate::archive::decoded::Decoded;
use crate::archive::place::{Day, PartitionBits, Place};
use crate::archive::reports;
use crate::archive::reports::file::ReportWriter;
use crate::archive::row::{self, Row};
use crate::archive::store::{ETag, ObjectStore};
use crate::archive::stream::SourceError;
use crate::tombstones::Tombstones;

/// A file of uplinks to read.
pub(super) struct Wanted<'a> {
    pub(super) place: Place,
    /// The knowledge about it, if there is any.
    pub(super) known: Option<Known<'a>>,
}

/// The knowledge about a version of a file.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) etag: &'a ETag,
    /// The row groups with uplinks that have a part in the points of this day.
    pub(super) groups: &'a BTreeSet<u32>,
    /// The profiles of all its uplinks.
    pub(super) decoders: &'a BTreeMap<String, String>,
}

/// A points file and the file of reports beside it, not written yet.
pub(super) struct Built {
    pub(super) points_file: PointWriter,
    /// The file of reports.
    pub(super) reports: Bytes,
    /// The points file's, still without the version of the reports.
    pub(super) origin: Origin,
    /// The files that were read. Some may be of other versions than expected.
    pub(super) read: Vec<(Place, ETag)>,
    /// Files that are gone.
    pub(super) absent: Vec<Place>,
    pub(super) points: u64,
}

/// A points file that cannot be made now.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A row is not an uplink.
    #[error(transparent)]
    Row(#[from] UplinkError),
    /// The points file cannot be encoded.
    #[error(transparent)]
    File(#[from] FileError),
    /// An item cannot be merged.
    #[error(transparent)]
    Merge(#[from] merge::MergeError),
}

/// Makes points files.
pub(super) struct Builder<'a, S> {
    pub(super) store: &'a S,
    pub(super) bits: &'a PartitionBits,
    pub(super) erased: &'a Tombstones,
    pub(super) decoder: Decoder,
    pub(super) deadline: Instant,
}

impl<S: ObjectStore> Builder<'_, S> {
    /// Makes the points file of a place on this day from these files.
    pub(super) async fn build(&self, place: Place, day: i64, wanted: &[Wanted<'_>]) -> Result<Built, BuildError> {
        let reports = ReportWriter::new()?;
        let mut file = File { day, place, decoder: self.decoder, origin: Origin::default(), reports, points: 0 };
        let (mut sources, mut absent) = (Vec::new(), Vec::new());
        for &Wanted { place, known } in wanted {
            match Source::open(self.store, place, known, self.deadline).await? {
                Some(source) => sources.push(source),
                None => absent.push(place),
            }
            file.origin.decoders.extend(known.into_iter().flat_map(|known| known.decoders.clone()));
        }
        let mut writer = PointWriter::new()?;
        while let Some(device) = self.next_device(&mut sources).await? {
            let is_ours = self.bits.place_of(device, place.day) == place && !self.erased.contains(device);
            let mut items = Vec::new();
            for source in &mut sources {
                let (is_own, rows) = (source.place == place, source.take(device));
                file.note_profiles(is_own, &rows);
                if is_ours {
                    items.extend(file.items(device, is_own, rows)?);
                }
            }
            for row in file.rows(device, items)? {
                writer.push(&row)?;
            }
        }
        let read: Vec<(Place, ETag)> = sources.iter().map(|source| (source.place, source.etag().clone())).collect();
        file.origin.sources = read.iter().map(|(place, etag)| (place.to_string(), etag.0.clone())).collect();
        let File { mut origin, reports, points, .. } = file;
        origin.decoders.extend(origin.own_decoders.clone());
        Ok(Built { points_file: writer, reports: reports.finish([])?, origin, read, absent, points })
    }

    /// The next device in order, of which all rows are in memory then.
    async fn next_device(&self, sources: &mut [Source]) -> Result<Option<DeviceId>, BuildError> {
        let mut next: Option<DeviceId> = None;
        for source in sources {
            let device = source.next_device(self.store, self.deadline).await?;
            next = [next, device].into_iter().flatten().min();
        }
        Ok(next)
    }
}

/// The state of a points file while it is made.
struct File {
    place: Place,
    day: i64,
    decoder: Decoder,
    origin: Origin,
    reports: ReportWriter,
    points: u64,
}

impl File {
    fn note_profiles(&mut self, is_own: bool, DeviceRows { rows, .. }: &DeviceRows) {
        // Nearly always one.
        for together in rows.chunk_by(|one, other| one.profile == other.profile) {
            let row = &together[0];
            let profile = String::from_utf8_lossy(row.profile.data());
            self.origin.add_decoder(is_own, row.device().network(), &profile, self.decoder);
        }
    }

    /// The items in these rows that have a part in the points of the day. Notes where the items of the day itself are
    /// wanted too, and reports them.
    fn items(
        &mut self,
        device: DeviceId,
        is_own: bool,
        DeviceRows { rows, groups }: DeviceRows,
    ) -> Result<Vec<PulseItem>, BuildError> {
        let uplinks: Result<Vec<Uplink>, _> = row::valid(rows).iter().map(Row::uplink).collect();
        let (events, uplinks): (Vec<Uplink>, Vec<Uplink>) =
            uplinks?.into_iter().partition(|uplink| uplink.kind == Kind::Event);
        let decoded = Decoded::of(uplinks);
        if is_own {
            for report in reports::of(&events, &decoded) {
                self.reports.push(&(device, report))?;
            }
        }
        let Decoded { items, undecodable } = decoded;
        let mut ours = Vec::new();
        for item in items.into_values() {
            let days = merge::days(&item).map_err(merge::MergeError::from)?;
            let is_of_the_day = days.contains(&self.day);
            if is_own {
                self.note(&item, days, &groups);
            }
            if is_of_the_day {
                ours.push(item);
            }
        }
        if is_own {
            self.origin.undecodable += undecodable.len() as u64;
        }
        Ok(ours)
    }

    fn note(&mut self, item: &PulseItem, days: BTreeSet<i64>, groups: &BTreeSet<u32>) {
        let reached = self.day - REACH..=self.day + AHEAD;
        for day in days.into_iter().filter(|day| reached.contains(day) && *day != self.day) {
            self.origin.reach.entry(day).or_default().extend(groups);
        }
        let counts = item.channels.values().flat_map(|counts| counts.dated().chain(counts.counted_dated()));
        let times = counts.filter_map(|(_, at)| Some(day_of(at?)));
        self.origin.out_of_reach += times.filter(|day| !reached.contains(day)).count() as u64;
    }

    /// The device's points of the day, in order.
    fn rows(&mut self, device: DeviceId, mut items: Vec<PulseItem>) -> Result<Vec<PointRow>, BuildError> {
        items.sort_unstable();
        let mut codecs: BTreeMap<Channel, (String, u16)> = BTreeMap::new();
        for item in &items {
            let codec = (item.codec.to_string(), item.codec_version);
            codecs.extend(item.channels.keys().map(|channel| (channel.clone(), codec.clone())));
        }
        let mut merge = Merge::default();
        for item in items {
            merge.add(item)?;
        }
        let mut rows = Vec::new();
        for (channel, Points { points, counted, .. }) in merge.points() {
            let Some((codec, codec_version)) = codecs.remove(&channel) else { continue };
            let of_point = |Point { at, index, time_source, counter_bits, contradicted }| {
                (ValueKind::Index, at, index, time_source, counter_bits, contradicted)
            };
            let of_period = |Counted { at, pulses, time_source, contradicted }| {
                (ValueKind::Counted, at, pulses, time_source, None, contradicted)
            };
            let values = counted.into_iter().map(of_period).chain(points.into_iter().map(of_point));
            let values = values.filter(|(_, at, ..)| Day::at(*at) == self.place.day);
            rows.extend(values.map(|(kind, at, value, time_source, counter_bits, contradicted)| PointRow {
                device,
                channel: channel.to_string(),
                kind,
                at,
                value,
                time_source,
                counter_bits,
                contradicted,
                codec: codec.clone(),
                codec_version,
            }));
        }
        self.points += rows.len() as u64;
        Ok(rows)
    }
}

fn day_of(at: At) -> i64 {
    at.unix().div_euclid(86_400)
}
