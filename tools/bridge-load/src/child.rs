//! A bridge or a bare loop as a child process.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader};
use std::net::{SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::process::{Stat, memory};

/// The time for a start, and for the end of a bare loop.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The last lines of the log that are kept for an error message.
const KEPT_LINES: usize = 20;

/// The interval between checks whether it has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The parameters of a bridge.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// The program.
    pub program: PathBuf,
    /// The address of Kinesis and Secrets Manager.
    pub aws: SocketAddr,
    /// The UDP port; 0 asks for a free one.
    pub port: u16,
    /// Settings besides the required ones.
    pub settings: Vec<(String, String)>,
}

/// A process that receives datagrams. Dropping it kills the process.
pub struct Child {
    process: std::process::Child,
    addr: SocketAddrV4,
    /// Its log events about listeners.
    listening: Receiver<Value>,
    log: Option<JoinHandle<VecDeque<String>>>,
}

/// The resources that a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User time, in seconds.
    pub user: f64,
    /// System time, in seconds.
    pub system: f64,
    /// The peak of its memory, in MB.
    pub peak_memory: f64,
}

impl Usage {
    /// The difference from an earlier moment. The peak is that of the whole life of the process.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system, peak_memory: self.peak_memory }
    }
}

impl Bridge {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// If it does not start, with the end of its log.
    pub fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        // Nothing is inherited: no AWS account, and no log level that changes the measurement.
        command.env_clear().envs([
            ("STREAM_NAME", "stream"),
            ("MASTER_KEYS_SECRET_ID", "keys"),
            ("HTTP_ADDR", "127.0.0.1:0"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "none"),
            ("AWS_SECRET_ACCESS_KEY", "none"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        command.env("SEALED_LISTENERS", format!("adeunis-pulse4-nbiot=127.0.0.1:{}", self.port));
        command.env("AWS_ENDPOINT_URL", format!("http://{}", self.aws));
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        Child::start(&mut command)
    }
}

impl Child {
    /// Starts a bare loop, which is `program bare`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn bare(program: &Path, answers: bool) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg("bare").args(answers.then_some("--answer"));
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> io::Result<Self> {
        let name = command.get_program().to_owned();
        let explained = |e: io::Error| io::Error::new(e.kind(), format!("failed to start {}: {e}", name.display()));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(explained)?;
        let stdout = process.stdout.take().ok_or_else(|| io::Error::other("the child has no standard output"))?;
        let (sender, addresses) = channel();
        let log = std::thread::spawn(move || follow(stdout, &sender));
        let addr = SocketAddrV4::new([0; 4].into(), 0);
        let mut child = Self { process, addr, listening: addresses, log: Some(log) };
        match address(&child.listening, "udp") {
            Some(addr) => child.addr = addr,
            None => return Err(explained(io::Error::other(child.last_words()))),
        }
        Ok(child)
    }

    /// Its UDP address.
    pub fn addr(&self) -> SocketAddrV4 {
        self.addr
    }

    /// The address of a bridge's health and metrics. Can be read once: the log has it once, after the UDP address.
    pub fn http(&self) -> Option<SocketAddrV4> {
        address(&self.listening, "http")
    }

    /// Its process ID.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it has ended before.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.process.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Waits for it to end.
    ///
    /// # Errors
    /// If it takes longer than the limit.
    pub fn wait(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() > limit {
                return Err(io::Error::other(format!("has not ended within {limit:?}")));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Stops a bare loop by closing its input, and returns the number of authenticated datagrams.
    ///
    /// # Errors
    /// If its log does not have the number.
    pub fn proven(mut self) -> io::Result<u64> {
        drop(self.process.stdin.take());
        self.wait(START_TIMEOUT)?;
        let log = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        let last: Option<Value> = log.back().and_then(|line| serde_json::from_str(line).ok());
        last.and_then(|line| line["proven"].as_u64()).ok_or_else(|| io::Error::other("the bare loop printed no count"))
    }

    /// The resources that it has used so far.
    ///
    /// # Errors
    /// If it has ended before.
    pub fn usage(&self) -> io::Result<Usage> {
        let (pid, odd) = (self.process.id().to_string(), || io::Error::other("/proc has an unknown format"));
        let stat = Stat::of(&pid).ok_or_else(odd)?;
        #[expect(clippy::cast_precision_loss, reason = "memory of a process is far below 2^53 bytes")]
        let peak_memory = memory(&pid, "VmHWM").ok_or_else(odd)? as f64 / 1e6;
        Ok(Usage { user: stat.user, system: stat.system, peak_memory })
    }

    /// The end of its log.
    fn last_words(&mut self) -> String {
        let _ = self.process.kill();
        let log = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        Vec::from(log).join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the log to its end, sends events about listeners, and keeps the last lines.
fn follow(stdout: ChildStdout, addresses: &Sender<Value>) -> VecDeque<String> {
    let mut last = VecDeque::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if line.contains(r#""listening""#)
            && let Ok(event) = serde_json::from_str(&line)
        {
            // The receiver is dropped with the child.
            let _ = addresses.send(event);
        }
        if last.len() == KEPT_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}

fn address(events: &Receiver<Value>, protocol: &str) -> Option<SocketAddrV4> {
    loop {
        let event = events.recv_timeout(START_TIMEOUT).ok()?;
        if event["protocol"] == protocol {
            return event["addr"].as_str()?.parse().ok();
        }
    }
}
