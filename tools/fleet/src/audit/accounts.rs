//! Accounts of all audited runs: assigns each stored item to the run that sent it, or to none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulsegate_aws::Key;
use pulsegate_aws::items::Item;
use pulsegate_model::at::At;
use pulsegate_model::codec::Flag;
use pulsegate_model::device::DeviceId;
use pulsegate_model::pulse;
use pulsegate_model::pulse::PulseItem;
use pulsegate_model::uplink::{Kind, Uplink};

use super::consumption::{self, StoredDays};
use super::expected_run::{Deviation, ExpectedRun, UplinkPosition, sort_key};
use super::findings::{ConsumptionFindings, MOST_NAMED, Meters, Sizes, UnexpectedItems};
use super::points::{self, Compared};
use crate::Problem;
use crate::meters::{Dating, Fleet};
use crate::run::{Run, Sessions};

/// The reason why a row is not stored as it should be.
const MISPLACED: &str = "in a file where no reader looks for it";

/// The runs, and the items that belong to none of them.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) runs: Vec<ExpectedRun>,
    /// Items of the fleets' devices that no session has sent.
    pub(super) strange: UnexpectedItems,
    /// Items of devices outside the fleets.
    pub(super) foreign: u64,
    /// Sizes of the items of these runs, by network.
    pub(super) sizes: BTreeMap<String, Sizes>,
    /// Comparison of points, by run.
    pub(super) meters: Vec<Meters>,
    /// Comparison of consumption, if it is wanted.
    pub(super) consumption: Option<ConsumptionFindings>,
    /// Rows of days in the archive, if it is.
    pub(super) days: StoredDays,
}

impl Accounts {
    /// Opens the runs of these directories.
    pub(super) fn open(directories: &[PathBuf]) -> Result<Self, Problem> {
        let open = |directory: &PathBuf| {
            let run = Run::read(directory)?;
            let began = run.began().unwrap_or(run.spec.start);
            let has_radio = has_radio(&run);
            let fleet = Fleet::new(run.spec)?;
            let sessions = Sessions::read(directory, fleet.spec().devices, fleet.hours())?;
            let noted = sessions.progress.sent;
            // Sessions are written before run.json.
            if noted == 0 || noted < run.measured.sent {
                return Err(Problem::Wrong(format!(
                    "{} has {noted} messages as sent in its file `sessions`, and {} in run.json: {}",
                    directory.display(),
                    run.measured.sent,
                    if noted == 0 {
                        "there is nothing to account for"
                    } else {
                        "the file is of another run, or an older one"
                    },
                )));
            }
            let mut expected = ExpectedRun::new(name(directory), fleet, sessions, began, &run.measured);
            expected.has_radio = has_radio;
            Ok(expected)
        };
        Ok(Self::new(directories.iter().map(open).collect::<Result<_, Problem>>()?))
    }

    pub(super) fn new(runs: Vec<ExpectedRun>) -> Self {
        let meters = runs.iter().map(|_| Meters::default()).collect();
        Self {
            runs,
            strange: UnexpectedItems::default(),
            foreign: 0,
            sizes: BTreeMap::new(),
            meters,
            consumption: None,
            days: StoredDays::default(),
        }
    }

    /// Forgets what was found.
    pub(super) fn clear(&mut self) {
        self.runs.iter_mut().for_each(ExpectedRun::clear);
        self.meters.fill(Meters::default());
        self.consumption = self.consumption.take().map(|_| ConsumptionFindings::default());
        (self.strange, self.foreign) = (UnexpectedItems::default(), 0);
        self.sizes.clear();
    }

    /// Records a row of the archive. `is_in_place` is false if it is in a file where no reader looks for it.
    pub(super) fn raw(&mut self, uplink: &Uplink, is_in_place: bool) -> Result<(), Problem> {
        let places = self.places(uplink.device, uplink.at, uplink.sequence, None);
        if uplink.kind == Kind::Event {
            return self.event(uplink, is_in_place, places.unwrap_or_default());
        }
        if places.as_ref().is_some_and(|places| !places.is_empty()) {
            let sizes = self.sizes.entry(uplink.device.network().to_string()).or_default();
            sizes.uplinks += 1;
            sizes.message_bytes += serde_json::to_string(uplink).map_or(0, |text| text.len() as u64);
        }
        let key = || format!("{} {}#{}", uplink.device, uplink.key(), uplink.kind);
        for (number, place) in self.known(places, || format!("raw: {}", key())) {
            let run = &mut self.runs[number];
            let (expected, dating) = run.uplink(place, uplink.at)?;
            if uplink.kind != expected.kind {
                self.strange.take(format!("raw: {}", key()));
                continue;
            }
            let is_arrival = dating == Dating::Arrival;
            let wrong = altered(&expected, uplink)
                .or_else(|| (is_arrival && !is_within(run.began, uplink.at)).then_some("not dated by its arrival"))
                .or_else(|| (!is_in_place).then_some(MISPLACED));
            match wrong {
                None => run.mark_raw(place, is_arrival.then_some(uplink.at))?,
                Some(how) => run.note(place, Deviation::Altered(format!("raw: {how}"))),
            }
        }
        Ok(())
    }

    /// Records the row of an event that is a status message. Others are of uplinks that have rows of their own, if they
    /// arrived.
    fn event(&mut self, row: &Uplink, is_in_place: bool, places: Vec<(usize, UplinkPosition)>) -> Result<(), Problem> {
        for (number, place) in places {
            let run = &mut self.runs[number];
            let (expected, _) = run.uplink(place, row.at)?;
            if expected.kind != Kind::Event {
                continue;
            }
            match altered(&expected, row).or_else(|| (!is_in_place).then_some(MISPLACED)) {
                // It has no pulses to wait for.
                None => run.mark_raw(place, None).and_then(|()| run.mark_pulses(place))?,
                Some(how) => run.note(place, Deviation::Altered(format!("raw: {how}"))),
            }
        }
        Ok(())
    }

    /// Decodes the uplinks that the archive holds, for a stack without a pulses table. An uplink is made again from its
    /// spec, since [`Self::raw`] has found that the stored one equals it: so the audit keeps no payloads.
    pub(super) fn decode(&mut self) -> Result<(), Problem> {
        for number in 0..self.runs.len() {
            for meter in 0..self.runs[number].fleet.spec().devices {
                let items = self.runs[number].decoded(meter)?;
                if !items.is_empty() {
                    self.of_run(number, items)?;
                }
            }
        }
        Ok(())
    }

    /// Records all pulse items of a device; of the run `only`, or of any.
    pub(super) fn pulses(&mut self, device: &str, items: Vec<Item>, only: Option<usize>) -> Result<(), Problem> {
        if !self.is_new(device, only) {
            return Err(Problem::Wrong(format!(
                "the pulses table returned the items of {device} in several parts; try --by-key"
            )));
        }
        let mut of_runs: BTreeMap<usize, Vec<(UplinkPosition, PulseItem)>> = BTreeMap::new();
        for item in items {
            let key = Key::of(&item);
            let stored = item.clone();
            let item: PulseItem = match serde_dynamo::from_item(item) {
                Ok(item) => item,
                Err(e) => {
                    self.unreadable(key, &e)?;
                    continue;
                }
            };
            let places = match natural_key(&item.uplink) {
                Some((at, sequence)) => self.places(item.device, at, sequence, only),
                None => self.places_of_no_key(item.device),
            };
            if places.as_ref().is_some_and(|places| !places.is_empty()) {
                self.sizes.entry(item.device.network().to_string()).or_default().pulses.take(&stored);
            }
            let name = || key.map_or_else(String::new, |key| format!("pulses: {} {}", key.device, key.uplink));
            for (number, place) in self.known(places, name) {
                of_runs.entry(number).or_default().push((place, item.clone()));
            }
        }
        of_runs.into_iter().try_for_each(|(number, items)| self.of_run(number, items))
    }

    /// Records all pulse items that a device has in one run.
    fn of_run(&mut self, number: usize, items: Vec<(UplinkPosition, PulseItem)>) -> Result<(), Problem> {
        let run = &mut self.runs[number];
        let mut right = Vec::with_capacity(items.len());
        for (place, item) in items {
            let stored = sort_key(&item.uplink).map_or(At::EPOCH, |key| key.at);
            let (sent, _) = run.uplink(place, stored)?;
            if pulse::decode(&sent).ok().is_none_or(|expected| !same(&expected, &item)) {
                run.note(place, Deviation::Altered("pulses: not what its bytes say".to_owned()));
            }
            if run.sent_uplink(place)?.clock_not_set != item.flags.contains(&Flag::ClockNotSet.into()) {
                run.note(place, Deviation::Altered("pulses: the flag clock-not-set is wrong".to_owned()));
            }
            run.mark_pulses(place)?;
            right.push((place, item));
        }
        if let (Some(found), Some(meter)) = (&mut self.consumption, right.first().map(|(place, _)| place.meter)) {
            consumption::check(run, meter, &right, &self.days, found);
        }
        let compared = points::compare(run, right);
        self.meters[number].take(compared);
        Ok(())
    }

    /// Records that an uplink is in quarantine or among dead letters.
    pub(super) fn note(&mut self, device: DeviceId, uplink: &str, deviation: &Deviation) {
        let Some((at, sequence)) = natural_key(uplink) else { return };
        for (number, place) in self.places(device, at, sequence, None).unwrap_or_default() {
            self.runs[number].note(place, deviation.clone());
        }
    }

    /// The uplinks with this key: `None` if the device is in none of the fleets.
    fn places(
        &self,
        device: DeviceId,
        at: At,
        sequence: Option<u32>,
        only: Option<usize>,
    ) -> Option<Vec<(usize, UplinkPosition)>> {
        let found = self.runs.iter().enumerate().filter(|(number, _)| only.is_none_or(|only| only == *number));
        let found = found.filter_map(|(number, each)| Some((number, each.find(&device, at, sequence)?)));
        let found: Vec<(usize, Option<UplinkPosition>)> = found.collect();
        let places = found.iter().filter_map(|&(number, place)| Some((number, place?))).collect();
        (!found.is_empty()).then_some(places)
    }

    fn places_of_no_key(&self, device: DeviceId) -> Option<Vec<(usize, UplinkPosition)>> {
        self.runs.iter().any(|run| run.fleet.number(&device).is_some()).then(Vec::new)
    }

    /// Counts items that belong to no run.
    fn known(
        &mut self,
        places: Option<Vec<(usize, UplinkPosition)>>,
        name: impl FnOnce() -> String,
    ) -> Vec<(usize, UplinkPosition)> {
        let Some(places) = places else {
            self.foreign += 1;
            return vec![];
        };
        if places.is_empty() {
            self.strange.take(name());
        }
        places
    }

    fn unreadable(&mut self, key: Option<Key>, why: &dyn std::error::Error) -> Result<(), Problem> {
        let key = key.ok_or_else(|| Problem::Wrong(format!("an item of the pulses table has no key: {why}")))?;
        let device = key.device.parse().ok();
        if device.is_some_and(|device| self.places_of_no_key(device).is_some()) {
            self.strange.take(format!("pulses: {} {}: {why}", key.device, key.uplink));
        } else {
            self.foreign += 1;
        }
        Ok(())
    }

    /// True if this device is seen for the first time.
    fn is_new(&mut self, device: &str, only: Option<usize>) -> bool {
        let Ok(device) = device.parse::<DeviceId>() else { return true };
        let runs = self.runs.iter_mut().enumerate().filter(|(number, _)| only.is_none_or(|only| only == *number));
        runs.fold(true, |new, (_, run)| {
            let meter = run.fleet.number(&device);
            new & meter.is_none_or(|meter| !run.compared.put(meter as usize))
        })
    }
}

/// True if the run sent reception data: single callbacks have them, the lines of a batch do not.
fn has_radio(run: &Run) -> bool {
    run.options.get("callbacks").is_some_and(|callbacks| callbacks == "single")
}

/// Name of a run: that of its directory.
fn name(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or(directory.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Parses time and sequence from the sort key of a pulse item.
fn natural_key(key: &str) -> Option<(At, Option<u32>)> {
    let key = sort_key(key).ok()?;
    Some((key.at, key.sequence))
}

/// True if a time is between a run's beginning and now, by clocks that may differ by a minute.
fn is_within(began: At, time: At) -> bool {
    const TOLERANCE: i64 = 60;
    (began.unix() - TOLERANCE..=jiff::Timestamp::now().as_second() + TOLERANCE).contains(&time.unix())
}

/// How a raw uplink differs from what was sent.
fn altered(expected: &Uplink, stored: &Uplink) -> Option<&'static str> {
    if expected.payload != stored.payload {
        Some("other bytes")
    } else if expected.profile != stored.profile {
        Some("another profile")
    } else if expected.time_source != stored.time_source {
        Some("another clock")
    } else if expected.radio != stored.radio {
        Some("another reception")
    } else {
        (expected != stored).then_some("another time")
    }
}

/// True if an item equals the expected one, apart from the codec version.
fn same(expected: &PulseItem, stored: &PulseItem) -> bool {
    *expected == PulseItem { codec_version: expected.codec_version, ..stored.clone() }
}

impl Meters {
    fn take(&mut self, compared: Compared) {
        match compared {
            Compared::Right => self.right += 1,
            Compared::Wrong(how) => {
                self.wrong += 1;
                if self.examples.len() < MOST_NAMED {
                    self.examples.push(how);
                }
            }
            Compared::InPart => self.in_part += 1,
        }
    }
}
