//! The days whose points an item has a part in.

use std::collections::BTreeSet;

use super::numbered::{EARLIER, LONGEST_SERIES};
use crate::at::At;
use crate::profile;
use crate::pulse::PulseItem;
use crate::uplink::{SortKey, SortKeyError};

const DAY: i64 = 86_400;

/// Seconds between two uplinks that have a part in the points of one series: one is at most so far from an uplink that
/// continues the series, and so is the other.
const CONTEXT: i64 = 2 * (LONGEST_SERIES + EARLIER);

/// The span of the logs of a series whose profile does not set it: the longest that a codec knows has 24 hourly logs.
const LONGEST_SPAN: i64 = DAY;

/// The UTC days, in days since 1970, whose points may change if this item is left out of a merge. All its own points are
/// of these days. For merging the points of a day, the items that name the day are enough.
///
/// A device that sends its logs as a series in several uplinks has more of these days than points: its uplinks near each
/// other decide together what is a point.
///
/// # Errors
/// [`SortKeyError`] if the item has an invalid sort key.
pub fn days(item: &PulseItem) -> Result<BTreeSet<i64>, SortKeyError> {
    let counts = || item.channels.values();
    let dated = counts().flat_map(|counts| counts.dated().chain(counts.counted_dated()));
    let mut days: BTreeSet<i64> = dated.filter_map(|(_, at)| Some(day(at?.unix()))).collect();

    let profile = profile::find(item.device.network(), item.profile.as_str());
    let settings = profile.map(|profile| &profile.settings);
    let logs = settings.and_then(|settings| settings.logs_per_series);
    if logs.is_some() || counts().any(|counts| counts.begins_series || !counts.increments.is_empty()) {
        let period = settings.and_then(|settings| settings.log_period);
        let span = logs.zip(period).map_or(LONGEST_SPAN, |(logs, period)| i64::from(logs) * i64::from(period));
        let at = item.uplink.parse::<SortKey>()?.at.unix();
        days.extend(day((at - span - CONTEXT).max(At::EPOCH.unix()))..=day(at + CONTEXT));
    }
    Ok(days)
}

fn day(seconds: i64) -> i64 {
    seconds.div_euclid(DAY)
}
