//! Runs `pulsegate redecode`: reads, compares, writes and reports.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use pulsegate_aws::items::Item;
use pulsegate_aws::{Key, Lookup, MAX_KEYS, Table};
use pulsegate_model::at::At;
use pulsegate_model::uplink::Uplink;
use pulsegate_pipeline::archive::place::{PartitionBits, Place};
use pulsegate_pipeline::archive::store::ObjectStore;
use tokio::time::Instant;

use super::differences::DifferenceList;
use super::expiry::Expiry;
use super::judge::{Finding, Verdict, decode};
use super::pace::{Pace, lookup_units, write_units};
use super::page::{Mark, Selected};
use super::question::Question;
use super::state::{Position, State};
use super::{Stores, report, tally};
use crate::options::{Format, RedecodeAddresses, RedecodeOptions};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::{CommandOutput, Problem};

/// How long a rejected or throttled request is retried.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// The time that the beginning may take: the list of the files, and the objects that are not settled. A device's uplinks are
/// read as a whole.
const OPEN_TIMEOUT: Duration = Duration::from_mins(10);

/// Limits of a page of uplinks. At the given pace a page takes about a second; its lookup fits into one request.
const PAGE_SIZE: std::ops::RangeInclusive<u32> = 100..=1_000;

/// Limits of the items in one write: about a second's, and at most as many as the table writes in parallel.
const WRITE_BATCH: std::ops::RangeInclusive<u32> = 25..=250;

/// The parameters of a run.
#[derive(Debug, Clone)]
pub struct Order {
    /// Uplinks to decode.
    pub question: Question,
    /// Number of the archive's partitions.
    pub bits: PartitionBits,
    /// The beginning of the run.
    pub now: At,
    /// State file.
    pub state: Option<PathBuf>,
    /// True if to resume from the state file.
    pub resume: bool,
    /// Read units a second.
    pub read_units: u32,
    /// Write units a second.
    pub write_units: u32,
    /// Output format.
    pub format: Format,
}

impl Order {
    /// Converts the options of a command line.
    ///
    /// # Errors
    /// [`Problem`] if they are incomplete.
    pub fn of(options: &RedecodeOptions, now: At) -> Result<Self, Problem> {
        let RedecodeOptions { state, resume, ref meters, read_units, write_units, format, .. } = options.clone();
        if format == Format::Json && state.is_some() && meters.is_none() {
            return Err(Problem::ListInFile);
        }
        let RedecodeAddresses { archive_bucket, partition_bits: bits, pulse_table } = options.addresses()?;
        let question = Question::of(options, [archive_bucket, bits.to_string(), pulse_table])?;
        Ok(Self { question, bits, now, state, resume, read_units, write_units, format })
    }
}

/// A running command.
struct Run<'a, S, P, W> {
    stores: &'a Stores<S, P, W>,
    order: &'a Order,
    stop: &'a Stop,
    reading: Pace,
    writing: Pace,
    shared: Mutex<Shared>,
}

/// State that all parts share. Only `state` is in the state file.
struct Shared {
    state: State,
    list: DifferenceList,
    progress: Progress,
    /// Raw uplinks that earlier processes of this run have read.
    before: u64,
}

/// Decodes the selected uplinks again, and reports differences.
///
/// # Errors
/// [`Problem`] if the run cannot start. If it ends early, the output has the problem beside the report so far.
pub async fn run<S: ObjectStore, P: Lookup, W: Table>(
    stores: &Stores<S, P, W>,
    order: &Order,
    stop: &Stop,
) -> Result<CommandOutput, Problem> {
    let state = State::open(order.question.clone(), order.state.as_deref(), order.resume)?;
    let list = match (&order.question.meters, order.format) {
        (Some(path), _) if order.resume => DifferenceList::continued(path, state.meters_bytes)?,
        (Some(path), _) => DifferenceList::new(path)?,
        (None, Format::Json) => DifferenceList::Memory(String::new()),
        (None, Format::Table) => DifferenceList::None,
    };
    let before = state.tally.uplinks;
    let run = Run {
        stores,
        order,
        stop,
        reading: Pace::new(order.read_units),
        writing: Pace::new(order.write_units),
        shared: Mutex::new(Shared { state, list, progress: Progress::new(), before }),
    };
    run.save(&mut run.shared())?;
    let ended = async {
        let selected = Selected::open(&stores.archive, &order.question, Instant::now() + OPEN_TIMEOUT).await?;
        try_join_all((0..order.question.parallel).map(|number| run.walk(number, &selected))).await
    };
    let ended = ended.await;
    let mut shared = run.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    let hint = if order.state.is_some() { "; resume with the same options and --continue" } else { "" };
    let problem = match ended {
        Ok(_) if shared.state.is_finished() => {
            Some(shared.state.tally.of(Finding::Newer)).filter(|count| *count > 0).map(Problem::Newer)
        }
        Ok(_) => Some(Problem::Stopped(hint)),
        Err(problem) => {
            if !hint.is_empty() {
                eprintln!("pulsegate: not finished{hint}");
            }
            Some(problem)
        }
    };
    let list = shared.list.list()?;
    Ok(CommandOutput { text: report::print(&shared.state, list, order.format), problem })
}

impl<S: ObjectStore, P: Lookup, W: Table> Run<'_, S, P, W> {
    /// Processes a part, file by file.
    async fn walk(&self, number: u32, selected: &Selected<'_, S>) -> Result<(), Problem> {
        let done = match &self.shared().state.positions[number as usize] {
            Position::Start => None,
            Position::Behind(key, mark) => Some((self.place(key.as_deref())?, mark.clone())),
            Position::End => return Ok(()),
        };
        for place in selected.places(number, self.order.question.parallel) {
            let done = match &done {
                Some((last, _)) if *last > place => continue,
                Some((last, mark)) if *last == place => Some(mark),
                _ => None,
            };
            if !self.walk_place(number, selected, place, done).await? {
                return Ok(());
            }
        }
        self.note(number, Position::End, 0, &mut [])
    }

    /// Processes a file, page by page. A page counts once all of it is complete. Returns false if it is stopped.
    async fn walk_place(
        &self,
        number: u32,
        selected: &Selected<'_, S>,
        place: Option<Place>,
        done: Option<&Mark>,
    ) -> Result<bool, Problem> {
        let limit = (self.order.read_units.saturating_mul(2)).clamp(*PAGE_SIZE.start(), *PAGE_SIZE.end()) as usize;
        if self.stop.is_requested() {
            return Ok(false);
        }
        let mut uplinks = selected.read(place, deadline()).await?;
        if let Some(done) = done {
            uplinks.skip(done)?;
        }
        loop {
            if self.stop.is_requested() {
                return Ok(false);
            }
            let page = uplinks.page(limit)?;
            let Some(last) = page.last() else { return Ok(true) };
            let mut verdicts = self.judge(&page).await?;
            self.admit(&verdicts)?;
            if self.order.question.write {
                self.intend(&verdicts)?;
                self.write(&verdicts).await?;
            }
            let position = Position::Behind(place.map(|place| place.to_string()), Mark::of(last));
            self.note(number, position, page.len() as u64, &mut verdicts)?;
        }
    }

    /// Compares uplinks with their items.
    async fn judge(&self, uplinks: &[Uplink]) -> Result<Vec<Verdict>, Problem> {
        let decoded = decode(uplinks);
        let mut held = self.held(decoded.iter().map(|decoded| decoded.key.clone()).collect()).await?;
        let expiry = Expiry { days: self.order.question.pulse_retention_days, now: self.order.now };
        let verdicts = decoded.into_iter().map(|decoded| {
            let held = held.remove(&decoded.key);
            decoded.judge(held, expiry)
        });
        Ok(verdicts.collect())
    }

    /// The file of a position.
    fn place(&self, key: Option<&str>) -> Result<Option<Place>, Problem> {
        let wrong =
            |key: &str| Problem::State { path: self.path(), reason: format!("{key} is not a file of the archive") };
        key.map(|key| self.stores.archive.bits.place_named(key).ok_or_else(|| wrong(key))).transpose()
    }

    /// Looks up pulse items.
    async fn held(&self, keys: Vec<Key>) -> Result<HashMap<Key, Item>, Problem> {
        let mut held = HashMap::new();
        for keys in keys.chunks(MAX_KEYS) {
            let found = self.stores.pulses.get(keys, deadline()).await?;
            self.reading.pay(found.units.unwrap_or_else(|| lookup_units(keys.len()))).await;
            held.extend(found.items.into_iter().filter_map(|item| Some((Key::of(&item)?, item))));
        }
        Ok(held)
    }

    /// Rejects another version of a codec than the run started with, before anything of the page is recorded or
    /// written.
    fn admit(&self, verdicts: &[Verdict]) -> Result<(), Problem> {
        self.shared().state.tally.admit(verdicts).map_err(|reason| Problem::State { path: self.path(), reason })
    }

    /// Records the items that are about to be written: after the write they no longer differ.
    fn intend(&self, verdicts: &[Verdict]) -> Result<(), Problem> {
        let mut shared = self.shared();
        if shared.state.intend(verdicts) { self.save(&mut shared) } else { Ok(()) }
    }

    async fn write(&self, verdicts: &[Verdict]) -> Result<(), Problem> {
        let items: Vec<Item> = verdicts.iter().filter_map(|verdict| verdict.item.clone()).collect();
        for items in items.chunks(self.order.write_units.clamp(*WRITE_BATCH.start(), *WRITE_BATCH.end()) as usize) {
            let refused = self.stores.out.put(items, deadline()).await;
            if !refused.is_empty() {
                return Err(Problem::NotWritten(refused.len()));
            }
            self.writing.pay(items.iter().map(write_units).sum()).await;
        }
        Ok(())
    }

    /// Records a complete page. The list becomes durable before the state that refers to it.
    fn note(&self, number: u32, position: Position, looked_at: u64, verdicts: &mut [Verdict]) -> Result<(), Problem> {
        let mut shared = self.shared();
        for verdict in verdicts.iter_mut() {
            shared.state.settle(verdict);
        }
        let mut tally = shared.state.tally.clone();
        tally.uplinks += looked_at;
        for verdict in verdicts.iter() {
            tally.take(verdict);
        }
        shared.state.meters_bytes = shared.list.add(verdicts.iter().filter_map(tally::line))?;
        shared.state.tally = tally;
        shared.state.positions[number as usize] = position;
        self.save(&mut shared)
    }

    fn save(&self, shared: &mut Shared) -> Result<(), Problem> {
        if let Some(path) = &self.order.state {
            shared.state.save(path)?;
        }
        let Shared { state, progress, before, .. } = shared;
        progress.report(|seconds| {
            #[expect(clippy::cast_precision_loss, reason = "a rate, for display only")]
            let rate = (state.tally.uplinks - *before) as f64 / seconds;
            let (changed, new) = (state.tally.of(Finding::Changed), state.tally.of(Finding::New));
            format!("{} raw uplinks, {rate:.0}/s, {changed} changed and {new} new so far", state.tally.uplinks)
        });
        Ok(())
    }

    fn path(&self) -> String {
        self.order.state.as_ref().map_or_else(|| "of this run".to_owned(), |path| path.display().to_string())
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deadline() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}
