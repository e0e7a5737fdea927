//! The bridges and the stream under test, and the faults that a round applies to them.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::Signal;
use test_kit::kinesis::StandIn;
use test_kit::kinesis::fault::Fault;

use super::Options;
use crate::child::{Bridge, Child};
use crate::flood::{Flood, Tally};
use crate::readings::Meters;

/// The answer time of the stream without a fault.
const DELAY: Duration = Duration::from_millis(5);

const LINGER_MS: &str = "20";

/// The time that the bridge has for its shutdown, well under the time after which meters give up; and the time after that until
/// it counts as late.
const DRAIN: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(2);

/// Longer than an immediate shutdown takes.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The number of kills in a pass.
const KILLS: u32 = 3;

/// The processes and servers of a run, without the fleet.
pub struct Testbed {
    meters: Arc<Meters>,
    stand_in: StandIn,
    template: Bridge,
    bridges: Vec<(Bridge, Child)>,
    rng: Rng,
    flooded: Tally,
    problems: Vec<String>,
}

impl Testbed {
    /// Starts the stream. No bridge runs yet.
    ///
    /// # Errors
    /// If the stream does not start.
    pub fn new(options: &Options, meters: Arc<Meters>, consumer: SyncSender<Vec<u8>>) -> io::Result<Self> {
        let mut rng = Rng::with_seed(options.seed);
        let stand_in = StandIn::start(DELAY, Some(consumer), rng.u64(..))?;
        let mut settings = options.settings.clone();
        let drain = DRAIN.as_secs().to_string();
        settings.extend([("LINGER_MS", LINGER_MS), ("DRAIN_SECONDS", &drain)].map(owned));
        let template = Bridge { program: options.bridge.clone(), aws: stand_in.addr(), port: 0, settings };
        let (flooded, problems) = (Tally::default(), Vec::new());
        Ok(Self { meters, stand_in, template, bridges: Vec::new(), rng, flooded, problems })
    }

    /// Starts this many bridges with these settings, and stops those before.
    ///
    /// # Errors
    /// If one does not start.
    pub fn prepare(&mut self, bridges: usize, settings: &[(&str, &str)]) -> io::Result<()> {
        self.bridges.clear();
        for _ in 0..bridges {
            let mut bridge = self.template.clone();
            bridge.settings.extend(settings.iter().copied().map(owned));
            let child = bridge.start()?;
            bridge.port = child.addr().port();
            self.bridges.push((bridge, child));
        }
        Ok(())
    }

    /// The UDP addresses of the bridges.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.bridges.iter().map(|(_, child)| child.addr()).collect()
    }

    /// The peak memory of the running bridges, in MB: that of the largest.
    pub fn peak_memory(&self) -> f64 {
        self.bridges.iter().filter_map(|(_, child)| child.usage().ok()).map(|used| used.peak_memory).fold(0.0, f64::max)
    }

    /// Ends the fault of the stream.
    pub fn clear_fault(&self) {
        self.stand_in.fail(Fault::None);
    }

    /// Records the problems of a round: a bridge that ended by itself, and a round without an acknowledgement.
    ///
    /// # Errors
    /// If the kernel does not tell the state of a process.
    pub fn review(&mut self, round: &str, acknowledged: u64) -> io::Result<()> {
        for (_, child) in &mut self.bridges {
            if let Some(status) = child.ended()? {
                self.problems.push(format!("{round}: the bridge ended by itself, {status}"));
            }
        }
        if acknowledged == 0 {
            self.problems.push(format!("{round}: nothing was acknowledged"));
        }
        Ok(())
    }

    /// Stops everything, the bridges by SIGTERM. Returns the counts of the flood and the problems.
    ///
    /// # Errors
    /// If a bridge has ended before.
    pub fn close(mut self) -> io::Result<(Tally, Vec<String>)> {
        self.ask_to_end()?;
        Ok((self.flooded, self.problems))
    }

    /// Sleeps.
    ///
    /// # Errors
    /// None: it has the signature of the other acts.
    pub fn pause(&mut self, time: Duration) -> io::Result<()> {
        std::thread::sleep(time);
        Ok(())
    }

    /// Applies a fault to the stream in the middle of the time.
    ///
    /// # Errors
    /// None, as above.
    pub fn stream(&mut self, fault: Fault, time: Duration) -> io::Result<()> {
        self.pause(time / 5)?;
        self.during(fault, |testbed| testbed.pause(time / 2))
    }

    /// Runs `act` while the stream has a fault.
    ///
    /// # Errors
    /// Those of `act`.
    pub fn during(&mut self, fault: Fault, act: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.stand_in.fail(fault);
        let done = act(self);
        self.stand_in.fail(Fault::None);
        done
    }

    /// Kills the first bridge at random moments, and restarts it at once, as an orchestrator does.
    ///
    /// # Errors
    /// If it does not start again.
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

    /// Sends the bridges SIGTERM under load, and restarts them.
    ///
    /// # Errors
    /// If one does not start again.
    pub fn terminate(&mut self, time: Duration) -> io::Result<()> {
        self.pause(time / 2)?;
        self.ask_to_end()?;
        self.restart()
    }

    /// Sends every bridge SIGTERM. It has to exit in time and with code 0.
    ///
    /// # Errors
    /// If one has ended before.
    pub fn ask_to_end(&mut self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)?;
        for (_, child) in &mut self.bridges {
            match child.wait(DRAIN + GRACE) {
                Ok(status) if status.success() => {}
                Ok(status) => self.problems.push(format!("a bridge ended with {status} after SIGTERM")),
                Err(e) => self.problems.push(format!("a bridge after SIGTERM: {e}")),
            }
        }
        Ok(())
    }

    /// Sends every bridge SIGTERM twice. It has to exit at once after the second.
    ///
    /// # Errors
    /// If one has ended before.
    pub fn end_at_once(&mut self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)?;
        // The kernel drops the second of two pending signals of one kind (signal(7)).
        std::thread::sleep(AT_ONCE / 5);
        let pending = self.bridges.iter_mut().map(|(_, child)| child.ended()).collect::<io::Result<Vec<_>>>()?;
        for ((_, child), ended) in self.bridges.iter_mut().zip(pending) {
            if ended.is_none() {
                child.signal(Signal::SIGTERM)?;
                if let Err(e) = child.wait(AT_ONCE) {
                    self.problems.push(format!("a bridge after two SIGTERM: {e}"));
                }
            }
        }
        Ok(())
    }

    /// Sends every bridge a signal.
    ///
    /// # Errors
    /// If one has ended before.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        self.bridges.iter().try_for_each(|(_, child)| child.signal(signal))
    }

    /// Restarts the bridges that have ended, each at its old address.
    ///
    /// # Errors
    /// If one does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        for (bridge, child) in &mut self.bridges {
            if child.ended()?.is_some() {
                *child = bridge.start()?;
            }
        }
        Ok(())
    }

    /// Floods the first bridge with unauthenticated datagrams in the middle of the time.
    ///
    /// # Errors
    /// If a socket fails.
    pub fn flood(&mut self, time: Duration) -> io::Result<()> {
        self.pause(time / 5)?;
        let flood = Flood::start(self.bridges[0].1.addr(), Arc::clone(&self.meters), self.rng.u64(..))?;
        self.pause(time / 2)?;
        let tally = flood.stop()?;
        self.flooded.sent += tally.sent;
        self.flooded.answered += tally.answered;
        Ok(())
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
