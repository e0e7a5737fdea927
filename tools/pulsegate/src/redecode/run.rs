//! Runs `pulsegate redecode`: reads, compares, writes and reports.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use pulsegate_aws::items::Item;
use pulsegate_aws::{Key, Lookup, MAX_KEYS, Page, Pages, Table};
use tokio::time::Instant;

use super::differences::DifferenceList;
use super::judge::{Finding, UnreadableItem, Verdict, decode};
use super::pace::{Pace, lookup_units, write_units};
use super::question::Question;
use super::state::{Position, State};
use super::{Tables, page, report, tally};
use crate::options::{Format, RedecodeOptions};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::{CommandOutput, Problem};

/// How long a rejected or throttled request is retried.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Limits of a page of raw items. At the given pace a page takes about a second; its lookup fits into one request.
const PAGE_SIZE: std::ops::RangeInclusive<u32> = 100..=1_000;

/// Limits of the items in one write: about a second's, and at most as many as the table writes in parallel.
const WRITE_BATCH: std::ops::RangeInclusive<u32> = 25..=250;

/// The parameters of a run.
#[derive(Debug, Clone)]
pub struct Order {
    /// Uplinks to decode.
    pub question: Question,
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
    pub fn of(options: &RedecodeOptions) -> Result<Self, Problem> {
        let RedecodeOptions { state, resume, ref meters, read_units, write_units, format, .. } = options.clone();
        if format == Format::Json && state.is_some() && meters.is_none() {
            return Err(Problem::ListInFile);
        }
        Ok(Self { question: Question::of(options)?, state, resume, read_units, write_units, format })
    }
}

/// A running command.
struct Run<'a, R, P, W> {
    tables: &'a Tables<R, P, W>,
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
    /// Raw items that earlier processes of this run have read.
    before: u64,
}

/// Decodes the selected uplinks again, and reports differences.
///
/// # Errors
/// [`Problem`] if the run cannot start. If it ends early, the output has the problem beside the report so far.
pub async fn run<R: Pages, P: Lookup, W: Table>(
    tables: &Tables<R, P, W>,
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
    let before = state.tally.items;
    let run = Run {
        tables,
        order,
        stop,
        reading: Pace::new(order.read_units),
        writing: Pace::new(order.write_units),
        shared: Mutex::new(Shared { state, list, progress: Progress::new(), before }),
    };
    run.save(&mut run.shared())?;
    let ended = try_join_all((0..order.question.segments).map(|number| run.walk(number))).await;
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

impl<R: Pages, P: Lookup, W: Table> Run<'_, R, P, W> {
    /// Processes a part, page by page. A page counts once all of it is complete.
    async fn walk(&self, number: u32) -> Result<(), Problem> {
        let part = self.order.question.part(number);
        let limit = (self.order.read_units.saturating_mul(2)).clamp(*PAGE_SIZE.start(), *PAGE_SIZE.end()) as usize;
        while !self.stop.is_requested() {
            let after = match &self.shared().state.positions[number as usize] {
                Position::Start => None,
                Position::Behind(key) => Some(key.clone()),
                Position::End => return Ok(()),
            };
            let page = page::next(&self.tables.raw, &part, after.as_ref(), limit, &self.reading, deadline).await?;
            let Page { items, next, .. } = page;
            let looked_at = items.len() as u64;
            let (decoded, unreadable) = decode(items);
            let mut held = self.held(decoded.iter().map(|decoded| decoded.key.clone()).collect()).await?;
            let mut verdicts: Vec<Verdict> = decoded
                .into_iter()
                .map(|decoded| {
                    let held = held.remove(&decoded.key);
                    decoded.judge(held.as_ref())
                })
                .collect();
            self.admit(&verdicts)?;
            if self.order.question.write {
                self.intend(&verdicts)?;
                self.write(&verdicts).await?;
            }
            let position = next.map_or(Position::End, Position::Behind);
            self.note(number, position, looked_at, &mut verdicts, &unreadable)?;
        }
        Ok(())
    }

    /// Looks up pulse items.
    async fn held(&self, keys: Vec<Key>) -> Result<HashMap<Key, Item>, Problem> {
        let mut held = HashMap::new();
        for keys in keys.chunks(MAX_KEYS) {
            let found = self.tables.pulses.get(keys, deadline()).await?;
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
            let refused = self.tables.out.put(items, deadline()).await;
            if !refused.is_empty() {
                return Err(Problem::NotWritten(refused.len()));
            }
            self.writing.pay(items.iter().map(write_units).sum()).await;
        }
        Ok(())
    }

    /// Records a complete page. The list becomes durable before the state that refers to it.
    fn note(
        &self,
        number: u32,
        position: Position,
        looked_at: u64,
        verdicts: &mut [Verdict],
        unreadable: &[UnreadableItem],
    ) -> Result<(), Problem> {
        let mut shared = self.shared();
        for verdict in verdicts.iter_mut() {
            shared.state.settle(verdict);
        }
        let mut tally = shared.state.tally.clone();
        tally.items += looked_at;
        for verdict in verdicts.iter() {
            tally.take(verdict);
        }
        for item in unreadable {
            tally.take_unreadable(item);
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
            let rate = (state.tally.items - *before) as f64 / seconds;
            let (changed, new) = (state.tally.of(Finding::Changed), state.tally.of(Finding::New));
            format!("{} raw items, {rate:.0}/s, {changed} changed and {new} new so far", state.tally.items)
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
