//! Bridges, stream and strangers, and what can be done to them.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::Signal;

use super::Options;
use super::rounds::Round;
use crate::child::{Bridge, Child};
use crate::fleet::Report;
use crate::readings::Meters;
use test_kit::kinesis::StandIn;
use test_kit::kinesis::fault::Fault;
use crate::strangers::{Strangers, Tally};

/// How long the stream takes when all is well.
const DELAY: Duration = Duration::from_millis(5);

const LINGER_MS: &str = "20";

/// How long the bridge may take to end, well under the time in which meters give up; and what is added before it is called
/// late.
const DRAIN: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(2);

/// Longer than a bridge that is to end at once takes.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How often a bridge is killed in a pass.
const KILLS: u32 = 3;

/// All that is not the fleet.
pub struct Field {
    meters: Arc<Meters>,
    stand_in: StandIn,
    basis: Bridge,
    bridges: Vec<(Bridge, Child)>,
    rng: Rng,
    strangers: Tally,
    problems: Vec<String>,
}

impl Field {
    /// A stream, and no bridge yet.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(options: &Options, meters: Arc<Meters>, consumer: SyncSender<Vec<u8>>) -> io::Result<Self> {
        let mut rng = Rng::with_seed(options.seed);
        let stand_in = StandIn::start(DELAY, Some(consumer), rng.u64(..))?;
        let mut settings = options.settings.clone();
        let drain = DRAIN.as_secs().to_string();
        settings.extend([("LINGER_MS", LINGER_MS), ("DRAIN_SECONDS", &drain)].map(owned));
        let basis = Bridge { program: options.bridge.clone(), aws: stand_in.addr(), port: 0, settings };
        let (strangers, problems) = (Tally::default(), Vec::new());
        Ok(Self { meters, stand_in, basis, bridges: Vec::new(), rng, strangers, problems })
    }

    /// Starts the bridges of a round.
    ///
    /// # Errors
    /// When one does not start.
    pub fn prepare(&mut self, round: &Round) -> io::Result<()> {
        self.bridges.clear();
        for _ in 0..round.bridges {
            let mut bridge = self.basis.clone();
            bridge.settings.extend(round.settings.iter().copied().map(owned));
            let child = bridge.start()?;
            bridge.port = child.addr().port();
            self.bridges.push((bridge, child));
        }
        Ok(())
    }

    /// Where the bridges take datagrams.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.bridges.iter().map(|(_, child)| child.addr()).collect()
    }

    /// The most memory that a bridge that runs now has held, in MB.
    pub fn peak_memory(&self) -> f64 {
        self.bridges.iter().filter_map(|(_, child)| child.usage().ok()).map(|used| used.peak_memory).fold(0.0, f64::max)
    }

    /// Lets it go wrong once, in the given time.
    ///
    /// # Errors
    /// When something does not start again.
    pub fn pass(&mut self, round: &Round, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        (round.act)(self, time)?;
        self.stand_in.fail(Fault::None);
        self.pause(end.saturating_duration_since(Instant::now()))
    }

    /// Takes note of what was not right in a round.
    ///
    /// # Errors
    /// The kernel's.
    pub fn review(&mut self, round: &Round, report: &Report) -> io::Result<()> {
        for (_, child) in &mut self.bridges {
            if let Some(status) = child.ended()? {
                self.problems.push(format!("{}: the bridge ended by itself, {status}", round.name));
            }
        }
        if report.acknowledged == 0 {
            self.problems.push(format!("{}: nothing was acknowledged", round.name));
        }
        Ok(())
    }

    /// Ends all of it, the bridges by a signal, and tells what strangers did and what went wrong.
    ///
    /// # Errors
    /// When a bridge has ended before.
    pub fn close(mut self) -> io::Result<(Tally, Vec<String>)> {
        self.ask_to_end()?;
        Ok((self.strangers, self.problems))
    }

    /// Waits.
    ///
    /// # Errors
    /// None: it has the form of the other acts.
    pub fn pause(&mut self, time: Duration) -> io::Result<()> {
        std::thread::sleep(time);
        Ok(())
    }

    /// Lets the stream fail for the middle of the time.
    ///
    /// # Errors
    /// None, as above.
    pub fn stream(&mut self, fault: Fault, time: Duration) -> io::Result<()> {
        self.pause(time / 5)?;
        self.during(fault, |field| field.pause(time / 2))
    }

    /// Does something while the stream fails.
    ///
    /// # Errors
    /// Those of what is done.
    pub fn during(&mut self, fault: Fault, act: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.stand_in.fail(fault);
        let done = act(self);
        self.stand_in.fail(Fault::None);
        done
    }

    /// Kills the first bridge at moments left to chance, and starts it again at once, as an orchestrator would.
    ///
    /// # Errors
    /// When it does not start again.
    pub fn kill(&mut self, time: Duration) -> io::Result<()> {
        for _ in 0..KILLS {
            let moment = (time / (KILLS + 1)).mul_f64(2.0 * self.rng.f64());
            self.pause(moment)?;
            self.bridges[0].1.signal(Signal::SIGKILL)?;
            self.bridges[0].1.wait(AT_ONCE)?;
            self.restart()?;
        }
        Ok(())
    }

    /// Asks the bridges to end under load, and starts them again.
    ///
    /// # Errors
    /// When one does not start again.
    pub fn terminate(&mut self, time: Duration) -> io::Result<()> {
        self.pause(time / 2)?;
        self.ask_to_end()?;
        self.restart()
    }

    /// Asks every bridge to end, which it has to do in time and with exit code 0.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn ask_to_end(&mut self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)?;
        for (_, child) in &mut self.bridges {
            match child.wait(DRAIN + GRACE) {
                Ok(status) if status.success() => {}
                Ok(status) => self.problems.push(format!("a bridge that was asked to end did so with {status}")),
                Err(e) => self.problems.push(format!("a bridge that was asked to end: {e}")),
            }
        }
        Ok(())
    }

    /// Asks every bridge twice, which it has to answer by ending at once.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn end_at_once(&mut self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)?;
        // The second of two signals that wait together is dropped by the kernel (signal(7)).
        std::thread::sleep(AT_ONCE / 5);
        let pending = self.bridges.iter_mut().map(|(_, child)| child.ended()).collect::<io::Result<Vec<_>>>()?;
        for ((_, child), ended) in self.bridges.iter_mut().zip(pending) {
            if ended.is_none() {
                child.signal(Signal::SIGTERM)?;
                if let Err(e) = child.wait(AT_ONCE) {
                    self.problems.push(format!("a bridge that was asked to end twice: {e}"));
                }
            }
        }
        Ok(())
    }

    /// Sends every bridge a signal.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        self.bridges.iter().try_for_each(|(_, child)| child.signal(signal))
    }

    /// Starts the bridges that have ended, each at its old address.
    ///
    /// # Errors
    /// When one does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        for (bridge, child) in &mut self.bridges {
            if child.ended()?.is_some() {
                *child = bridge.start()?;
            }
        }
        Ok(())
    }

    /// Lets strangers send as much as they can for the middle of the time.
    ///
    /// # Errors
    /// The kernel's.
    pub fn strangers(&mut self, time: Duration) -> io::Result<()> {
        self.pause(time / 5)?;
        let strangers = Strangers::start(self.bridges[0].1.addr(), Arc::clone(&self.meters), self.rng.u64(..))?;
        self.pause(time / 2)?;
        let tally = strangers.stop()?;
        self.strangers.sent += tally.sent;
        self.strangers.answered += tally.answered;
        Ok(())
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
