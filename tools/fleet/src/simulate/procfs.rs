//! What processes of this machine use, as Linux tells it under `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Ticks in a second, in which Linux counts processor time for programs (`USER_HZ`; 100 on every architecture in use today).
const TICKS: f64 = 100.0;

/// What processes have used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// Seconds of processor time, of children that have ended too.
    pub(super) cpu_seconds: f64,
    /// Bytes of memory: most ever of one process, at the moment of several.
    pub(super) rss: u64,
}

/// Of this process.
pub(super) fn own() -> Usage {
    process("self").unwrap_or_default()
}

/// Of a process alone; `None` if it is not there.
pub(super) fn process(pid: &str) -> Option<Usage> {
    let cpu_seconds = Stat::of(pid)?.cpu_seconds;
    Some(Usage { cpu_seconds, rss: memory(pid, "VmHWM:").unwrap_or_default() })
}

/// Of a process and all that descend from it.
pub(super) fn tree(pid: &str) -> Option<Usage> {
    let root = pid.parse::<u32>().ok().filter(|_| Stat::of(pid).is_some())?;
    let all: BTreeMap<u32, Stat> = numbers().filter_map(|pid| Some((pid, Stat::of(&pid.to_string())?))).collect();
    let family = family(root, &all);
    let cpu_seconds = family.iter().filter_map(|pid| all.get(pid)).map(|stat| stat.cpu_seconds).sum();
    let rss = family.iter().filter_map(|pid| memory(&pid.to_string(), "VmRSS:")).sum();
    Some(Usage { cpu_seconds, rss })
}

fn numbers() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn family(root: u32, all: &BTreeMap<u32, Stat>) -> BTreeSet<u32> {
    let mut family = BTreeSet::from([root]);
    // Until nobody is added: children may have lower numbers than their parents.
    loop {
        let before = family.len();
        let children = all.iter().filter(|(_, stat)| family.contains(&stat.parent)).map(|(&pid, _)| pid);
        let children: Vec<u32> = children.collect();
        family.extend(children);
        if family.len() == before {
            return family;
        }
    }
}

/// Of `/proc/PID/stat` (`proc_pid_stat(5)`).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    parent: u32,
    cpu_seconds: f64,
}

impl Stat {
    fn of(pid: &str) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name, in brackets, may hold anything, brackets too.
    fn parse(text: &str) -> Option<Self> {
        const PARENT: usize = 1;
        /// utime, stime, cutime, cstime: fields 14 to 17, of which the third is the first behind the name.
        const TIMES: std::ops::Range<usize> = 11..15;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(TIMES)?.iter().map(|ticks| ticks.parse::<f64>().ok()).sum::<Option<f64>>()?;
        Some(Self { parent: fields.get(PARENT)?.parse().ok()?, cpu_seconds: ticks / TICKS })
    }
}

/// A line of `/proc/PID/status` that is a number of kibibytes, in bytes.
fn memory(pid: &str, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_process_is_called() {
        let line = "77 (a) b (c) S 12 77 77 0 -1 4194560 9 0 0 0 150 50 25 75 20 0 1 0 99 1000 10";
        assert_eq!(Stat::parse(line), Some(Stat { parent: 12, cpu_seconds: 3.0 }));
        assert_eq!(Stat::parse("77 (a"), None);
    }

    #[test]
    fn a_family_is_found_whatever_the_numbers_are() {
        let of = |parent| Stat { parent, cpu_seconds: 0.0 };
        let all = BTreeMap::from([(1, of(0)), (3, of(9)), (4, of(1)), (5, of(3)), (9, of(1))]);
        assert_eq!(family(9, &all), BTreeSet::from([3, 5, 9]));
    }

    #[test]
    fn this_process_uses_memory_and_is_its_own_family() {
        assert!(own().rss > 1024 * 1024);
        assert!(tree(&std::process::id().to_string()).unwrap().rss > 1024 * 1024);
        assert_eq!(tree("not a number"), None);
    }
}
