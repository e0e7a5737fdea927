//! Series as an Adeunis PULSE of generation V2 sends them: the index of the first log, then two increments in each
//! frame but the last, which has one.

use super::*;
use crate::pulse;

fn begins(time_and_sequence: &str, index: u64, at: Option<&str>, log_period: Option<u32>) -> PulseItem {
    let mut counts = json!({"indexes": [index], "begins_series": true});
    if let Some(at) = at {
        counts["at"] = json!(format!("2026-11-20T{at}"));
        counts["time_source"] = json!("computed");
    }
    if let Some(log_period) = log_period {
        counts["log_period"] = json!(log_period);
    }
    report(time_and_sequence, &counts)
}

fn continues(time_and_sequence: &str, series: u32, after_log: u16, increments: &[u32]) -> PulseItem {
    let counts = json!({"increments": increments, "after_log": after_log, "log_period": 600, "series": series});
    report(time_and_sequence, &counts)
}

/// Six logs, ten minutes apart, the last at 12:00.
fn series() -> [PulseItem; 4] {
    [
        begins("12:00:00Z#00042", 100, Some("11:10:00Z"), Some(600)),
        continues("12:00:10Z#00043", 42, 1, &[1, 2]),
        continues("12:00:20Z#00044", 42, 3, &[3, 4]),
        continues("12:00:30Z#00045", 42, 5, &[5]),
    ]
}

fn indexes(points: &Points) -> Vec<u64> {
    points.points.iter().map(|point| point.index).collect()
}

#[test]
fn a_whole_series_is_dated_log_by_log() {
    let points = of_a(series());
    let times = ["11:10", "11:20", "11:30", "11:40", "11:50", "12:00"].map(|time| format!("{time}:00Z"));
    let expected = times.into_iter().zip([100, 101, 103, 106, 110, 115]);
    assert_eq!(dated(&points), expected.map(|(at, index)| (at, index, TimeSource::Computed)).collect::<Vec<_>>());
    assert_eq!((points.undated, points.unanchored), (vec![], vec![]));
}

#[test]
fn after_a_frame_that_is_missing_nothing_is_certain() {
    let [first, _, third, last] = series();
    let points = of_a([last, third, first]);
    assert_eq!(indexes(&points), [100]);
    let expected = [
        alone("12:00:20Z#00044", 3, &[3, 4], UnanchoredReason::FrameMissing),
        alone("12:00:30Z#00045", 5, &[5], UnanchoredReason::FrameMissing),
    ];
    assert_eq!(points.unanchored, expected);
}

#[test]
fn without_the_first_frame_every_increment_stands_alone() {
    let [_, rest @ ..] = series();
    let points = of_a(rest);
    assert_eq!(points.points, []);
    assert_eq!(points.unanchored.len(), 3);
    assert!(points.unanchored.iter().all(|left| left.why == UnanchoredReason::AnchorMissing));
}

#[test]
fn without_a_counter_of_messages_no_series_is_known() {
    let counts = json!({"increments": [1, 2], "after_log": 1, "log_period": 600});
    let points = of_a([begins("12:00:00Z#-", 100, Some("11:10:00Z"), Some(600)), report("12:00:10Z#-", &counts)]);
    assert_eq!(indexes(&points), [100]);
    assert_eq!(points.unanchored, [alone("12:00:10Z#-", 1, &[1, 2], UnanchoredReason::AnchorMissing)]);
}

#[test]
fn a_series_of_unknown_length_keeps_its_order_and_gets_no_time() {
    let [_, rest @ ..] = series();
    let first = begins("12:00:00Z#00042", 100, None, Some(600));
    let points = of_a(rest.into_iter().chain([first]));
    assert_eq!(points.points, []);
    assert_eq!(points.undated, [undated("12:00:00Z#00042", &[115, 110, 106, 103, 101, 100])]);
    assert_eq!(points.unanchored, []);
}

#[test]
fn the_same_part_told_differently_is_taken_from_neither() {
    let [first, second, third, last] = series();
    let other = continues("12:00:20Z#00046", 42, 3, &[3, 5]);
    let points = of_a([first, second, third, last, other]);
    assert_eq!(indexes(&points), [100, 101, 103]);
    assert_eq!(points.unanchored.len(), 3);
    assert!(points.unanchored.iter().all(|left| left.why == UnanchoredReason::Contradicting));
}

#[test]
fn the_same_part_told_twice_counts_once() {
    let again = continues("12:00:21Z#00044", 42, 3, &[3, 4]);
    let points = of_a(series().into_iter().chain([again]));
    assert_eq!(indexes(&points), [100, 101, 103, 106, 110, 115]);
    assert_eq!(points.unanchored, []);
}

#[test]
fn parts_that_overlap_or_are_of_other_settings_contradict() {
    let [first, second, third, _] = series();
    let overlapping = continues("12:00:20Z#00044", 42, 2, &[2, 3]);
    let points = of_a([first.clone(), second, overlapping]);
    assert_eq!(points.unanchored, [alone("12:00:20Z#00044", 2, &[2, 3], UnanchoredReason::Contradicting)]);
    for first in
        [PulseItem { counter_bits: None, ..first }, begins("12:00:00Z#00042", 100, Some("11:10:00Z"), Some(60))]
    {
        let points = of_a([first, third.clone()]);
        assert_eq!(points.unanchored, [alone("12:00:20Z#00044", 3, &[3, 4], UnanchoredReason::Contradicting)]);
    }
}

#[test]
fn increments_that_fit_two_series_are_added_to_neither() {
    let other = begins("11:50:00Z#00042", 200, Some("11:00:00Z"), Some(600));
    let points = of_a(series().into_iter().chain([other]));
    assert_eq!(indexes(&points), [200, 100]);
    assert!(points.unanchored.iter().all(|left| left.why == UnanchoredReason::Contradicting));
}

#[test]
fn a_series_of_the_same_number_that_was_begun_too_early_or_too_late_is_another_one() {
    let [first, second, ..] = series();
    for (day, anchored) in [
        ("2026-11-20T10:00:10Z", true),
        ("2026-11-20T10:00:09Z", false),
        ("2026-11-20T12:01:10Z", true),
        ("2026-11-20T12:01:11Z", false),
        ("2026-10-22T12:00:00Z", false),
    ] {
        let first = PulseItem { uplink: format!("{day}#00042"), ..first.clone() };
        assert_eq!(of_a([first, second.clone()]).unanchored.is_empty(), anchored, "{day}");
    }
}

#[test]
fn a_counter_that_wraps_within_a_series_is_followed() {
    let first = begins("12:00:00Z#00042", u64::from(u32::MAX), Some("11:10:00Z"), Some(600));
    assert_eq!(indexes(&of_a([first, continues("12:00:10Z#00043", 42, 1, &[1, 2])])), [u64::from(u32::MAX), 0, 2]);
}

#[test]
fn what_else_was_sent_between_the_frames_is_counted_in_if_it_is_at_hand() {
    let [first, second, ..] = series();
    let alarm = item("2026-11-20T12:00:15Z#00044", &json!({}));
    let rest = [continues("12:00:20Z#00045", 43, 3, &[3, 4]), continues("12:00:30Z#00046", 43, 5, &[5])];
    let [third, last] = rest.clone();
    let whole = of_a([first.clone(), second.clone(), alarm.clone(), third, last]);
    assert_eq!((indexes(&whole), whole.unanchored), (vec![100, 101, 103, 106, 110, 115], vec![]));

    let alone = |items: Vec<PulseItem>| {
        let points = of_a(items.into_iter().chain(rest.clone()));
        (indexes(&points), points.unanchored.into_iter().map(|left| left.why).collect::<Vec<_>>())
    };
    let (certain, missing) = (vec![100, 101, 103], vec![UnanchoredReason::AnchorMissing; 2]);
    assert_eq!(alone(vec![first.clone(), second.clone()]), (certain.clone(), missing.clone()));
    // Two uplinks have this number, so it is unknown which one was sent in between.
    let other = item("2026-11-20T12:00:16Z#00044", &json!({}));
    assert_eq!(alone(vec![first.clone(), second, alarm.clone(), other]), (certain, missing.clone()));
    assert_eq!(alone(vec![first, alarm]), (vec![100], missing));
}

const START: i64 = 1_795_176_000;
/// Seconds between two uplinks of a device that sends several.
const PAUSE: i64 = 45;

/// A device's life: its series one after the other, with other uplinks between their frames.
#[derive(Debug, Clone)]
struct Life {
    first_sequence: u32,
    start: [u32; 2],
    /// 6 logs, ten minutes apart, or 24, an hour apart.
    logs: usize,
    /// The increments of both channels from log to log.
    steps: Vec<[u16; 2]>,
    /// True if a data frame, with both indexes, follows each frame.
    others: Vec<bool>,
    /// True if each series begins after all sequence numbers have been used, so that it has the same first number as
    /// the one before.
    again: Vec<bool>,
    /// True if each uplink arrives.
    arrive: Vec<bool>,
}

/// What the uplinks that arrive prove.
#[derive(Debug, Default, PartialEq)]
struct Certain {
    points: BTreeSet<(At, u64)>,
    unanchored: BTreeMap<String, UnanchoredReason>,
}

fn lives() -> impl Strategy<Value = Life> {
    let near_wrap = || prop_oneof![any::<u32>(), u32::MAX - 1000..=u32::MAX];
    (1..=3_usize, prop::sample::select(vec![6, 24])).prop_flat_map(move |(series, logs)| {
        let frames = series * (logs / 2 + 1);
        let often = prop::bool::weighted(0.85);
        (
            prop_oneof![0..4096_u32, 4080..4096_u32],
            [near_wrap(), near_wrap()],
            prop::collection::vec([any::<u16>(), any::<u16>()], series * logs),
            prop::collection::vec(prop::bool::weighted(0.1), frames),
            prop::collection::vec(prop::bool::weighted(0.3), series),
            prop::collection::vec(often, 2 * frames),
        )
            .prop_map(move |(first_sequence, start, steps, others, again, arrive)| Life {
                first_sequence,
                start,
                logs,
                steps,
                others,
                again,
                arrive,
            })
    })
}

fn at(seconds: i64) -> At {
    At::from_unix(seconds).unwrap()
}

impl Life {
    /// All items that arrive, and what they prove about channels A and B.
    fn live(&self) -> (Vec<PulseItem>, [Certain; 2]) {
        let (mut items, mut certain) = (vec![], [Certain::default(), Certain::default()]);
        let (mut arrive, mut others) = (self.arrive.iter(), self.others.iter());
        let (mut sent, mut start, mut index) = (0, START, self.start);
        for (steps, again) in self.steps.chunks(self.logs).zip(&self.again) {
            if *again {
                // 29 days at 140 uplinks a day.
                sent = u32::div_ceil(sent, 4096) * 4096;
                start += 29 * 86_400;
            }
            let logs: Vec<[u32; 2]> = steps.iter().map(|step| advance(&mut index, *step)).collect();
            let mut now = start;
            let (mut chain, mut others_between) = (Chain::Whole, false);
            for frame in 0..=self.logs / 2 {
                let item = self.send(now, sent, &self.frame(&logs, frame));
                if *arrive.next().unwrap() {
                    self.certain(&mut certain, &item.uplink, &logs, frame, start, chain);
                    items.push(item);
                } else {
                    chain = chain.without(frame, others_between);
                }
                (sent, now) = (sent + 1, now + PAUSE);
                let arrives = *arrive.next().unwrap();
                if !*others.next().unwrap() {
                    continue;
                }
                if arrives {
                    items.push(self.send(now, sent, &format!("4680{:08x}{:08x}", index[0], index[1])));
                    for (certain, index) in certain.iter_mut().zip(index) {
                        certain.points.insert((at(now), index.into()));
                    }
                }
                // Later frames refer to another uplink than the one that begins their series, so they need all uplinks
                // since then.
                if !arrives || chain != Chain::Whole {
                    chain = Chain::NoAnchor;
                }
                others_between = true;
                (sent, now) = (sent + 1, now + PAUSE);
            }
            start += i64::try_from(self.logs).unwrap() * self.period();
        }
        (items, certain)
    }

    fn period(&self) -> i64 {
        if self.logs == 6 { 600 } else { 3600 }
    }

    fn time(&self, start: i64, log: usize) -> At {
        at(start - i64::try_from(self.logs - 1 - log).unwrap() * self.period())
    }

    /// The logs that a frame adds to the series, from 0 on.
    fn logs_of(&self, frame: usize) -> std::ops::Range<usize> {
        if frame == 0 { 0..1 } else { 2 * frame - 1..(2 * frame + 1).min(self.logs) }
    }

    /// A frame of a series, as the device sends it.
    fn frame(&self, logs: &[[u32; 2]], frame: usize) -> String {
        if frame == 0 {
            return format!("488000{:08x}{:08x}", logs[0][0], logs[0][1]);
        }
        let step = |log: usize| [0, 1].map(|channel: usize| logs[log][channel].wrapping_sub(logs[log - 1][channel]));
        let steps: Vec<String> = self.logs_of(frame).flat_map(step).map(|step| format!("{step:04x}")).collect();
        format!("4880{frame:02x}{}", steps.concat())
    }

    /// The item of a frame.
    fn send(&self, now: i64, sent: u32, payload: &str) -> PulseItem {
        let profile = if self.logs == 6 { "adeunis-pulse-v2-10min" } else { "adeunis-pulse-v2-1h" };
        let uplink = json!({
            "device": "sigfox:1A2345", "kind": "data", "at": at(now), "time_source": "network",
            "sequence": (self.first_sequence + sent) % 4096, "profile": profile, "payload": payload,
        });
        pulse::decode(&serde_json::from_value(uplink).unwrap()).unwrap()
    }

    fn certain(
        &self,
        certain: &mut [Certain; 2],
        key: &str,
        logs: &[[u32; 2]],
        frame: usize,
        start: i64,
        chain: Chain,
    ) {
        for (channel, certain) in certain.iter_mut().enumerate() {
            match chain {
                Chain::Whole => {
                    let points = self.logs_of(frame).map(|log| (self.time(start, log), logs[log][channel].into()));
                    certain.points.extend(points);
                }
                Chain::NoAnchor => drop(certain.unanchored.insert(key.to_owned(), UnanchoredReason::AnchorMissing)),
                Chain::Gap => drop(certain.unanchored.insert(key.to_owned(), UnanchoredReason::FrameMissing)),
            }
        }
    }
}

/// The uplinks of a series that have arrived so far.
#[derive(Clone, Copy, PartialEq)]
enum Chain {
    Whole,
    Gap,
    NoAnchor,
}

impl Chain {
    fn without(self, frame: usize, others_between: bool) -> Self {
        match self {
            Self::Whole if frame == 0 || others_between => Self::NoAnchor,
            Self::Whole => Self::Gap,
            broken => broken,
        }
    }
}

fn advance(index: &mut [u32; 2], step: [u16; 2]) -> [u32; 2] {
    for (index, step) in index.iter_mut().zip(step) {
        *index = index.wrapping_add(step.into());
    }
    *index
}

proptest! {
    #[test]
    fn whatever_of_a_series_is_lost_what_comes_out_is_all_that_is_certain_and_no_more(
        (life, items, certain) in lives().prop_flat_map(|life| {
            let (items, certain) = life.live();
            let twice: Vec<_> = items.iter().chain(items.iter().step_by(3)).cloned().collect();
            (Just(life), Just(twice).prop_shuffle(), Just(std::rc::Rc::new(certain)))
        }),
    ) {
        let mut merged = merge(items).unwrap();
        for (channel, certain) in [Channel::A, Channel::B].iter().zip(certain.iter()) {
            let points = merged.remove(channel).unwrap_or_default();
            prop_assert!(points.points.iter().all(|point| !point.contradicted) && points.undated.is_empty());
            let unanchored = points.unanchored.into_iter().map(|left| (left.uplink, left.why)).collect();
            let points = points.points.into_iter().map(|point| (point.at, point.index)).collect();
            prop_assert_eq!(&Certain { points, unanchored }, certain, "{:?}", life);
        }
    }
}
