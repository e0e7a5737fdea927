//! The fleet's life: what is due is sent, what has come is taken, what has become of it is written down. One thread, in ticks.

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
use crate::meters::{Fleet, Meter, Transport, Uplink};
use crate::{Problem, audit};

const TICK: Duration = Duration::from_micros(500);

/// Messages in a tick. A fleet that was not given the processor for a while catches up over several ticks.
const MAX_PER_TICK: u32 = 128;

/// How often people are told how far it is.
const SHOW: Duration = Duration::from_millis(250);

/// How often it is written down: what a kill takes with it is sent again.
const WRITE: Duration = Duration::from_secs(3);

/// What takes long to write is written less often: nothing is sent meanwhile.
const PAUSE_PER_WRITE: u32 = 20;

/// How long acknowledgements are waited for once somebody has stopped it.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the engine drives.
pub(super) struct Parts {
    pub(super) fleet: Arc<Fleet>,
    pub(super) ledger: Ledger,
    pub(super) schedule: Schedule,
    pub(super) clock: Clock,
    /// `None` if no meter is on NB-IoT.
    pub(super) link: Option<Link>,
    /// To the Sigfox cloud, and what comes back from it.
    pub(super) sigfox: UnboundedSender<Callback>,
    pub(super) settled: Receiver<Settled>,
    /// Samples a second, and where to.
    pub(super) probe: Option<(u16, UnboundedSender<Sample>)>,
    /// Messages a second at most.
    pub(super) max_rate: Option<u32>,
}

/// How far it is.
pub(super) struct View<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) udp: Option<&'a Udp>,
    pub(super) rates: &'a Rates,
    pub(super) reordered: u64,
    /// Sessions that are done, those of before the run was gone on with included.
    pub(super) done: u64,
    pub(super) elapsed: Duration,
    pub(super) waiting: usize,
    pub(super) is_over: bool,
}

/// Whoever looks on.
pub(super) trait Observer {
    /// Shows it.
    fn show(&mut self, view: &View<'_>);
    /// Writes it down.
    fn write(&mut self, view: &View<'_>) -> Result<(), Problem>;
}

pub(super) struct Engine {
    parts: Parts,
    nbiot: Option<Nbiot>,
    began: Instant,
    rates: Rates,
    /// What may be sent of `max_rate`.
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

    /// Lives it, until all is settled or somebody stops it. Blocks.
    ///
    /// # Errors
    /// [`Problem`], of the sockets or of what is written down.
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
            // Sending has taken its time, in which answers have come.
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

    /// How many may be sent now. What was not used is not saved up for longer than a moment.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and cut to what fits")]
    fn allowance(&mut self, now: Duration) -> u32 {
        const MOMENT: f64 = 0.05;
        let Some(rate) = self.parts.max_rate.map(f64::from) else { return MAX_PER_TICK };
        self.quota = (self.quota + now.saturating_sub(self.last).as_secs_f64() * rate).min((rate * MOMENT).max(1.0));
        self.last = now;
        self.quota.clamp(0.0, f64::from(MAX_PER_TICK)) as u32
    }

    /// A session begins: its first uplink is sent now, and the others as much later as their times say.
    fn begin(&mut self, (number, hour, counted): (u32, u32, u32), now: Duration, virtual_ms: u64) -> io::Result<()> {
        let meter = self.parts.fleet.meter(number);
        let session = self.parts.fleet.session(number, hour, counted.into());
        let of = u8::try_from(session.uplinks.len()).unwrap_or(u8::MAX);
        let Some(first) = session.uplinks.first() else { return Ok(()) };
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

    /// A later uplink of a session.
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
                };
                // The cloud lives as long as this does.
                let _ = self.parts.sigfox.send(callback);
                Ok(())
            }
            (_, Some(nbiot)) => nbiot.send(message, meter, uplink, micros(now)),
            (_, None) => Err(io::Error::other("a meter is on NB-IoT, and there is no way to send for it")),
        }
    }

    /// Has it looked up, if it is time for another one.
    fn sample(&mut self, meter: &Meter, uplink: &Uplink, now: Duration) {
        let Some((rate, samples)) = &self.parts.probe else { return };
        if u128::from(self.sampled) * 1_000_000 <= now.as_micros() * u128::from(*rate) {
            self.sampled += 1;
            let Ok(key) = audit::key(meter, uplink) else { return };
            // Whoever looks them up lives as long as this does.
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
