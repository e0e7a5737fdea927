//! Uplinks that never arrived, by the numbers of those that did.

use crate::at::At;
use crate::device::Network;

/// Sigfox counts uplinks modulo 4,096 (<https://support.sigfox.com/docs/callbacks-documentation>, `seqNumber`).
const SIGFOX: i64 = 4_096;

/// The most uplinks of a Sigfox device a day: 140, by the law that gives them 1 % of the time
/// (<https://support.sigfox.com/docs/radio-configuration>). So 4,096 last 29 days.
const SIGFOX_A_DAY: i64 = 140;

/// From then on, numbers tell nothing, in seconds.
const SIGFOX_ROUND: i64 = 29 * DAY;

/// The most uplinks of an NB-IoT device that are taken for lost: one a minute. A larger step is a counter that was set anew,
/// or no counter: a format without one has a checksum in its place.
const NBIOT_PERIOD: i64 = 60;

/// An uplink may be dated before an earlier one, if it is at most so many numbers away: clocks are set.
const REORDERED: i64 = 8;

/// A counter that restarts begins below this number; a checksum seldom does.
const FRESH: u32 = 1_000;

const DAY: i64 = 86_400;

/// Gaps and restarts that the numbers of a device's uplinks prove.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbering {
    /// Gaps, in order of time.
    pub gaps: Vec<Gap>,
    /// The first uplink after each restart of the counter, or after a silence in which it may have gone round.
    pub restarts: Vec<At>,
}

/// Uplinks that were sent between two others and never arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The time of the uplink that proves it: the first after the gap.
    pub at: At,
    /// The time of the last uplink before the gap.
    pub after: At,
    /// The number of lost uplinks.
    pub lost: u32,
}

/// The gaps between numbered uplinks, in any order and repeated at will. A report about an uplink has the uplink's number.
pub fn numbering(network: Network, numbers: &[(At, u32)]) -> Numbering {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let mut numbering = Numbering::default();
    // Uplinks since the last restart, each with a number that does not wrap.
    let mut run: Vec<(i64, At)> = Vec::new();
    let mut highest: Option<(i64, At, u32)> = None;
    for (at, number) in numbers {
        let unwrapped = highest.and_then(|(unwrapped, then, before)| {
            advance(network, before, number, at.unix() - then.unix()).map(|advance| unwrapped + advance)
        });
        let unwrapped = unwrapped.unwrap_or_else(|| {
            close(&mut run, &mut numbering.gaps);
            if highest.is_some() && (network == Network::Sigfox || number < FRESH) {
                numbering.restarts.push(at);
            }
            highest = None;
            0
        });
        run.push((unwrapped, at));
        if highest.is_none_or(|(highest, ..)| unwrapped > highest) {
            highest = Some((unwrapped, at, number));
        }
    }
    close(&mut run, &mut numbering.gaps);
    numbering.gaps.sort_unstable();
    numbering
}

/// The distance of a number from the highest before it, so many seconds later. `None`: it is unknown.
fn advance(network: Network, before: u32, number: u32, seconds: i64) -> Option<i64> {
    let (forward, backward, most) = match network {
        Network::Sigfox => {
            let forward = (i64::from(number) - i64::from(before)).rem_euclid(SIGFOX);
            (forward, SIGFOX - forward, SIGFOX_A_DAY * (seconds / DAY + 1))
        }
        Network::Nbiot => {
            let (forward, backward) = (number.wrapping_sub(before), before.wrapping_sub(number));
            (forward.into(), backward.into(), seconds / NBIOT_PERIOD + REORDERED)
        }
    };
    match () {
        () if network == Network::Sigfox && seconds >= SIGFOX_ROUND => None,
        () if forward == 0 => Some(0),
        () if backward <= REORDERED => Some(-backward),
        () if forward <= most => Some(forward),
        () => None,
    }
}

/// Adds the gaps of a run.
fn close(run: &mut Vec<(i64, At)>, gaps: &mut Vec<Gap>) {
    run.sort_unstable();
    run.dedup_by_key(|(number, _)| *number);
    for pair in run.windows(2) {
        let [(before, after), (number, at)] = [pair[0], pair[1]];
        if let Ok(lost @ 1..) = u32::try_from(number - before - 1) {
            gaps.push(Gap { at: at.max(after), after: after.min(at), lost });
        }
    }
    run.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(numbers: &[(i64, u32)]) -> Vec<(At, u32)> {
        numbers.iter().map(|(hour, number)| (At::from_unix(1_790_000_000 + hour * 3_600).unwrap(), *number)).collect()
    }

    /// Lost uplinks by the hour that proves it, and restarts.
    fn found(network: Network, numbers: &[(i64, u32)]) -> (Vec<(i64, u32)>, usize) {
        let found = numbering(network, &hours(numbers));
        let hour = |at: At| (at.unix() - 1_790_000_000) / 3_600;
        (found.gaps.iter().map(|gap| (hour(gap.at), gap.lost)).collect(), found.restarts.len())
    }

    #[test]
    fn lost_sigfox_uplinks_are_counted_modulo_4096() {
        assert_eq!(found(Network::Sigfox, &[(0, 4_094), (1, 4_095), (3, 1)]), (vec![(3, 1)], 0));
        assert_eq!(found(Network::Sigfox, &[(0, 10), (24, 35)]), (vec![(24, 24)], 0));
    }

    #[test]
    fn an_event_with_a_number_of_its_own_is_no_loss_and_one_about_an_uplink_changes_nothing() {
        assert_eq!(found(Network::Sigfox, &[(0, 1), (1, 2), (1, 2), (2, 3)]), (vec![], 0));
        assert_eq!(found(Network::Sigfox, &[(0, 1), (2, 3)]), (vec![(2, 1)], 0));
    }

    #[test]
    fn more_than_a_device_may_send_is_a_restart_and_so_is_a_silence_of_a_round() {
        assert_eq!(found(Network::Sigfox, &[(0, 3_000), (1, 0), (2, 1)]), (vec![], 1));
        assert_eq!(found(Network::Sigfox, &[(0, 3_000), (29 * 24, 3_010)]), (vec![], 1));
        assert_eq!(found(Network::Nbiot, &[(0, 3_000), (1, 0), (2, 1)]), (vec![], 1));
    }

    #[test]
    fn uplinks_that_arrive_in_another_order_are_not_lost() {
        assert_eq!(found(Network::Nbiot, &[(0, 5), (1, 7), (2, 6), (3, 8)]), (vec![], 0));
        assert_eq!(found(Network::Nbiot, &[(0, 5), (1, 8), (2, 6), (3, 9)]), (vec![(2, 1)], 0));
    }

    #[test]
    fn a_checksum_in_place_of_a_counter_proves_nothing() {
        let checksums = [(0, 0x8F3A_0011), (1, 0x0233_9A00), (2, 0xFF00_1122), (3, 0x5555_0000)];
        assert_eq!(found(Network::Nbiot, &checksums), (vec![], 0));
    }
}
