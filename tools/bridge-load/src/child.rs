//! A bridge or a bare loop, as a process of its own.

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

/// How long a start or an end may take when nothing holds it up.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Lines of its log that are kept, for the message in case it fails.
const KEPT_LINES: usize = 20;

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// How to start a bridge.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// The program.
    pub program: PathBuf,
    /// Where Kinesis and Secrets Manager are.
    pub aws: SocketAddr,
    /// The UDP port; 0 asks for a free one.
    pub port: u16,
    /// Settings beyond the necessary ones.
    pub settings: Vec<(String, String)>,
}

/// A process that takes datagrams. It is killed when this is dropped.
pub struct Child {
    process: std::process::Child,
    addr: SocketAddrV4,
    /// Where else it listens, as it says so.
    listening: Receiver<Value>,
    log: Option<JoinHandle<VecDeque<String>>>,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Processor time in its own code, in seconds.
    pub user: f64,
    /// Processor time in the kernel on its behalf, in seconds.
    pub system: f64,
    /// The most memory it has held, in MB.
    pub peak_memory: f64,
}

impl Usage {
    /// What was used after an earlier moment. The peak stays that of the process's whole life.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system, peak_memory: self.peak_memory }
    }
}

impl Bridge {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// When it does not start, with the end of its log.
    pub fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        // Nothing of the caller's: neither an AWS account nor a log level that changes what is measured.
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
    /// When it does not start.
    pub fn bare(program: &Path, answers: bool) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg("bare").args(answers.then_some("--answer"));
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> io::Result<Self> {
        let name = command.get_program().to_owned();
        let explained = |e: io::Error| io::Error::new(e.kind(), format!("failed to start {}: {e}", name.display()));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(explained)?;
        let stdout = process.stdout.take().ok_or_else(|| io::Error::other("a child without an output"))?;
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

    /// Where it takes datagrams.
    pub fn addr(&self) -> SocketAddrV4 {
        self.addr
    }

    /// Where a bridge says how it is. It says so once, after it has said where it takes datagrams.
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
    /// When it has ended before.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.process.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    /// How it has ended, if it has.
    ///
    /// # Errors
    /// The kernel's.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Waits for it to end.
    ///
    /// # Errors
    /// When it takes longer than it may.
    pub fn wait(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() > limit {
                return Err(io::Error::other(format!("it has not ended within {limit:?}")));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Ends a bare loop by closing its input, and gives the number of datagrams that proved their sender.
    ///
    /// # Errors
    /// When it does not say.
    pub fn proven(mut self) -> io::Result<u64> {
        drop(self.process.stdin.take());
        self.wait(START_TIMEOUT)?;
        let log = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        let last: Option<Value> = log.back().and_then(|line| serde_json::from_str(line).ok());
        last.and_then(|line| line["proven"].as_u64()).ok_or_else(|| io::Error::other("a bare loop that does not count"))
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn usage(&self) -> io::Result<Usage> {
        let (pid, odd) = (self.process.id().to_string(), || io::Error::other("an unknown form of /proc"));
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
        // One that has ended already is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads its log to the end, reports addresses, and keeps the last lines.
fn follow(stdout: ChildStdout, addresses: &Sender<Value>) -> VecDeque<String> {
    let mut last = VecDeque::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if line.contains(r#""listening""#)
            && let Ok(event) = serde_json::from_str(&line)
        {
            // Nobody waits for the address any more once it is known.
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
