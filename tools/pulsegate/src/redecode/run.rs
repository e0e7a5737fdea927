//! All of it together.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use pulsegate_aws::items::Item;
use pulsegate_aws::{Key, Lookup, MAX_KEYS, Page, Pages, Table};
use tokio::time::Instant;

use super::judge::{NotRaw, Verdict, What, decode};
use super::meters::Meters;
use super::pace::{Pace, lookup_units, write_units};
use super::question::Question;
use super::state::{Position, State};
use super::{Tables, page, report, tally};
use crate::options::{Format, RedecodeOptions};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::{Done, Problem};

/// For so long a table that refuses or throttles is asked again.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Raw items looked at in one request: as many as their comparison takes about a second for, and not more than one request
/// for pulses takes keys.
const PAGE: std::ops::RangeInclusive<u32> = 100..=1_000;

/// Items written in one go: about a second's, and no more than there are requests at once.
const WRITTEN: std::ops::RangeInclusive<u32> = 25..=250;

/// What to do.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which uplinks.
    pub question: Question,
    /// Where to note how far it is.
    pub state: Option<PathBuf>,
    /// Go on from there.
    pub resume: bool,
    /// Read units a second.
    pub read_units: u32,
    /// Write units a second.
    pub write_units: u32,
    /// How to print.
    pub format: Format,
}

impl Order {
    /// The order of a command line.
    ///
    /// # Errors
    /// [`Problem`] if it is none.
    pub fn of(options: &RedecodeOptions) -> Result<Self, Problem> {
        let RedecodeOptions { state, resume, ref meters, read_units, write_units, format, .. } = options.clone();
        if format == Format::Json && state.is_some() && meters.is_none() {
            return Err(Problem::ListInFile);
        }
        Ok(Self { question: Question::of(options)?, state, resume, read_units, write_units, format })
    }
}

/// A run.
struct Run<'a, R, P, W> {
    tables: &'a Tables<R, P, W>,
    order: &'a Order,
    stop: &'a Stop,
    reading: Pace,
    writing: Pace,
    far: Mutex<Far>,
}

/// How far it is. What is not in the state file is only of this process.
struct Far {
    state: State,
    meters: Meters,
    progress: Progress,
    /// Raw items before this process.
    before: u64,
}

/// Decodes what is asked for again, and says what has changed.
///
/// # Errors
/// [`Problem`] when it cannot begin. What ends it later is told beside what was found until then.
pub async fn run<R: Pages, P: Lookup, W: Table>(
    tables: &Tables<R, P, W>,
    order: &Order,
    stop: &Stop,
) -> Result<Done, Problem> {
    let state = State::open(order.question.clone(), order.state.as_deref(), order.resume)?;
    let meters = match (&order.question.meters, order.format) {
        (Some(path), _) if order.resume => Meters::continued(path, state.meters_bytes)?,
        (Some(path), _) => Meters::new(path)?,
        (None, Format::Json) => Meters::Memory(String::new()),
        (None, Format::Table) => Meters::None,
    };
    let before = state.tally.items;
    let run = Run {
        tables,
        order,
        stop,
        reading: Pace::new(order.read_units),
        writing: Pace::new(order.write_units),
        far: Mutex::new(Far { state, meters, progress: Progress::new(), before }),
    };
    run.save(&mut run.far())?;
    let ended = try_join_all((0..order.question.segments).map(|number| run.walk(number))).await;
    let mut far = run.far.into_inner().unwrap_or_else(PoisonError::into_inner);
    let hint = if order.state.is_some() { "; go on with the same options and --continue" } else { "" };
    let not = match ended {
        Ok(_) if far.state.is_finished() => {
            Some(far.state.tally.of(What::Newer)).filter(|count| *count > 0).map(Problem::Newer)
        }
        Ok(_) => Some(Problem::Stopped(hint)),
        Err(problem) => {
            if !hint.is_empty() {
                eprintln!("pulsegate: not finished{hint}");
            }
            Some(problem)
        }
    };
    let list = far.meters.list()?;
    Ok(Done { text: report::print(&far.state, list, order.format), not })
}

impl<R: Pages, P: Lookup, W: Table> Run<'_, R, P, W> {
    /// Goes through a part, page by page. Nothing of a page counts before all of it is done.
    async fn walk(&self, number: u32) -> Result<(), Problem> {
        let part = self.order.question.part(number);
        let limit = (self.order.read_units.saturating_mul(2)).clamp(*PAGE.start(), *PAGE.end()) as usize;
        while !self.stop.is_asked() {
            let after = match &self.far().state.positions[number as usize] {
                Position::Start => None,
                Position::Behind(key) => Some(key.clone()),
                Position::End => return Ok(()),
            };
            let page = page::next(&self.tables.raw, &part, after.as_ref(), limit, &self.reading, soon).await?;
            let Page { items, next, .. } = page;
            let looked_at = items.len() as u64;
            let (decoded, not_raw) = decode(items);
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
            self.note(number, position, looked_at, &mut verdicts, &not_raw)?;
        }
        Ok(())
    }

    /// What the table of pulses has for these.
    async fn held(&self, keys: Vec<Key>) -> Result<HashMap<Key, Item>, Problem> {
        let mut held = HashMap::new();
        for keys in keys.chunks(MAX_KEYS) {
            let found = self.tables.pulses.get(keys, soon()).await?;
            self.reading.pay(found.units.unwrap_or_else(|| lookup_units(keys.len()))).await;
            held.extend(found.items.into_iter().filter_map(|item| Some((Key::of(&item)?, item))));
        }
        Ok(held)
    }

    /// Refuses what other versions of codecs decode than the run was begun with, before anything of it is noted or written.
    fn admit(&self, verdicts: &[Verdict]) -> Result<(), Problem> {
        self.far().state.tally.admit(verdicts).map_err(|reason| Problem::State { path: self.path(), reason })
    }

    /// Notes what is about to be written: once it is, it no longer differs.
    fn intend(&self, verdicts: &[Verdict]) -> Result<(), Problem> {
        let mut far = self.far();
        if far.state.intend(verdicts) { self.save(&mut far) } else { Ok(()) }
    }

    async fn write(&self, verdicts: &[Verdict]) -> Result<(), Problem> {
        let items: Vec<Item> = verdicts.iter().filter_map(|verdict| verdict.item.clone()).collect();
        for items in items.chunks(self.order.write_units.clamp(*WRITTEN.start(), *WRITTEN.end()) as usize) {
            let refused = self.tables.out.put(items, soon()).await;
            if !refused.is_empty() {
                return Err(Problem::NotWritten(refused.len()));
            }
            self.writing.pay(items.iter().map(write_units).sum()).await;
        }
        Ok(())
    }

    /// Takes a page in that is done. First the list is durable, then the state that counts on it.
    fn note(
        &self,
        number: u32,
        position: Position,
        looked_at: u64,
        verdicts: &mut [Verdict],
        not_raw: &[NotRaw],
    ) -> Result<(), Problem> {
        let mut far = self.far();
        for verdict in verdicts.iter_mut() {
            far.state.settle(verdict);
        }
        let mut tally = far.state.tally.clone();
        tally.items += looked_at;
        for verdict in verdicts.iter() {
            tally.take(verdict);
        }
        for not_raw in not_raw {
            tally.take_not_raw(not_raw);
        }
        far.state.meters_bytes = far.meters.add(verdicts.iter().filter_map(tally::line))?;
        far.state.tally = tally;
        far.state.positions[number as usize] = position;
        self.save(&mut far)
    }

    fn save(&self, far: &mut Far) -> Result<(), Problem> {
        if let Some(path) = &self.order.state {
            far.state.save(path)?;
        }
        let Far { state, progress, before, .. } = far;
        progress.say(|seconds| {
            #[expect(clippy::cast_precision_loss, reason = "a rate, for people")]
            let rate = (state.tally.items - *before) as f64 / seconds;
            let (changed, new) = (state.tally.of(What::Changed), state.tally.of(What::New));
            format!("{} raw items, {rate:.0}/s, {changed} changed and {new} new so far", state.tally.items)
        });
        Ok(())
    }

    fn path(&self) -> String {
        self.order.state.as_ref().map_or_else(|| "of this run".to_owned(), |path| path.display().to_string())
    }

    fn far(&self) -> MutexGuard<'_, Far> {
        self.far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn soon() -> Instant {
    Instant::now() + REQUEST_TIMEOUT
}
