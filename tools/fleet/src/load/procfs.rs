//! Resource usage of processes, from `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use bridge_load::process::{Stat, memory};

/// Resource usage of processes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// Seconds of processor time, ended children included.
    pub(super) cpu_seconds: f64,
    /// Bytes of memory: the peak of one process, or the current sum of several.
    pub(super) rss: u64,
}

/// Usage of this process.
pub(super) fn own() -> Usage {
    process("self").unwrap_or_default()
}

/// Usage of one process; `None` if it does not exist or is a zombie, which has no memory.
pub(super) fn process(pid: &str) -> Option<Usage> {
    Some(Usage { cpu_seconds: all_of(&Stat::of(pid)?), rss: memory(pid, "VmHWM")? })
}

/// Usage of a process and its descendants.
pub(super) fn tree(pid: &str) -> Option<Usage> {
    let root = pid.parse::<u32>().ok().filter(|_| Stat::of(pid).is_some())?;
    let all: BTreeMap<u32, Stat> = numbers().filter_map(|pid| Some((pid, Stat::of(&pid.to_string())?))).collect();
    let family = family(root, &all);
    let cpu_seconds = family.iter().filter_map(|pid| all.get(pid)).map(all_of).sum();
    let rss = family.iter().filter_map(|pid| memory(&pid.to_string(), "VmRSS")).sum();
    Some(Usage { cpu_seconds, rss })
}

fn all_of(stat: &Stat) -> f64 {
    stat.user + stat.system + stat.children
}

fn numbers() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn family(root: u32, all: &BTreeMap<u32, Stat>) -> BTreeSet<u32> {
    let mut family = BTreeSet::from([root]);
    // Repeats until nothing is added: children may have lower process IDs than their parents.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_found_whatever_the_numbers_are() {
        let of = |parent| Stat { parent, user: 0.0, system: 0.0, children: 0.0 };
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
