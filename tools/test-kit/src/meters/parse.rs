//! Parses a mix of profiles from a command line.

use super::check::{MOST_WEIGHT, unknown, wrong};
use super::kinds::{self, KINDS};
use crate::spec::{InvalidSpec, Spec, Weighted};

impl Spec {
    /// The default mix.
    pub fn default_mix() -> Vec<Weighted> {
        let common = KINDS.iter().filter(|kind| kind.weight > 0);
        common.map(|kind| Weighted { profile: kind.profile.to_owned(), weight: kind.weight }).collect()
    }

    /// Parses a mix: `adeunis-pulse-v4-1h=6,adeunis-pulse-v2-10min=1`. A profile without a weight has 1.
    ///
    /// # Errors
    /// [`InvalidSpec`], naming the wrong part; for an unknown profile also the known ones.
    pub fn parse_mix(text: &str) -> Result<Vec<Weighted>, InvalidSpec> {
        text.split(',').map(|part| weighted(part.trim())).collect()
    }
}

fn weighted(part: &str) -> Result<Weighted, InvalidSpec> {
    let (profile, weight) = part.split_once('=').unwrap_or((part, "1"));
    let profile = profile.trim();
    if kinds::find(profile).is_none() {
        return Err(unknown(profile));
    }
    match weight.trim().parse() {
        Ok(weight @ 1..=MOST_WEIGHT) => Ok(Weighted { profile: profile.to_owned(), weight }),
        _ => Err(wrong(format!(
            "{weight:?} is not the weight of a profile: a whole number from 1 to {MOST_WEIGHT}, as in {profile}=3"
        ))),
    }
}
