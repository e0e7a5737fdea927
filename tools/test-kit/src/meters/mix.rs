//! Which meter is on which network, and of which profile: evenly mixed over the numbers, in counts that are right to the meter.

use pulsegate_model::device::Network;

use super::kinds::{self, Kind};
use crate::spec::Spec;

/// The number of meters of each kind, spread evenly over the fleet.
#[derive(Debug)]
pub(super) struct Mix {
    devices: u64,
    sigfox: u64,
    kinds: [Vec<(&'static Kind, u64)>; 2],
}

impl Mix {
    /// The mix of a checked spec.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share from 0 to 1")]
    pub(super) fn new(spec: &Spec) -> Self {
        let sigfox = (f64::from(spec.devices) * spec.sigfox_share).round() as u64;
        let devices = u64::from(spec.devices);
        let of = |network, count| counts(&weighed(spec, network), count);
        Self { devices, sigfox, kinds: [of(Network::Sigfox, sigfox), of(Network::Nbiot, devices - sigfox)] }
    }

    /// The number of meters of a network.
    pub(super) fn on(&self, network: Network) -> u64 {
        match network {
            Network::Sigfox => self.sigfox,
            Network::Nbiot => self.devices - self.sigfox,
        }
    }

    /// The kind of a meter.
    pub(super) fn kind(&self, number: u32) -> &'static Kind {
        let (is_sigfox, mut place) = split(number.into(), self.sigfox, self.devices);
        let [sigfox, nbiot] = &self.kinds;
        let kinds = if is_sigfox { sigfox } else { nbiot };
        let mut left = self.on(if is_sigfox { Network::Sigfox } else { Network::Nbiot });
        for &(kind, count) in kinds {
            let (is_it, next) = split(place, count, left);
            if is_it {
                return kind;
            }
            (place, left) = (next, left - count);
        }
        // The counts add up to the network's, so only a number beyond the fleet gets here.
        kinds.last().map_or(&kinds::KINDS[0], |(kind, _)| kind)
    }
}

/// True if the place is one of the `count` that are spread evenly over `all`, and its position among those or among the others.
fn split(place: u64, count: u64, all: u64) -> (bool, u64) {
    let before = |place: u64| place * count / all.max(1);
    let chosen = before(place);
    if before(place + 1) > chosen { (true, chosen) } else { (false, place - chosen) }
}

/// The kinds of a network with their weights.
pub(super) fn weighed(spec: &Spec, network: Network) -> Vec<(&'static Kind, u32)> {
    let kinds = spec.mix.iter().filter_map(|of| Some((kinds::find(&of.profile)?, of.weight)));
    kinds.filter(|(kind, weight)| kind.network() == network && *weight > 0).collect()
}

/// The counts of each kind, `all` together: the shares of the weights, rounded down, and one more for those with the largest
/// remainders.
fn counts(weights: &[(&'static Kind, u32)], all: u64) -> Vec<(&'static Kind, u64)> {
    let sum: u64 = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let part = |weight: u32| all * u64::from(weight);
    let mut counts: Vec<_> = weights.iter().map(|&(kind, weight)| (kind, part(weight) / sum.max(1))).collect();
    let mut lost: Vec<usize> = (0..weights.len()).collect();
    lost.sort_by_key(|&nth| std::cmp::Reverse(part(weights[nth].1) % sum.max(1)));
    let missing = all - counts.iter().map(|(_, count)| count).sum::<u64>();
    for (nth, _) in lost.into_iter().zip(0..missing) {
        counts[nth].1 += 1;
    }
    counts
}
