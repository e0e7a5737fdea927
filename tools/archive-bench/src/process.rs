//! Processor time and memory of this process, as Linux counts them.

use std::time::{Duration, Instant};

use crate::Fallible;

/// The unit of /proc/self/stat: `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that Rust supports.
const TICK: Duration = Duration::from_millis(10);

/// Measures from its creation on.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
    processor: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Fallible<Self> {
        Ok(Self { started: Instant::now(), processor: processor()? })
    }

    /// Wall time and processor time, in seconds.
    pub(crate) fn seconds(&self) -> Fallible<(f64, f64)> {
        Ok((self.started.elapsed().as_secs_f64(), processor()?.saturating_sub(self.processor).as_secs_f64()))
    }
}

/// Processor time so far, of user and system.
fn processor() -> Fallible<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The fields after the name, which is in parentheses; utime and stime are the 14th and 15th of all. (proc(5))
    let fields = stat.rsplit_once(')').ok_or("no fields in /proc/self/stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// The most memory that this process has had, in megabytes of 1,000,000 bytes.
pub(crate) fn peak_mb() -> Fallible<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}
