//! Tests of the cloud against an endpoint with scripted answers, in virtual time.

use std::sync::mpsc::channel;

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::load::faults::Faults;
use crate::load::ledger::Message;

const DAY: Duration = Duration::from_hours(24);

/// Scripted answer to a request. The last one of a list is repeated.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(u16),
    After(Duration, u16),
    Nothing,
}

/// A request: time since the start, and the meters whose messages it carries.
type Asked = (Duration, Vec<u32>);

/// A stack's API that records requests and their times.
#[derive(Clone)]
struct Api {
    began: Instant,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Api {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        Self { began: Instant::now(), answers, asked: Arc::default() }
    }

    /// The recorded requests, with times in whole seconds.
    fn asked(&self) -> Vec<(u64, Vec<u32>)> {
        lock(&self.asked).iter().map(|(at, meters)| (at.as_secs(), meters.clone())).collect()
    }
}

impl Endpoint for Api {
    async fn post(&self, request: &Request, _: Channel) -> Option<Answered> {
        let meters = request.callbacks.iter().map(|callback| callback.message.meter).collect();
        lock(&self.asked).push((self.began.elapsed(), meters));
        let answer = {
            let mut answers = lock(&self.answers);
            let next = answers[0];
            if answers.len() > 1 {
                answers.pop_front();
            }
            next
        };
        match answer {
            Answer::Status(status) => Some(answered(status)),
            Answer::After(time, status) => {
                tokio::time::sleep(time).await;
                Some(answered(status))
            }
            Answer::Nothing => {
                tokio::time::sleep(DAY).await;
                None
            }
        }
    }
}

fn answered(status: u16) -> Answered {
    Answered { status, bytes: 100, asked: 40 }
}

fn callback(meter: u32) -> Callback {
    Callback {
        message: Message { meter, hour: 0, counted: 0, position: 0, of: 1 },
        profile: ["adeunis-pulse-v4", "adeunis-pulse-v3-1h"][meter as usize % 2],
        device: format!("sigfox:{:X}", meter + 1).parse().unwrap(),
        at: "2026-11-20T12:00:00Z".parse().unwrap(),
        sequence: 1,
        data: [0x46].into(),
        is_status: false,
    }
}

/// Outcomes of the meters' messages, and the counters.
async fn called(policy: CallbackPolicy, api: &Api, faults: Faults, meters: u32) -> (Vec<(u32, bool)>, Callbacks) {
    let (callbacks, receiver) = unbounded_channel();
    let (settle, settled) = channel();
    let counts = Arc::default();
    let cloud = Cloud::new(policy, api.clone(), faults.injector(1, "sigfox"), (Arc::clone(&counts), settle));
    (0..meters).for_each(|meter| callbacks.send(callback(meter)).unwrap());
    drop(callbacks);
    cloud.run(receiver).await;
    let mut settled: Vec<_> = settled.try_iter().map(|settled| (settled.message.meter, settled.acknowledged)).collect();
    settled.sort_unstable();
    let counts = lock(&counts).clone();
    (settled, counts)
}

fn single() -> CallbackPolicy {
    CallbackPolicy::new(Channel::Single, 1.0, 64)
}

fn batch() -> CallbackPolicy {
    CallbackPolicy::new(Channel::Batch, 1.0, 64)
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_kept_is_told_once() {
    let api = Api::new([Answer::Status(204)]);
    let (settled, counts) = called(single(), &api, Faults::default(), 3).await;
    assert_eq!(settled, [(0, true), (1, true), (2, true)]);
    assert_eq!((counts.attempts, counts.by_status), (3, BTreeMap::from([(204, 3)])));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_is_repeated_after_one_two_and_four_minutes_and_then_given_up() {
    let api = Api::new([Answer::Status(503)]);
    let (settled, counts) = called(single(), &api, Faults::default(), 1).await;
    assert_eq!(settled, [(0, false)]);
    let times: Vec<u64> = api.asked().iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 60, 60 + 120, 60 + 120 + 240]);
    assert_eq!(counts.by_status, BTreeMap::from([(503, 4)]));
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_ten_seconds_is_none() {
    let late = Answer::After(Duration::from_millis(10_001), 204);
    let api = Api::new([late, Answer::Nothing, Answer::After(Duration::from_millis(9_999), 204)]);
    let (settled, counts) = called(single(), &api, Faults::default(), 1).await;
    assert_eq!(settled, [(0, true)]);
    let times: Vec<u64> = api.asked().iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 10 + 60, 10 + 60 + 10 + 120]);
    assert_eq!(counts.by_status, BTreeMap::from([(0, 2), (204, 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_lives_faster_has_shorter_pauses_but_waits_for_an_answer_as_long_as_it_may_take() {
    let api = Api::new([Answer::Nothing, Answer::Status(204)]);
    let (settled, _) = called(CallbackPolicy::new(Channel::Single, 60.0, 64), &api, Faults::default(), 1).await;
    assert_eq!(settled, [(0, true)]);
    assert_eq!(api.asked().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 2 + 1]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_request_for_each_device_type_and_is_repeated_as_a_whole() {
    let api = Api::new([Answer::Status(503), Answer::Status(204)]);
    let (settled, counts) = called(batch(), &api, Faults::default(), 6).await;
    assert_eq!(settled, (0..6).map(|meter| (meter, true)).collect::<Vec<_>>());
    let asked = api.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    let mut types = [asked[0].1.clone(), asked[1].1.clone()];
    types.sort();
    assert_eq!(types, [vec![0, 2, 4], vec![1, 3, 5]]);
    assert!(types.contains(&asked[2].1) && asked[2].0 >= 60);
    assert_eq!(counts.by_status, BTreeMap::from([(204, 2), (503, 1)]));
}

#[tokio::test(start_paused = true)]
async fn more_lines_than_a_request_takes_are_several_requests() {
    let meters = 2 * u32::try_from(MAX_LINES).unwrap() + 10;
    let api = Api::new([Answer::Status(204)]);
    let (settled, _) = called(batch(), &api, Faults::default(), meters).await;
    assert_eq!(settled.len(), meters as usize);
    let lines: Vec<usize> = api.asked().iter().map(|(_, meters)| meters.len()).collect();
    assert!(
        lines.iter().all(|&lines| lines <= MAX_LINES) && lines.iter().sum::<usize>() == meters as usize,
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_either_way_is_no_answer_and_what_is_doubled_arrives_twice() {
    let api = Api::new([Answer::Status(204)]);
    let all = Faults { loss: 1.0, ..Faults::default() };
    let (settled, counts) = called(single(), &api, all, 1).await;
    assert_eq!((settled, api.asked().len()), (vec![(0, false)], 0));
    assert_eq!((counts.attempts, counts.lost), (4, 4));

    let twice = Faults { duplicate: 1.0, ..Faults::default() };
    let (settled, counts) = called(single(), &api, twice, 5).await;
    assert_eq!((settled.len(), api.asked().len()), (5, 10));
    assert_eq!((counts.attempts, counts.duplicated, counts.by_status[&204]), (5, 5, 5));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_doubled_request_is_that_to_the_first() {
    let api = Api::new([Answer::Status(204), Answer::Nothing]);
    let twice = Faults { duplicate: 1.0, ..Faults::default() };
    let (settled, counts) = called(single(), &api, twice, 1).await;
    assert_eq!((settled, api.asked().len()), (vec![(0, true)], 2));
    let [.., longest] = counts.latency.quantiles().unwrap();
    assert!(longest < 1_000.0, "{longest} ms, and the second has none within ten seconds");
}

#[tokio::test(start_paused = true)]
async fn with_a_tenth_lost_every_message_is_told_or_given_up_and_none_is_forgotten() {
    let api = Api::new([Answer::Status(204)]);
    let faults = Faults { loss: 0.1, duplicate: 0.1, ..Faults::default() };
    let (settled, counts) = called(single(), &api, faults, 2_000).await;
    assert_eq!(settled.len(), 2_000);
    // An attempt fails with probability 1 - 0.9^2 = 0.19, and all four of a message with 0.19^4: one in 770.
    let given_up = settled.iter().filter(|(_, acknowledged)| !acknowledged).count();
    assert!(given_up < 20, "{given_up}");
    assert!(counts.lost > 300 && counts.duplicated > 150, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_under_way_than_there_are_connections() {
    let api = Api::new([Answer::After(Duration::from_secs(1), 204)]);
    called(CallbackPolicy { connections: 4, ..single() }, &api, Faults::default(), 12).await;
    let asked = api.asked();
    for second in 0..3 {
        assert_eq!(asked.iter().filter(|(at, _)| *at == second).count(), 4, "{asked:?}");
    }
}
