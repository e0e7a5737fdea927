//! Checks the limits of a spec. An error names the wrong value and the valid range.

use pulsegate_model::at::At;
use pulsegate_model::device::Network;

use super::identity::MOST;
use super::kinds;
use super::mix::{Mix, weighed};
use crate::spec::{InvalidSpec, Spec};

/// Three years. The ranges of counters and clocks are chosen for this.
const MOST_HOURS: f64 = 26_280.0;

/// The largest weight with exact arithmetic.
pub(super) const MOST_WEIGHT: u32 = 1_000_000;

/// Ten minutes a day. With more drift a clock could show an hour twice.
const MOST_DRIFT: f64 = 600.0;

/// From an hour in more than a month to an hour in four milliseconds.
const SPEEDS: (f64, f64) = (0.001, 1e6);

/// 2020-01-02: a clock before 2020-01-01 counts as not set. 2038-01-01: some meters have times of 31 bits.
const FIRST_START: i64 = 1_577_923_200;
const LAST_END: i64 = 2_145_916_800;

/// 2023-01-01: from then on a clock of 2021 is more than 400 days behind, for as long as a meter has been running here.
const FIRST_START_OF_WRONG_CLOCKS: i64 = 1_672_531_200;

/// Checks a spec.
pub(super) fn check(spec: &Spec) -> Result<(), InvalidSpec> {
    if !(1..=MOST).contains(&spec.devices) {
        return Err(wrong(format!("a fleet has 1 to {MOST} devices, not {}", spec.devices)));
    }
    let shares = [
        ("Sigfox share", spec.sigfox_share),
        ("rollover share", spec.rollover_share),
        ("reset share", spec.reset_share),
        ("share of meters that lose power", spec.faults.power_loss),
        ("share of swapped meters", spec.faults.swap),
        ("share of meters swapped untold", spec.faults.untold_swap),
        ("share of lost uplinks", spec.faults.lost),
        ("share of meters with a wrong index", spec.faults.garbled),
        ("share of meters with status messages", spec.faults.status),
        ("share of meters with assignments", spec.faults.assigned),
        ("share of wrong clocks", spec.wrong_clocks),
        ("share of odd settings", spec.odd_settings),
    ];
    for (name, share) in shares {
        within(&format!("the {name}"), share, 0.0, 1.0)?;
    }
    if spec.rollover_share + spec.reset_share > 1.0 {
        return Err(wrong(
            "the rollover and the reset share are more than 1 together: a meter can have but one of both",
        ));
    }
    let of_register = [spec.rollover_share, spec.reset_share, spec.faults.power_loss, spec.faults.swap];
    if of_register.iter().sum::<f64>() + spec.faults.untold_swap > 1.0 {
        return Err(wrong(
            "the shares of rollover, reset, power loss and swaps are more than 1 together: a meter has at most one of them",
        ));
    }
    positive("hours", spec.hours, MOST_HOURS)?;
    within("the speed-up", spec.speed_up, SPEEDS.0, SPEEDS.1)?;
    within("the clock drift, in seconds a day,", spec.clock_drift, 0.0, MOST_DRIFT)?;
    check_time(spec)?;
    check_mix(spec)
}

#[expect(clippy::cast_possible_truncation, reason = "hours have been checked")]
fn check_time(spec: &Spec) -> Result<(), InvalidSpec> {
    let end = spec.start.unix().saturating_add((spec.hours * 3_600.0) as i64);
    let first_start = if spec.wrong_clocks > 0.0 { FIRST_START_OF_WRONG_CLOCKS } else { FIRST_START };
    if spec.start.unix() >= first_start && end < LAST_END {
        return Ok(());
    }
    let time = |unix| At::from_unix(unix).unwrap_or(At::EPOCH);
    let (first, last) = (time(first_start), time(LAST_END));
    Err(wrong(format!("a fleet lives between {first} and {last}, and this one would begin at {}", spec.start)))
}

fn check_mix(spec: &Spec) -> Result<(), InvalidSpec> {
    for (nth, of) in spec.mix.iter().enumerate() {
        if kinds::find(&of.profile).is_none() {
            return Err(unknown(&of.profile));
        }
        if of.weight > MOST_WEIGHT {
            return Err(wrong(format!("the weight of {} is {}, and {MOST_WEIGHT} is the most", of.profile, of.weight)));
        }
        if spec.mix[..nth].iter().any(|other| other.profile == of.profile) {
            return Err(wrong(format!(
                "the profile {:?} is in the mix twice: give it the sum of both weights",
                of.profile
            )));
        }
    }
    let mix = Mix::new(spec);
    for (network, name) in [(Network::Sigfox, "Sigfox"), (Network::Nbiot, "NB-IoT")] {
        let count = mix.on(network);
        if count > 0 && weighed(spec, network).is_empty() {
            return Err(wrong(format!(
                "{count} meters are to be on {name}, and the mix has no profile of that network: add one, or change the \
                 Sigfox share (profiles: {})",
                kinds::names()
            )));
        }
    }
    Ok(())
}

/// The error for a profile that no meter here can send.
pub(super) fn unknown(profile: &str) -> InvalidSpec {
    wrong(format!("no meter is known of the profile {profile:?} (profiles: {})", kinds::names()))
}

// NaN is in no range.
fn within(what: &str, value: f64, least: f64, most: f64) -> Result<(), InvalidSpec> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(wrong(format!("{what} must be from {least} to {most}, not {value}")))
    }
}

fn positive(what: &str, value: f64, most: f64) -> Result<(), InvalidSpec> {
    if value > 0.0 && value <= most {
        Ok(())
    } else {
        Err(wrong(format!("{what} must be more than 0 and at most {most}, not {value}")))
    }
}

pub(super) fn wrong(what: impl Into<String>) -> InvalidSpec {
    InvalidSpec(what.into())
}
