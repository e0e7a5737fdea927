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
use super::{MAX_ROWS, Selection, Ways, soon};
use crate::options::{self, Format};
use crate::progress::Progress;
use crate::stop::Stop;
use crate::{Done, Problem, print};

/// Between two tries of what the stream refuses.
const PAUSE: Duration = Duration::from_millis(200);

/// So many pages in a row of which nothing is taken, and nothing will be. One may be a single record that nobody ever takes.
const IN_VAIN: usize = 3;

/// What to send.
#[derive(Debug)]
pub struct Order {
    /// Which records.
    pub selection: Selection,
    /// No more than so many.
    pub limit: Option<usize>,
    /// Only say what would be sent.
    pub dry_run: bool,
    /// How to print.
    pub format: Format,
    /// When the run began, in milliseconds since 1970. What was sent to quarantine from then on stays there.
    pub began: u64,
}

impl Order {
    /// The order of a command line.
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

/// What became of the records that a run met.
#[derive(Debug, Default)]
struct Report {
    /// Selected, whether they can be sent or not.
    selected: usize,
    /// Those of them that can.
    sendable: usize,
    /// Durable where they go to, or, in a dry run, those that would be sent.
    sent: BTreeMap<Place, usize>,
    /// Lines of batches that are in quarantine again.
    again: usize,
    /// Selected, and left where they are.
    left: Reasons,
    /// No records of ours.
    foreign: Reasons,
    /// Refused where they go to.
    refused: usize,
    /// Durable, and in quarantine all the same.
    undeleted: usize,
    /// Too late for this run.
    late: usize,
    /// IDs that were asked for and met.
    found: Vec<String>,
}

/// How many there are for each reason, with the ID of one of them.
type Reasons = BTreeMap<String, (usize, String)>;

/// A record on its way.
struct Delivery {
    id: String,
    route: Route,
}

/// Pages in a row that came to nothing.
#[derive(Debug, Default)]
struct InVain {
    /// Nothing of them was taken where it goes to.
    refused: usize,
    /// Nothing of them was deleted.
    undeleted: usize,
}

/// Sends what is selected back to where it came from. What ends it, and what is not sent of what was selected, is told
/// beside what was done.
pub async fn send<I: ReceiveQueue, A: Queue, Q: Queue, S: Stream>(
    ways: &Ways<I, A, Q, S>,
    order: &Order,
    stop: &Stop,
) -> Done {
    let mut walk = Walk::new(&ways.quarantine, order.began);
    let mut report = Report::default();
    let (mut progress, mut in_vain) = (Progress::new(), InVain::default());
    let ended = loop {
        if stop.is_asked() {
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
            deliver(ways, &deliveries, &mut walk, &mut report, &mut in_vain).await;
            if let Some(why) = in_vain.why() {
                break Ok(why);
            }
        }
        if report.is_full(order) {
            break Ok("");
        }
        progress.say(|_| format!("{} of {} selected records sent so far", report.sent_in_all(), report.selected));
    };
    report.late = walk.late;
    walk.end().await;
    let not = match ended {
        Ok(why) => report.problem(order, why),
        Err(e) => Some(e.into()),
    };
    Done { text: report.print(order), not }
}

/// Sends some, and deletes from quarantine those of which all is durable.
async fn deliver<I: ReceiveQueue, A: Queue, Q: Queue, S: Stream>(
    ways: &Ways<I, A, Q, S>,
    deliveries: &[Delivery],
    walk: &mut Walk<'_, I>,
    report: &mut Report,
    in_vain: &mut InVain,
) {
    let mut refused = send_records(&ways.raw_nbiot, deliveries).await;
    for (place, queue) in [
        (Place::RawSigfox, &ways.raw_sigfox),
        (Place::PulseSigfox, &ways.pulse_sigfox),
        (Place::PulseNbiot, &ways.pulse_nbiot),
    ] {
        let bodies = owned(deliveries, |route| match &route.load {
            Load::Bodies(bodies) if route.to == place => bodies.clone(),
            _ => Vec::new(),
        });
        refused.extend(send_bodies(queue, bodies).await);
    }
    // If a record comes again, so does what is to be quarantined of it: once is enough.
    let mut again = owned(deliveries, |route| route.again.clone());
    again.retain(|(owner, _)| !refused.contains(owner));
    refused.extend(send_bodies(&ways.again, again).await);

    let durable = || (0..deliveries.len()).filter(|position| !refused.contains(position)).map(|p| &deliveries[p]);
    let ids: Vec<&str> = durable().map(|delivery| delivery.id.as_str()).collect();
    let undeleted = walk.delete(&ids).await;
    durable().for_each(|delivery| report.count(&delivery.route));
    report.undeleted += undeleted;
    report.refused += refused.len();
    in_vain.note(ids.len(), undeleted);
}

/// Texts, each with the position of the record it is of.
fn owned(deliveries: &[Delivery], texts: impl Fn(&Route) -> Vec<String>) -> Vec<(usize, String)> {
    let all = deliveries.iter().enumerate();
    all.flat_map(|(owner, delivery)| texts(&delivery.route).into_iter().map(move |text| (owner, text))).collect()
}

/// The answer tells the records of which something was refused.
async fn send_bodies(queue: &impl Queue, bodies: Vec<(usize, String)>) -> Refused {
    let (owners, bodies): (Vec<usize>, Vec<String>) = bodies.into_iter().unzip();
    queue.send(&bodies, soon()).await.into_iter().map(|position| owners[position]).collect()
}

/// The same for the stream, which makes one attempt at a time.
async fn send_records(stream: &impl Stream, deliveries: &[Delivery]) -> Refused {
    let record = |(owner, delivery): (usize, &'_ Delivery)| match &delivery.route.load {
        Load::Record(record) => Some((owner, record.clone())),
        Load::Bodies(_) => None,
    };
    let mut pending: Vec<(usize, StreamRecord)> = deliveries.iter().enumerate().filter_map(record).collect();
    let deadline = soon();
    while !pending.is_empty() {
        let records: Vec<&StreamRecord> = pending.iter().map(|(_, record)| record).collect();
        let refused = stream.put(&records, deadline).await;
        pending = refused.into_iter().map(|position| pending[position].clone()).collect();
        if Instant::now() + PAUSE >= deadline {
            break;
        }
        if !pending.is_empty() {
            sleep(PAUSE).await;
        }
    }
    pending.into_iter().map(|(owner, _)| owner).collect()
}

impl InVain {
    /// Takes in a page: how many of it are durable, and how many of those could not be deleted.
    fn note(&mut self, durable: usize, undeleted: usize) {
        self.refused = if durable == 0 { self.refused + 1 } else { 0 };
        if durable > 0 {
            self.undeleted = if undeleted == durable { self.undeleted + 1 } else { 0 };
        }
    }

    /// Why it is no use to go on, if it is none.
    fn why(&self) -> Option<&'static str> {
        if self.refused >= IN_VAIN {
            Some(": nothing is taken any more; what refused, and why, is said above")
        } else if self.undeleted >= IN_VAIN {
            Some(": nothing can be deleted from quarantine, so each run would send it once more; why is said above")
        } else {
            None
        }
    }
}

impl Report {
    /// Those of the messages that are to be sent and can be.
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
            ("refused", self.refused, "by where they go to; still in quarantine"),
            ("not deleted", self.undeleted, "sent, and still in quarantine"),
            ("quarantined again", self.again, "lines of batches whose others were sent"),
            ("came later", self.late, "than this run began; left for the next"),
        ] {
            rows.extend((count > 0).then(|| row(what, count, more)));
        }
        print::table(&["records", "count", "to, or why"], &rows)
    }
}

fn note(reasons: &mut Reasons, reason: String, id: String) {
    reasons.entry(reason).or_insert((0, id)).0 += 1;
}
