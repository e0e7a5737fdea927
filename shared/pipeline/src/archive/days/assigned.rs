//! Assignments as the files of days need them: those that a month knows of, and a hash of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use pulsegate_model::assignment::{Assignment, Assignments};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::device::DeviceId;
use sha2::{Digest as _, Sha256};

/// Assignments of devices.
pub(super) struct Assigned {
    assignments: Assignments,
    digests: Vec<Digests>,
}

/// The hash of an assignment, as it is and without its end.
struct Digests {
    device: DeviceId,
    from: Option<At>,
    to: Option<At>,
    whole: u128,
    open: u128,
}

/// The hash of a set of assignments. It does not depend on their order, so that it can be computed from one file after
/// another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SetHash {
    count: u64,
    sum: u128,
}

impl From<Assignments> for Assigned {
    fn from(assignments: Assignments) -> Self {
        let digests = assignments.iter().map(|assignment| Digests {
            device: assignment.device,
            from: assignment.from,
            to: assignment.to,
            whole: digest(assignment),
            open: digest(&without_end(assignment)),
        });
        Self { digests: digests.collect(), assignments }
    }
}

impl Assigned {
    /// The hash of the assignments that begin before this time, each without an end that is not before it.
    pub(super) fn hash(&self, until: At, is_ours: impl Fn(DeviceId) -> bool) -> SetHash {
        let mut hash = SetHash::default();
        for Digests { device, from, to, whole, open } in &self.digests {
            if begins_before(*from, until) && is_ours(*device) {
                hash += SetHash { count: 1, sum: if to.is_some_and(|to| to < until) { *whole } else { *open } };
            }
        }
        hash
    }

    /// The devices of these assignments, in order.
    pub(super) fn devices(&self, until: At) -> BTreeSet<DeviceId> {
        let known = self.digests.iter().filter(|digests| begins_before(digests.from, until));
        known.map(|digests| digests.device).collect()
    }

    /// These assignments of a device.
    pub(super) fn of(&self, device: DeviceId, until: At) -> BTreeMap<&Channel, Vec<Assignment>> {
        let of_device = self.assignments.of_device(device).into_iter();
        let known = of_device.map(|(channel, all)| {
            let known = all.iter().filter(|assignment| begins_before(assignment.from, until));
            let as_known = |assignment: &Assignment| match assignment.to {
                Some(to) if to < until => assignment.clone(),
                _ => without_end(assignment),
            };
            (channel, known.map(as_known).collect::<Vec<_>>())
        });
        known.filter(|(_, all)| !all.is_empty()).collect()
    }
}

impl AddAssign for SetHash {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl SetHash {
    pub(super) fn is_empty(self) -> bool {
        self.count == 0
    }

    pub(super) fn text(self) -> String {
        format!("{} {:032x}", self.count, self.sum)
    }
}

fn begins_before(from: Option<At>, until: At) -> bool {
    from.is_none_or(|from| from < until)
}

fn without_end(assignment: &Assignment) -> Assignment {
    Assignment { to: None, last_index: None, ..assignment.clone() }
}

fn digest(assignment: &Assignment) -> u128 {
    let text = serde_json::to_vec(assignment).unwrap_or_default();
    Sha256::digest(text).iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}
