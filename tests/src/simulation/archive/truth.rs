//! Checks rows of days against what meters have counted and what was lost on purpose. It knows no rules: only what arrived
//! of what happened.

use std::collections::BTreeMap;

use pulsegate_model::assignment::Assignment;
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::day::{DAYS_BEHIND, DayRow};
use pulsegate_model::device::Network;
use pulsegate_model::uplink::Kind;

use super::meters::{Count, Meter, Sent, Swap};
use super::reference::seconds;

/// Thousandths of a pulse in a pulse.
const PULSE: u64 = 1_000;

/// A silence after which the numbers of Sigfox prove nothing, in seconds.
const ROUND: i64 = 29 * 86_400;

/// Sums of a channel's rows that are known beforehand.
#[derive(Debug, PartialEq, Eq, Default)]
struct Sums {
    volume: i128,
    breaks: u32,
    uplinks: u32,
    undecodable: u32,
    lost: u32,
    restarts: u32,
}

/// Returns the errors in the rows of a device, of which all days with readings and thirty-five more are over.
pub fn wrong(meter: &Meter, rows: &[DayRow]) -> Vec<String> {
    let mut by_channel: BTreeMap<&Channel, Vec<&DayRow>> = BTreeMap::new();
    for row in rows {
        by_channel.entry(&row.channel).or_default().push(row);
    }
    for rows in by_channel.values_mut() {
        rows.sort_by_key(|row| row.day);
    }
    let first = rows.iter().map(|row| row.day).min().unwrap_or_default();
    let begin = seconds(first.first_of_month()) - DAYS_BEHIND * 86_400;
    let of_channel = |(channel, rows): (&Channel, Vec<&DayRow>)| {
        let device = meter.device;
        let (found, expected) = (found(&rows), expected(meter, channel, begin, &rows));
        (found != expected).then(|| format!("{device} {channel}: the days have {found:?}, and true is {expected:?}"))
    };
    let mut wrong: Vec<String> = arrived(meter)
        .flat_map(|sent| &sent.logs)
        .filter(|log| !rows.iter().any(|row| row.channel == log.channel && (row.start..row.end).contains(&log.at)))
        .map(|log| format!("{} {}: the day of {} has no row", meter.device, log.channel, log.at))
        .collect();
    wrong.extend(by_channel.into_iter().filter_map(of_channel));
    wrong
}

fn found(rows: &[&DayRow]) -> Sums {
    let mut sums = Sums::default();
    for ledger in rows.iter().map(|row| row.ledger) {
        sums.volume += i128::from(ledger.volume());
        sums.breaks += ledger.breaks;
        sums.uplinks += ledger.uplinks;
        sums.undecodable += ledger.undecodable;
        sums.lost += ledger.uplinks_lost;
        sums.restarts += ledger.restarts;
    }
    sums
}

fn arrived(meter: &Meter) -> impl Iterator<Item = &Sent> {
    meter.sent.iter().filter(|sent| !sent.arrives.is_empty())
}

/// The truth about a channel that has these rows. Uplinks before its first reading have none.
fn expected(meter: &Meter, channel: &Channel, begin: i64, rows: &[&DayRow]) -> Sums {
    let mut sums = Sums::default();
    let has_row = |sent: &Sent| rows.iter().any(|row| (row.start..row.end).contains(&sent.at));
    let reported = arrived(meter).filter(|sent| has_row(sent));
    for sent in reported.filter(|sent| sent.arrives.iter().any(|(_, uplink)| uplink.kind != Kind::Event)) {
        sums.uplinks += 1;
        sums.undecodable += u32::from(sent.logs.is_empty());
    }
    numbers(meter, begin, has_row, &mut sums);
    let logs = arrived(meter).flat_map(|sent| &sent.logs).filter(|log| log.channel == *channel);
    volume(meter, channel, &logs.map(|log| (log.at, log.count)).collect(), &mut sums);
    sums
}

/// Losses between two that arrived, which can be proved. Long before the first count nothing is known.
fn numbers(meter: &Meter, begin: i64, has_row: impl Fn(&Sent) -> bool, sums: &mut Sums) {
    let (mut before, mut lost): (Option<&Sent>, u32) = (None, 0);
    for sent in meter.sent.iter().filter(|sent| sent.at.unix() >= begin) {
        if sent.arrives.is_empty() {
            lost += 1;
            continue;
        }
        if let Some(before) = before.filter(|_| has_row(sent)) {
            let is_silence = sent.at.unix() - before.at.unix() >= ROUND && meter.device.network() == Network::Sigfox;
            if is_silence || before.life != sent.life {
                sums.restarts += 1;
            } else {
                sums.lost += lost;
            }
        }
        (before, lost) = (Some(sent), 0);
    }
}

/// The volume of the channel: that of each meter, from the first count that is known to the last.
fn volume(meter: &Meter, channel: &Channel, logs: &BTreeMap<At, Count>, sums: &mut Sums) {
    let of_channel = meter.assignments().iter().filter(|assignment| assignment.channel == *channel);
    let assignments: Vec<&Assignment> = of_channel.collect();
    let per_pulse = |nth: usize| assignments.get(nth).map_or(PULSE, |of| of.litres_per_pulse.thousandths());
    let swap = meter.swap.filter(|_| *channel == Channel::A);
    let Some(Swap { at, counts: [last, first], is_told }) = swap else {
        add(logs, per_pulse(0), sums);
        return;
    };
    let mut old: BTreeMap<At, Count> = logs.range(..at).map(|(at, count)| (*at, *count)).collect();
    let mut new: BTreeMap<At, Count> = logs.range(at..).map(|(at, count)| (*at, *count)).collect();
    if is_told {
        old.insert(at, last);
        new.insert(at, first);
    } else {
        // Pulses between the last index of the one and the first of the other are unknown.
        sums.breaks += u32::from(!old.is_empty() && !new.is_empty());
    }
    add(&old, per_pulse(0), sums);
    add(&new, per_pulse(1), sums);
}

/// Adds the volume that one meter has counted. What it had counted before it started again, since the log before, is lost.
fn add(logs: &BTreeMap<At, Count>, per_pulse: u64, sums: &mut Sums) {
    for (before, after) in logs.values().zip(logs.values().skip(1)) {
        let is_broken = before.life != after.life;
        let pulses = if is_broken { after.total } else { after.total - before.total };
        sums.breaks += u32::from(is_broken);
        sums.volume += i128::from(pulses) * i128::from(per_pulse);
    }
}
