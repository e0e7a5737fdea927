//! CPU time and memory of a process, from `/proc` of Linux.

use std::fs;

/// `USER_HZ`, the unit of times in /proc; the same on every architecture of today (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Fields of `/proc/PID/stat` (`proc_pid_stat(5)`). Times are CPU seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stat {
    /// The parent's ID.
    pub parent: u32,
    /// User time.
    pub user: f64,
    /// System time.
    pub system: f64,
    /// User and system time of children that have ended and were waited for.
    pub children: f64,
}

impl Stat {
    /// Reads those of a process by its ID, or of `self`; `None` if there is no such process.
    pub fn of(pid: &str) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name, in brackets, may contain brackets and spaces.
    fn parse(text: &str) -> Option<Self> {
        const PARENT: usize = 1;
        /// Field 14, counted from field 3, the first behind the name; system time and both of the children follow.
        const USER: usize = 11;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let seconds = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / TICKS_PER_SECOND);
        Some(Self {
            parent: fields.get(PARENT)?.parse().ok()?,
            user: seconds(USER)?,
            system: seconds(USER + 1)?,
            children: seconds(USER + 2)? + seconds(USER + 3)?,
        })
    }
}

/// A field of `/proc/PID/status` in kibibytes, such as `VmHWM`, as bytes.
pub fn memory(pid: &str, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_process_is_called() {
        let line = "77 (a) b (c) S 12 77 77 0 -1 4194560 9 0 0 0 150 50 25 75 20 0 1 0 99 1000 10";
        assert_eq!(Stat::parse(line), Some(Stat { parent: 12, user: 1.5, system: 0.5, children: 1.0 }));
        assert_eq!(Stat::parse("77 (a"), None);
    }
}
