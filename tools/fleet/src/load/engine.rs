//! Main loop of a run: sends what is due, receives answers and records outcomes. One thread, in ticks.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::callback::Callback;
use super::counters::{Rates, Udp};
use super::ledger::{Ledger, Message, Settled};
use super::nbiot::{Link, Nbiot};
use super::probe::Sample;
use super::schedule::{Clock, Due, Schedule};
use super::stop::Stop;
use super::timers::micros;
use crate::meters::{Dating, Fleet, Meter, Transport, Uplink};
use crate::{Problem, audit};

const TICK: Duration = Duration::from_micros(500);

/// Messages in a tick. After a pause in scheduling, the run catches up over several ticks.
const MAX_PER_TICK: u32 = 128;

/// Interval of the progress display.
const SHOW: Duration = Duration::from_millis(250);

/// Interval of writing the run's files. After a kill, messages since the last write are sent again.
const WRITE: Duration = Duration::from_secs(3);

/// Minimum ratio of pause to writing time: nothing is sent while files are written.
const PAUSE_PER_WRITE: u32 = 20;

/// How long a stopped run waits for acknowledgements.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Parts of the engine.
pub(super) struct Parts {
    pub(super) fleet: Arc<Fleet>,
    pub(super) ledger: Ledger,
    pub(super) schedule: Schedule,
    pub(super) clock: Clock,
    /// `None` if no meter is on NB-IoT.
    pub(super) link: Option<Link>,
    /// To the Sigfox cloud, and the outcomes from it.
    pub(super) sigfox: UnboundedSender<Callback>,
    pub(super) settled: Receiver<Settled>,
    /// Samples a second, and their receiver.
    pub(super) probe: Option<(u16, UnboundedSender<Sample>)>,
    /// Messages a second at most.
    pub(super) max_rate: Option<u32>,
}

/// Progress of the run.
pub(super) struct View<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) udp: Option<&'a Udp>,
    pub(super) rates: &'a Rates,
    pub(super) reordered: u64,
    pub(super) late: u64,
    /// Finished sessions, including those before `--resume`.
    pub(super) done: u64,
    pub(super) elapsed: Duration,
    pub(super) waiting: usize,
    pub(super) is_over: bool,
}

/// Observer of the run.
pub(super) trait Observer {
    /// Displays the progress.
    fn show(&mut self, view: &View<'_>);
    /// Writes the run's files.
    fn write(&mut self, view: &View<'_>) -> Result<(), Problem>;
}

pub(super) struct Engine {
    parts: Parts,
    nbiot: Option<Nbiot>,
    began: Instant,
    rates: Rates,
    /// Unused allowance of `max_rate`.
    quota: f64,
    last: Duration,
    sampled: u64,
    settled: Vec<Settled>,
}

impl Engine {
    pub(super) fn new(mut parts: Parts) -> Self {
        let nbiot = parts.link.take().map(|link| Nbiot::new(Arc::clone(&parts.fleet), link));
        let (rates, settled, last) = (Rates::default(), Vec::new(), Duration::ZERO);
        Self { parts, nbiot, began: Instant::now(), rates, quota: 0.0, last, sampled: 0, settled }
    }

    /// Runs until all is settled or the run is stopped. Blocks.
    ///
    /// # Errors
    /// [`Problem`] of the sockets or of the files.
    pub(super) fn run(mut self, stop: &Stop, observer: &mut impl Observer) -> Result<(), Problem> {
        let (mut shown, mut write, mut stopped) = (Duration::ZERO, WRITE, None);
        loop {
            let now = self.began.elapsed();
            let sent =
                self.tick(now, stopped.is_some()).map_err(|e| Problem::Cause("sending failed".to_owned(), e.into()))?;
            if stop.is_asked() {
                stopped.get_or_insert(now);
            }
            let is_over = self.parts.schedule.is_over() && self.parts.ledger.outstanding == 0;
            let is_left = stopped.is_some_and(|at| self.parts.ledger.outstanding == 0 || now > at + STOP_TIMEOUT);
            if is_over || is_left {
                observer.show(&self.view(now, is_over));
                return observer.write(&self.view(now, is_over));
            }
            if now >= shown + SHOW {
                shown = now;
                observer.show(&self.view(now, false));
            }
            if now >= write {
                self.tidy(now);
                observer.write(&self.view(now, false))?;
                let written = self.began.elapsed();
                write = written + WRITE.max(written.saturating_sub(now) * PAUSE_PER_WRITE);
            }
            if sent < MAX_PER_TICK {
                std::thread::sleep(TICK);
            }
        }
    }

    fn tick(&mut self, now: Duration, stopped: bool) -> io::Result<u32> {
        let virtual_ms = self.parts.clock.at(now);
        let mut sent = 0;
        if !stopped {
            self.parts.ledger.sessions.progress.virtual_ms = virtual_ms;
            sent = self.send_due(now, virtual_ms)?;
        }
        if let Some(nbiot) = &mut self.nbiot {
            nbiot.flush()?;
            if !stopped {
                nbiot.repeat(micros(now), &mut self.settled)?;
            }
            // A new time: answers have arrived while this tick was sending.
            nbiot.receive(micros(self.began.elapsed()), &mut self.settled)?;
        }
        self.settled.extend(self.parts.settled.try_iter());
        self.settle(now);
        Ok(sent)
    }

    fn send_due(&mut self, now: Duration, virtual_ms: u64) -> io::Result<u32> {
        let most = self.allowance(now);
        let mut sent = 0;
        while sent < most
            && let Some(due) = self.parts.schedule.due(virtual_ms, &self.parts.ledger.sessions)
        {
            match due {
                Due::Session { meter, hour, counted } => self.begin((meter, hour, counted), now, virtual_ms)?,
                Due::Uplink(message) => self.go_on(message, now)?,
            }
            sent += 1;
        }
        Ok(sent)
    }

    /// How many messages may be sent now. Unused allowance accumulates for 50 ms at most.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and cut to what fits")]
    fn allowance(&mut self, now: Duration) -> u32 {
        const MOMENT: f64 = 0.05;
        let Some(rate) = self.parts.max_rate.map(f64::from) else { return MAX_PER_TICK };
        self.quota = (self.quota + now.saturating_sub(self.last).as_secs_f64() * rate).min((rate * MOMENT).max(1.0));
        self.last = now;
        self.quota.clamp(0.0, f64::from(MAX_PER_TICK)) as u32
    }

    /// Starts a session: sends the first uplink now, and schedules the others by their times.
    fn begin(&mut self, (number, hour, counted): (u32, u32, u32), now: Duration, virtual_ms: u64) -> io::Result<()> {
        let meter = self.parts.fleet.meter(number);
        let session = self.parts.fleet.session(number, hour, counted.into());
        let of = u8::try_from(session.uplinks.len()).unwrap_or(u8::MAX);
        let Some(first) = session.uplinks.first() else {
            // All of it is lost on the air.
            self.parts.ledger.settled += 1;
            return Ok(());
        };
        for (position, uplink) in (0..of).zip(&session.uplinks) {
            let message = Message { meter: number, hour, counted, position, of };
            let seconds = u64::try_from(uplink.at.unix() - first.at.unix()).unwrap_or_default();
            if position == 0 {
                self.parts.ledger.send(message);
            }
            if seconds == 0 {
                self.send(message, &meter, uplink, now)?;
            } else {
                self.parts.schedule.later(virtual_ms + seconds * 1_000, message);
            }
        }
        Ok(())
    }

    /// Sends a later uplink of a session.
    fn go_on(&mut self, message: Message, now: Duration) -> io::Result<()> {
        let meter = self.parts.fleet.meter(message.meter);
        let session = self.parts.fleet.session(message.meter, message.hour, message.counted.into());
        match session.uplinks.get(usize::from(message.position)) {
            Some(uplink) => self.send(message, &meter, uplink, now),
            None => Ok(()),
        }
    }

    fn send(&mut self, message: Message, meter: &Meter, uplink: &Uplink, now: Duration) -> io::Result<()> {
        self.quota -= 1.0;
        self.rates.send(second(now), 1);
        self.sample(meter, uplink, now);
        match (meter.transport, &mut self.nbiot) {
            (Transport::Sigfox, _) => {
                let callback = Callback {
                    message,
                    profile: meter.profile,
                    device: meter.device,
                    at: uplink.at,
                    sequence: uplink.sequence,
                    data: uplink.payload.as_slice().into(),
                    is_status: uplink.is_status,
                };
                // The receiver lives as long as the engine.
                let _ = self.parts.sigfox.send(callback);
                Ok(())
            }
            (_, Some(nbiot)) => nbiot.send(message, meter, uplink, micros(now)),
            (_, None) => Err(io::Error::other("a meter is on NB-IoT, but there is no NB-IoT link")),
        }
    }

    /// Passes the uplink to the probe, if the next sample is due.
    fn sample(&mut self, meter: &Meter, uplink: &Uplink, now: Duration) {
        let Some((rate, samples)) = &self.parts.probe else { return };
        if u128::from(self.sampled) * 1_000_000 <= now.as_micros() * u128::from(*rate) {
            self.sampled += 1;
            if uplink.dating == Dating::Arrival || uplink.is_status {
                return; // nobody knows its key, or it is not in the table
            }
            let Ok(key) = audit::key(meter, uplink) else { return };
            // The receiver lives as long as the engine.
            let _ = samples.send(Sample { key, sent: tokio::time::Instant::now() });
        }
    }

    fn settle(&mut self, now: Duration) {
        for settled in self.settled.drain(..) {
            self.rates.acknowledge(second(now), u32::from(settled.acknowledged));
            self.parts.ledger.settle(settled);
        }
    }

    fn tidy(&mut self, now: Duration) {
        if let Some(nbiot) = &mut self.nbiot {
            nbiot.tidy(micros(now));
        }
    }

    fn view(&mut self, elapsed: Duration, is_over: bool) -> View<'_> {
        self.rates.fill(second(elapsed));
        let Parts { ledger, schedule, .. } = &self.parts;
        View {
            ledger,
            udp: self.nbiot.as_ref().map(|nbiot| &nbiot.udp),
            rates: &self.rates,
            reordered: schedule.reordered,
            late: schedule.late,
            done: ledger.settled + schedule.skipped,
            elapsed,
            waiting: schedule.waiting(),
            is_over,
        }
    }
}

fn second(time: Duration) -> usize {
    usize::try_from(time.as_secs()).unwrap_or_default()
}
