//! `pulsegate redrive send`.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsegate_model::aggregate::StreamRecord;
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_pipeline::ports::{Queue, ReceiveQueue, Received, Refused, Stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::route::{Load, Place, Route, route};
use super::walk::Walk;
use super::{Endpoints, MAX_ROWS, Selection, deadline};
use crate::options::{self, Format};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::{CommandOutput, Problem, print};

/// Time between two attempts to put rejected records to the stream.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// The run ends after this many consecutive pages from which nothing could be sent or deleted. A single page is not
/// enough: it may have only one record, which is always rejected.
const MAX_FUTILE_PAGES: usize = 3;

/// The parameters of a run.
#[derive(Debug)]
pub struct Order {
    /// Records to send.
    pub selection: Selection,
    /// Maximum number of records.
    pub limit: Option<usize>,
    /// True to only show what would be sent.
    pub dry_run: bool,
    /// Output format.
    pub format: Format,
    /// Start of the run, in milliseconds since 1970. It ignores records that were quarantined later.
    pub began: u64,
}

impl Order {
    /// Converts the options of a command line.
    ///
    /// # Errors
    /// [`Problem::NothingSelected`].
    pub fn of(send: &options::Send, format: Format, began: u64) -> Result<Self, Problem> {
        let options::Send { which, all, limit, dry_run, .. } = send;
        let selection = which.selection();
        if selection.is_empty() && !all {
            return Err(Problem::NothingSelected);
        }
        Ok(Self { selection, limit: *limit, dry_run: *dry_run, format, began })
    }
}

/// Counts of the records that a run received.
#[derive(Debug, Default)]
struct Report {
    /// Selected records.
    selected: usize,
    /// Selected records with a route.
    sendable: usize,
    /// Records durable at their destination, or, in a dry run, those that would be sent.
    sent: BTreeMap<Place, usize>,
    /// Lines of batches that were quarantined again.
    again: usize,
    /// Selected records without a route.
    left: Reasons,
    /// Messages that are not quarantined records.
    foreign: Reasons,
    /// Records that the destination rejected.
    refused: usize,
    /// Records that are durable, but were not deleted from quarantine.
    undeleted: usize,
    /// Records that were quarantined after the start of the run.
    late: usize,
    /// Selected IDs that were found.
    found: Vec<String>,
}

/// Number of records for each reason, with the ID of one of them.
type Reasons = BTreeMap<String, (usize, String)>;

/// A record with its route.
struct Delivery {
    id: String,
    route: Route,
}

/// Consecutive pages without success.
#[derive(Debug, Default)]
struct FutilePages {
    /// Pages of which nothing was accepted by a destination.
    refused: usize,
    /// Pages of which nothing was deleted.
    undeleted: usize,
}

/// Sends the selected records to their stages. If the run ends early, or some selected records were not sent, the
/// output has the problem beside the report.
pub async fn send<I: ReceiveQueue, A: Queue, Q: Queue, S: Stream>(
    endpoints: &Endpoints<I, A, Q, S>,
    order: &Order,
    stop: &Stop,
) -> CommandOutput {
    let mut walk = Walk::new(&endpoints.quarantine, order.began);
    let mut report = Report::default();
    let (mut progress, mut futile) = (Progress::new(), FutilePages::default());
    let ended = loop {
        if stop.is_requested() {
            break Ok(": stopped");
        }
        let some = match walk.next().await {
            Ok(Some(some)) => some,
            Ok(None) => break Ok(""),
            Err(e) => break Err(e),
        };
        let deliveries = report.choose(some, order);
        if order.dry_run {
            for delivery in &deliveries {
                report.count(&delivery.route);
            }
        } else if !deliveries.is_empty() {
            deliver(endpoints, &deliveries, &mut walk, &mut report, &mut futile).await;
            if let Some(why) = futile.why() {
                break Ok(why);
            }
        }
        if report.is_full(order) {
            break Ok("");
        }
        progress.report(|_| format!("{} of {} selected records sent so far", report.sent_in_all(), report.selected));
    };
    report.late = walk.late;
    walk.end().await;
    let problem = match ended {
        Ok(why) => report.problem(order, why),
        Err(e) => Some(e.into()),
    };
    CommandOutput { text: report.print(order), problem }
}

/// Sends records, and deletes those from quarantine that are durable as a whole.
async fn deliver<I: ReceiveQueue, A: Queue, Q: Queue, S: Stream>(
    endpoints: &Endpoints<I, A, Q, S>,
    deliveries: &[Delivery],
    walk: &mut Walk<'_, I>,
    report: &mut Report,
    futile: &mut FutilePages,
) {
    let mut refused = send_records(&endpoints.raw_nbiot, deliveries).await;
    for (place, queue) in [
        (Place::RawSigfox, &endpoints.raw_sigfox),
        (Place::PulseSigfox, &endpoints.pulse_sigfox),
        (Place::PulseNbiot, &endpoints.pulse_nbiot),
    ] {
        let bodies = owned(deliveries, |route| match &route.load {
            Load::Bodies(bodies) if route.to == place => bodies.clone(),
            _ => Vec::new(),
        });
        refused.extend(send_bodies(queue, bodies).await);
    }
    // A rejected record will be processed again, and its invalid lines with it: do not quarantine them now.
    let mut again = owned(deliveries, |route| route.again.clone());
    again.retain(|(owner, _)| !refused.contains(owner));
    refused.extend(send_bodies(&endpoints.again, again).await);

    let durable = || (0..deliveries.len()).filter(|position| !refused.contains(position)).map(|p| &deliveries[p]);
    let ids: Vec<&str> = durable().map(|delivery| delivery.id.as_str()).collect();
    let undeleted = walk.delete(&ids).await;
    durable().for_each(|delivery| report.count(&delivery.route));
    report.undeleted += undeleted;
    report.refused += refused.len();
    futile.note(ids.len(), undeleted);
}

/// Returns texts, each with the position of its record.
fn owned(deliveries: &[Delivery], texts: impl Fn(&Route) -> Vec<String>) -> Vec<(usize, String)> {
    let all = deliveries.iter().enumerate();
    all.flat_map(|(owner, delivery)| texts(&delivery.route).into_iter().map(move |text| (owner, text))).collect()
}

/// Sends bodies to a queue. Returns the records of which something was rejected.
async fn send_bodies(queue: &impl Queue, bodies: Vec<(usize, String)>) -> Refused {
    let (owners, bodies): (Vec<usize>, Vec<String>) = bodies.into_iter().unzip();
    queue.send(&bodies, deadline()).await.into_iter().map(|position| owners[position]).collect()
}

/// Puts records to the stream, with retries, because the stream makes one attempt per call. Returns the rejected ones.
async fn send_records(stream: &impl Stream, deliveries: &[Delivery]) -> Refused {
    let record = |(owner, delivery): (usize, &'_ Delivery)| match &delivery.route.load {
        Load::Record(record) => Some((owner, record.clone())),
        Load::Bodies(_) => None,
    };
    let mut pending: Vec<(usize, StreamRecord)> = deliveries.iter().enumerate().filter_map(record).collect();
    let deadline = deadline();
    while !pending.is_empty() {
        let records: Vec<&StreamRecord> = pending.iter().map(|(_, record)| record).collect();
        let refused = stream.put(&records, deadline).await;
        pending = refused.into_iter().map(|position| pending[position].clone()).collect();
        if Instant::now() + RETRY_INTERVAL >= deadline {
            break;
        }
        if !pending.is_empty() {
            sleep(RETRY_INTERVAL).await;
        }
    }
    pending.into_iter().map(|(owner, _)| owner).collect()
}

impl FutilePages {
    /// Records a page: the number of durable records, and how many of those could not be deleted.
    fn note(&mut self, durable: usize, undeleted: usize) {
        self.refused = if durable == 0 { self.refused + 1 } else { 0 };
        if durable > 0 {
            self.undeleted = if undeleted == durable { self.undeleted + 1 } else { 0 };
        }
    }

    /// Returns why the run should end, if it should.
    fn why(&self) -> Option<&'static str> {
        if self.refused >= MAX_FUTILE_PAGES {
            Some(": the destinations reject everything; the reasons are above")
        } else if self.undeleted >= MAX_FUTILE_PAGES {
            Some(": nothing can be deleted from quarantine, so each run would send it again; the reasons are above")
        } else {
            None
        }
    }
}

impl Report {
    /// Returns the selected messages that have a route.
    fn choose(&mut self, messages: Vec<Received>, order: &Order) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for Received { id, body, .. } in messages {
            let kept = match QuarantinedRecord::from_message(&body) {
                Ok(kept) => kept,
                Err(reason) => {
                    note(&mut self.foreign, reason.to_string(), id);
                    continue;
                }
            };
            if self.is_full(order) || !order.selection.takes(&id, &kept) {
                continue;
            }
            self.selected += 1;
            self.found.push(id.clone());
            match route(&id, &kept) {
                Ok(route) => {
                    self.sendable += 1;
                    deliveries.push(Delivery { id, route });
                }
                Err(reason) => note(&mut self.left, reason, id),
            }
        }
        deliveries
    }

    fn is_full(&self, order: &Order) -> bool {
        order.limit.is_some_and(|limit| self.sendable >= limit)
    }

    fn count(&mut self, route: &Route) {
        *self.sent.entry(route.to).or_default() += 1;
        self.again += route.again.len();
    }

    fn sent_in_all(&self) -> usize {
        self.sent.values().sum()
    }

    fn problem(&self, order: &Order, why: &str) -> Option<Problem> {
        let (selected, sent) = (self.selected, self.sent_in_all());
        let absent: Vec<&str> =
            order.selection.ids.iter().filter(|id| !self.found.contains(id)).map(String::as_str).collect();
        let why = if absent.is_empty() || order.limit.is_some() {
            why.to_owned()
        } else {
            format!("{why}; not in quarantine, or held: {}", absent.join(", "))
        };
        if sent < selected || !why.is_empty() {
            Some(Problem::NotSent { selected, sent, why })
        } else {
            Some(self.undeleted).filter(|count| *count > 0).map(Problem::NotDeleted)
        }
    }

    fn print(&self, order: &Order) -> String {
        match order.format {
            Format::Json => print::json_text(&self.object(order)),
            Format::Table => self.table(order),
        }
    }

    fn object(&self, order: &Order) -> Value {
        let reasons = |reasons: &Reasons| -> Value {
            let each = reasons.iter();
            each.map(|(reason, (count, id))| json!({"reason": reason, "count": count, "example": id})).collect()
        };
        let to: serde_json::Map<String, Value> =
            self.sent.iter().map(|(place, count)| (place.name().to_owned(), json!(count))).collect();
        json!({
            "dry_run": order.dry_run, "selected": self.selected, "sent": self.sent_in_all(), "to": to,
            "quarantined_again": self.again, "left": reasons(&self.left), "refused": self.refused,
            "not_deleted": self.undeleted, "not_ours": reasons(&self.foreign), "came_later": self.late,
        })
    }

    fn table(&self, order: &Order) -> String {
        let row = |what: &str, count: usize, more: &str| [what.to_owned(), count.to_string(), more.to_owned()];
        let sent = if order.dry_run { "would be sent" } else { "sent" };
        let mut rows: Vec<_> = self.sent.iter().map(|(place, count)| row(sent, *count, place.name())).collect();
        if rows.is_empty() {
            rows.push(row(sent, 0, ""));
        }
        for (what, reasons) in [("left", &self.left), ("not ours", &self.foreign)] {
            let each = reasons.iter().take(MAX_ROWS);
            rows.extend(each.map(|(reason, (count, id))| row(what, *count, &format!("{reason} (such as {id})"))));
        }
        for (what, count, more) in [
            ("refused", self.refused, "by the destination; still in quarantine"),
            ("not deleted", self.undeleted, "sent, but still in quarantine"),
            ("quarantined again", self.again, "invalid lines of batches; the valid lines were sent"),
            ("came later", self.late, "quarantined after this run started; left for the next run"),
        ] {
            rows.extend((count > 0).then(|| row(what, count, more)));
        }
        print::table(&["records", "count", "destination or reason"], &rows)
    }
}

fn note(reasons: &mut Reasons, reason: String, id: String) {
    reasons.entry(reason).or_insert((0, id)).0 += 1;
}
