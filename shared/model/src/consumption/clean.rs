//! Leaves out readings that contradict their neighbours, and notes where.

use super::rules::Rules;
use super::step::{Point, way};
use super::{Mark, Reading};

/// The points of a section that count.
#[derive(Debug, Default)]
pub(super) struct Cleaned {
    /// Sorted by time, one of each time.
    pub(super) points: Vec<Point>,
    /// Readings left out, by time.
    pub(super) notes: Vec<(i64, Mark)>,
}

/// The number of readings before a time, each the only one of its time, that decide about the readings after it: whether
/// one is left out depends on two neighbours on each side, and the last that is not may be two readings back.
const DECISIVE: usize = 5;

/// The most readings that are carried. More than a few occur only where readings of many times contradict each other.
const MAX_CARRIED: usize = 500;

/// Of readings, sorted and distinct, those at the end that decide about later ones.
pub(crate) fn decisive(readings: &[Reading]) -> &[Reading] {
    let mut alone = 0;
    let mut start = readings.len();
    for together in readings.chunk_by(|one, other| one.at == other.at).rev() {
        if alone == DECISIVE || readings.len() - start >= MAX_CARRIED {
            break;
        }
        alone += usize::from(together.len() == 1);
        start -= together.len();
    }
    &readings[start..]
}

/// Cleans the readings of a section, which are sorted and distinct, with the indexes that its assignment states.
pub(super) fn clean(readings: &[Reading], stated: [Option<Point>; 2], rules: &Rules) -> Cleaned {
    let mut cleaned = Cleaned::default();
    let points = resolve(readings, stated, rules, &mut cleaned.notes);
    let is_outlier = outliers(&points, rules);
    for (point, is_outlier) in points.into_iter().zip(is_outlier) {
        if is_outlier {
            cleaned.notes.push((point.at, Mark::Outlier));
        } else {
            cleaned.points.push(point);
        }
    }
    cleaned.notes.sort_unstable();
    cleaned
}

/// One point of each time. Of several readings of one time, the only one that fits the readings before and after; none if
/// several fit.
fn resolve(
    readings: &[Reading],
    [first, last]: [Option<Point>; 2],
    rules: &Rules,
    notes: &mut Vec<(i64, Mark)>,
) -> Vec<Point> {
    let is_stated = |at: i64| [first, last].into_iter().flatten().any(|point| point.at == at);
    let is_contradicted = readings.windows(2).any(|pair| pair[0].at == pair[1].at);
    let mut points: Vec<Point> = Vec::with_capacity(readings.len() + 2);
    points.extend(first);
    if is_contradicted {
        let groups: Vec<&[Reading]> = readings.chunk_by(|one, other| one.at == other.at).collect();
        for (nth, &group) in groups.iter().enumerate() {
            let before = nth.checked_sub(1).and_then(|before| groups.get(before));
            points.extend(keep(group, before.copied(), groups.get(nth + 1).copied(), rules));
            if group.len() > 1 {
                notes.push((group[0].at.unix(), Mark::Contradicted));
            }
        }
    } else {
        points.extend(readings.iter().map(Point::from));
    }
    points.extend(last);
    points.retain(|point| point.is_stated || !is_stated(point.at));
    points
}

/// The reading of a time that counts.
fn keep(group: &[Reading], before: Option<&[Reading]>, after: Option<&[Reading]>, rules: &Rules) -> Option<Point> {
    if let [only] = group {
        return Some(only.into());
    }
    if before.is_none() && after.is_none() {
        return None;
    }
    let fits = |from: &Reading, to: &Reading| !way(&from.into(), &to.into(), rules).kind.is_break();
    let fits_both = |reading: &&Reading| {
        before.is_none_or(|before| before.iter().any(|from| fits(from, reading)))
            && after.is_none_or(|after| after.iter().any(|to| fits(reading, to)))
    };
    let mut fitting = group.iter().filter(fits_both);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Some(only.into()),
        _ => None,
    }
}

/// Tells for each point whether it is an outlier: its neighbours fit each other, but not it. Of two candidates beside each
/// other it is unknown which one is wrong, so neither is left out.
fn outliers(points: &[Point], rules: &Rules) -> Vec<bool> {
    let is_candidate = |nth: usize| {
        let [before, point, after] = &points[nth - 1..=nth + 1] else { return false };
        if point.is_stated {
            return false;
        }
        let (there, back) = (way(before, point, rules), way(point, after, rules));
        // A fall to zero and back is two breaks unless the index is so low that it can be counted in one step.
        let deviates = there.kind.is_break() && back.kind.is_break() || there.is_gross_fall || back.is_gross_fall;
        deviates && !way(before, after, rules).kind.is_break()
    };
    let is_inside = |nth: usize| nth > 0 && nth + 1 < points.len();
    let candidates: Vec<bool> = (0..points.len()).map(|nth| is_inside(nth) && is_candidate(nth)).collect();
    let is_beside = |nth: usize| nth > 0 && candidates[nth - 1] || candidates.get(nth + 1) == Some(&true);
    (0..points.len()).map(|nth| candidates[nth] && !is_beside(nth)).collect()
}

impl From<&Reading> for Point {
    fn from(reading: &Reading) -> Self {
        let Reading { at, index, counter_bits: bits } = *reading;
        Self { at: at.unix(), index, bits, is_stated: false }
    }
}
