//! A fleet of meters: sends readings, waits for acknowledgements, and repeats.
//!
//! One thread works in ticks: it sends what is due in batches, and receives in batches. It sees an acknowledgement up to one
//! tick late, so latencies are up to a tick too high and never too low.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fixedbitset::FixedBitSet;
use hdrhistogram::Histogram;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use test_kit::sealed::ACKNOWLEDGEMENT_LEN;

use crate::net::{ReceiveBatch, SendBatch, udp_socket};
use crate::readings::Meters;

/// Source ports: enough for an even spread over the sockets of a shared port.
const SOCKETS: usize = 256;

/// Consecutive meters that share a socket, so that their datagrams leave in one batch.
const GROUP: usize = 32;

const TICK: Duration = Duration::from_micros(500);

/// The most datagrams in a tick. A fleet that had no CPU for a while catches up over several ticks: thousands of independent
/// meters do not send in one burst, and a burst would return as a burst with each repetition.
const MAX_PER_TICK: usize = 128;

/// The same for a burst. Answers are received in between, before they fill the sockets.
const MAX_PER_TICK_OF_A_BURST: usize = 1024;

/// Longer than an acknowledgement with any known downlink.
const MAX_ANSWER: usize = 256;

/// One tag in this many is checked with [`Answers::Sampled`].
const SAMPLE: u64 = 64;

/// A run of a fleet.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The addresses. A repetition goes to the next one.
    pub to: Vec<SocketAddrV4>,
    /// The number of new readings.
    pub readings: u64,
    /// New readings a second.
    pub rate: u32,
    /// When in the second they are sent.
    pub pattern: Pattern,
    /// What the fleet does with answers.
    pub answers: Answers,
    /// When a meter repeats.
    pub retry: RetryPolicy,
}

/// When the fleet sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Evenly over time.
    Uniform,
    /// The readings of a whole period at once, at its start.
    Burst(Duration),
}

/// What the fleet does with answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Waits for none and repeats nothing.
    Ignored,
    /// Checks one tag in 64.
    Sampled,
    /// Checks every tag.
    Checked,
}

/// When a meter repeats a reading that is not acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The first pause. Each pause is twice the one before.
    pub first: Duration,
    /// The most repetitions.
    pub repetitions: u8,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), repetitions: 5 }
    }
}

impl RetryPolicy {
    fn pause(self, attempts: u8) -> Duration {
        self.first * (1 << (attempts - 1))
    }
}

/// The counts and latencies of a plan.
#[derive(Debug)]
pub struct Report {
    /// Distinct readings sent.
    pub readings: u64,
    /// Datagrams sent for these.
    pub datagrams: u64,
    /// Readings acknowledged.
    pub acknowledged: u64,
    /// Readings given up.
    pub given_up: u64,
    /// Answers that acknowledge no reading.
    pub unexpected: u64,
    /// The time until the last reading was sent first.
    pub sending: Duration,
    /// From the first sending to the acknowledgement, in microseconds.
    pub latency: Histogram<u64>,
    /// The same for readings that were not repeated.
    pub first_try: Histogram<u64>,
}

/// Meters and their sockets.
pub struct Fleet {
    meters: Arc<Meters>,
    sockets: Arc<[UdpSocket]>,
    poll: Epoll,
    next: u64,
    acknowledged: FixedBitSet,
}

impl Fleet {
    /// Opens the sockets.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn new(meters: Arc<Meters>) -> io::Result<Self> {
        let sockets = (0..SOCKETS).map(|_| udp_socket(0, false)).collect::<io::Result<Arc<[_]>>>()?;
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (position, socket) in sockets.iter().enumerate() {
            poll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, position as u64))?;
        }
        Ok(Self { meters, sockets, poll, next: 0, acknowledged: FixedBitSet::new() })
    }

    /// The numbers of all readings acknowledged so far.
    pub fn acknowledged(&self) -> &FixedBitSet {
        &self.acknowledged
    }

    /// The number of readings sent so far, which is the number of the next one.
    pub fn sent(&self) -> u64 {
        self.next
    }

    /// Sends new readings, and returns when each is acknowledged or given up.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn run(&mut self, plan: &Plan) -> io::Result<Report> {
        Run::new(self, plan).run()
    }
}

/// The state of a reading of this plan.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    /// Microseconds after the start.
    first_sent: u32,
    attempts: u8,
    settled: bool,
}

struct Run<'a> {
    fleet: &'a mut Fleet,
    plan: &'a Plan,
    start: Instant,
    first: u64,
    readings: Vec<Reading>,
    /// For each number of attempts a queue in the order of time: when to repeat, and which reading.
    again: Vec<VecDeque<(Duration, u64)>>,
    outbox: SendBatch,
    report: Report,
}

impl<'a> Run<'a> {
    fn new(fleet: &'a mut Fleet, plan: &'a Plan) -> Self {
        let report = Report {
            readings: 0,
            datagrams: 0,
            acknowledged: 0,
            given_up: 0,
            unexpected: 0,
            sending: Duration::ZERO,
            latency: histogram(),
            first_try: histogram(),
        };
        Self {
            first: fleet.next,
            fleet,
            plan,
            start: Instant::now(),
            readings: Vec::with_capacity(usize::try_from(plan.readings).unwrap_or_default()),
            again: vec![VecDeque::new(); usize::from(plan.retry.repetitions) + 1],
            outbox: SendBatch::default(),
            report,
        }
    }

    fn run(mut self) -> io::Result<Report> {
        let mut inbox = ReceiveBatch::default();
        loop {
            let now = self.start.elapsed();
            let sent = self.send_new(now)? + self.send_again(now)?;
            self.receive(&mut inbox)?;
            if self.is_over() {
                return Ok(self.report);
            }
            if self.plan.pattern == Pattern::Uniform || sent < MAX_PER_TICK {
                std::thread::sleep(TICK);
            }
        }
    }

    fn is_over(&self) -> bool {
        let settled = self.report.acknowledged + self.report.given_up;
        self.report.readings == self.plan.readings
            && (self.plan.answers == Answers::Ignored || settled == self.report.readings)
    }

    /// The number of readings that should be sent by now.
    fn due(&self, now: Duration) -> u64 {
        let until = match self.plan.pattern {
            Pattern::Uniform => now.as_micros(),
            Pattern::Burst(period) => (now.as_micros() / period.as_micros() + 1) * period.as_micros(),
        };
        let due = until * u128::from(self.plan.rate) / 1_000_000;
        u64::try_from(due).unwrap_or(u64::MAX).min(self.plan.readings)
    }

    fn send_new(&mut self, now: Duration) -> io::Result<usize> {
        let most = match self.plan.pattern {
            Pattern::Uniform => MAX_PER_TICK,
            Pattern::Burst(_) => MAX_PER_TICK_OF_A_BURST,
        };
        let due = self.due(now).min(self.report.readings + most as u64);
        let before = self.report.readings;
        while self.report.readings < due {
            let number = self.fleet.next;
            self.readings.push(Reading { first_sent: micros(now), ..Reading::default() });
            self.fleet.next += 1;
            self.report.readings += 1;
            self.push(number, now);
            if self.outbox.is_full() || self.socket(number) != self.socket(number + 1) || self.report.readings == due {
                self.outbox.send(&self.fleet.sockets[self.socket(number)])?;
            }
        }
        if due == self.plan.readings && self.report.sending.is_zero() {
            self.report.sending = now;
        }
        Ok(usize::try_from(due - before).unwrap_or_default())
    }

    fn send_again(&mut self, now: Duration) -> io::Result<usize> {
        let (mut sent, mut socket) = (0, 0);
        while sent < MAX_PER_TICK
            && let Some(number) = self.next_repetition(now)
        {
            if self.outbox.is_full() || self.socket(number) != socket {
                self.outbox.send(&self.fleet.sockets[socket])?;
                socket = self.socket(number);
            }
            self.push(number, now);
            sent += 1;
        }
        self.outbox.send(&self.fleet.sockets[socket])?;
        Ok(sent)
    }

    /// The next reading that is due for a repetition. Gives up those that have had their last.
    fn next_repetition(&mut self, now: Duration) -> Option<u64> {
        for repetitions in 0..self.again.len() {
            while let Some(&(_, number)) = self.again[repetitions].front().filter(|(when, _)| *when <= now) {
                self.again[repetitions].pop_front();
                if self.reading(number).settled {
                    continue;
                }
                if repetitions < usize::from(self.plan.retry.repetitions) {
                    return Some(number);
                }
                self.reading(number).settled = true;
                self.report.given_up += 1;
            }
        }
        None
    }

    /// Adds a reading to the batch, and schedules its repetition.
    fn push(&mut self, number: u64, now: Duration) {
        let reading = self.reading(number);
        reading.attempts += 1;
        let attempts = reading.attempts;
        // Meters start at different addresses; each repetition goes to the next one.
        let address = self.fleet.meters.device(number) + usize::from(attempts) - 1;
        let to = self.plan.to[address % self.plan.to.len()];
        self.outbox.push(&self.fleet.meters.uplink(number), to);
        self.report.datagrams += 1;
        if self.plan.answers != Answers::Ignored {
            let when = now + self.plan.retry.pause(attempts);
            self.again[usize::from(attempts) - 1].push_back((when, number));
        }
    }

    fn receive(&mut self, inbox: &mut ReceiveBatch<MAX_ANSWER>) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); SOCKETS];
        let ready = self.fleet.poll.wait(&mut events, EpollTimeout::ZERO)?;
        let sockets = Arc::clone(&self.fleet.sockets);
        for event in &events[..ready] {
            let now = micros(self.start.elapsed());
            let socket = &sockets[usize::try_from(event.data()).unwrap_or_default()];
            inbox.drain(socket, |answer, _| self.take(answer, now))?;
        }
        Ok(())
    }

    fn take(&mut self, answer: &[u8], now: u32) {
        let answers = self.plan.answers;
        let is_checked = |number: u64| answers == Answers::Checked || number.is_multiple_of(SAMPLE);
        let number = self.fleet.meters.acknowledged(answer, is_checked).filter(|&number| number < self.fleet.next);
        let Some(number) = number else {
            self.report.unexpected += 1;
            return;
        };
        self.fleet.acknowledged.grow_and_insert(usize::try_from(number).unwrap_or_default());
        // An answer may be late and of an earlier plan.
        if number >= self.first && !self.reading(number).settled {
            self.settle(number, now);
        }
    }

    fn settle(&mut self, number: u64, now: u32) {
        let reading = self.reading(number);
        reading.settled = true;
        let (micros, attempts) = (u64::from(now.saturating_sub(reading.first_sent)), reading.attempts);
        self.report.acknowledged += 1;
        self.report.latency.saturating_record(micros);
        if attempts == 1 {
            self.report.first_try.saturating_record(micros);
        }
    }

    fn reading(&mut self, number: u64) -> &mut Reading {
        &mut self.readings[usize::try_from(number - self.first).unwrap_or_default()]
    }

    fn socket(&self, number: u64) -> usize {
        self.fleet.meters.device(number) / GROUP % SOCKETS
    }
}

/// Fits an hour.
fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[expect(clippy::expect_used, reason = "the bounds are constants, and valid")]
fn histogram() -> Histogram<u64> {
    const LONGEST_MICROS: u64 = 120_000_000;
    Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("bounds of a histogram")
}

const _: () = assert!(ACKNOWLEDGEMENT_LEN <= MAX_ANSWER);
