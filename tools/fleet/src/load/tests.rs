//! Complete runs against a bridge and an API on loopback.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Parser as _;
use jiff::Timestamp;

use super::connect::{Connections, link};
use super::http::Api;
use super::nbiot::Addresses;
use super::prepare::PreparedRun;
use super::recorder::SharedCounters;
use super::sealed::MasterKey;
use super::stop::Stop;
use super::{Options, run_fleet};
use crate::Problem;
use crate::meters::{Fleet, Transport};
use crate::run::{Run, Sessions, Volume};

mod peer;

use peer::{Came, Peer, SECRET, Way};

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// A temporary directory. It is removed when this is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("pulsegate-fleet-{}-{:016x}", std::process::id(), fastrand::u64(..));
        Self(std::env::temp_dir().join(name))
    }

    fn run(&self) -> String {
        self.0.join("run").display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(line: &str) -> Options {
    Line::parse_from(std::iter::once("load").chain(line.split_whitespace())).options
}

/// Runs the command line against a peer.
async fn run_line(line: &str, peer: &Peer, stop: Stop) -> Result<Run, Problem> {
    let options = options(&format!("{line} --quiet"));
    let begin = PreparedRun::new(&options, Timestamp::now())?;
    let meters = u32::try_from((0..begin.fleet.spec().devices).filter(|&n| is_nbiot(&begin.fleet, n)).count()).unwrap();
    let key = MasterKey::from_secret(&test_kit::sealed::master_keys(), 1)?;
    let to = |way| vec![peer.to[&way]];
    let to = Addresses { sealed: to(Way::Sealed), coap: to(Way::Coap), efento: to(Way::Efento) };
    let connections = Connections {
        callbacks: Some(Api::new(&peer.api, SECRET, begin.how.connections.into())?),
        nbiot: Some(link(&begin.fleet, &begin.how, key, to, meters)?),
        pulses: None,
    };
    run_fleet(begin, connections, SharedCounters::default(), (&options, stop), None).await
}

fn is_nbiot(fleet: &Fleet, number: u32) -> bool {
    fleet.meter(number).transport != Transport::Sigfox
}

/// All uplinks of a fleet, once each.
fn all_of(fleet: &Fleet) -> Came {
    let sessions = (0..fleet.hours()).flat_map(|hour| {
        let meters = (0..fleet.sessions(hour)).filter_map(move |n| fleet.due(hour, n));
        meters.map(move |(number, _)| (number, hour))
    });
    let uplinks = sessions.flat_map(|(number, hour)| {
        let session = fleet.session(number, hour, fleet.counted(number, hour));
        let device = fleet.meter(number).device.to_string();
        session.uplinks.into_iter().map(move |uplink| ((device.clone(), uplink.at.unix(), uplink.sequence), 1))
    });
    uplinks.collect()
}

/// Checks that exactly the fleet's uplinks arrived, and that counters and bits agree.
fn check_delivered(run: &Run, directory: &Path, peer: &Peer) {
    let fleet = Fleet::new(run.spec.clone()).unwrap();
    let has_session = |&(number, hour): &(u32, u32)| !fleet.session(number, hour, 0).uplinks.is_empty();
    let (expected, came) = (all_of(&fleet), peer.heard.came());
    assert!(expected.keys().eq(came.keys()), "{} of {} came", came.len(), expected.len());
    let measured = &run.measured;
    let count = expected.len() as u64;
    assert_eq!((measured.sent, measured.acknowledged, measured.given_up), (count, count, 0), "{measured:?}");
    assert!(measured.complete);
    assert_eq!(Run::read(directory).unwrap().measured, *measured, "it is written down as it was");
    let sessions = Sessions::read(directory, run.spec.devices, fleet.hours()).unwrap();
    let due = (0..fleet.hours()).flat_map(|hour| (0..fleet.sessions(hour)).map(move |n| (hour, n)));
    let due = due.filter_map(|(hour, n)| Some((fleet.due(hour, n)?.0, hour))).filter(has_session).count() as u64;
    assert_eq!((sessions.sent(), sessions.acknowledged()), (due, due));
}

fn total(rates: &[u32]) -> u64 {
    rates.iter().copied().map(u64::from).sum()
}

/// A long first pause, so that a busy machine causes no repetitions.
const PATIENT: &str = "--first-pause 1m";

/// Meters of every profile.
const EVERY_PROFILE: &str = "--profile-mix adeunis-pulse-v4-1h,adeunis-pulse-v4,adeunis-pulse-v3-1h,adeunis-pulse-v2-10min,\
adeunis-pulse4-nbiot,adeunis-pulse4-nbiot-1h,dragino-sw3l-nb,dragino-cpn01-nb,senml-cbor,senml-json,efento";

#[tokio::test(flavor = "multi_thread")]
async fn every_meter_of_every_profile_is_heard_once_in_each_hour() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    let line = format!("--devices 300 --hours 3 --speed-up 7200 {PATIENT} --run {} {EVERY_PROFILE}", directory.run());
    let run = run_line(&line, &peer, Stop::default()).await.unwrap();
    check_delivered(&run, Path::new(&directory.run()), &peer);
    let came = peer.heard.came();
    assert!(came.values().all(|&times| times == 1), "a network without faults needs no repetition");
    let measured = &run.measured;
    assert_eq!(total(&measured.seconds_sent), measured.sent);
    assert_eq!(total(&measured.seconds_acknowledged), measured.acknowledged);
    assert!(measured.nbiot_ack_ms.is_some() && measured.callback_ms.is_some());
    assert!(peer.heard.batches.load(Ordering::Relaxed) > 0);
    assert_eq!(measured.callbacks.keys().collect::<Vec<_>>(), [&204]);
}

#[tokio::test(flavor = "multi_thread")]
async fn meters_with_wrong_clocks_and_odd_settings_are_heard_with_the_times_that_they_show() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    let odd = "--wrong-clocks 1 --odd-settings 1 --sigfox-share 0";
    let line = format!("--devices 300 --hours 4 --speed-up 7200 {PATIENT} {odd} {EVERY_PROFILE}");
    let run = run_line(&format!("{line} --run {}", directory.run()), &peer, Stop::default()).await.unwrap();
    check_delivered(&run, Path::new(&directory.run()), &peer);
    let years: BTreeSet<String> = peer.heard.came().keys().map(|(_, at, _)| year(*at)).collect();
    for year in ["1970", "1980", "2000", "2004", "2021", "2080"] {
        assert!(years.contains(year), "{year}: {years:?}");
    }
}

fn year(unix: i64) -> String {
    Timestamp::from_second(unix).unwrap().strftime("%Y").to_string()
}

/// A meter would set its clock by it.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_with_a_wrong_time_acknowledges_nothing() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    peer.heard.behind.store(2 * 3_600, Ordering::Relaxed);
    let line = "--devices 20 --hours 1 --speed-up 36000 --sigfox-share 0 --first-pause 10ms --repetitions 1";
    let run = run_line(&format!("{line} --run {}", directory.run()), &peer, Stop::default()).await.unwrap();
    assert_eq!((run.measured.acknowledged, run.measured.given_up), (0, run.measured.sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_loss_duplicates_and_sessions_held_back_everything_is_still_heard_and_acknowledged() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    let faults =
        "--loss 5% --duplicate 5% --reorder 20% --reorder-by 2h --first-pause 50ms --repetitions 12 --sigfox-share 0";
    let line = format!("--devices 400 --hours 2 --speed-up 7200 {faults} --run {}", directory.run());
    let run = run_line(&line, &peer, Stop::default()).await.unwrap();
    check_delivered(&run, Path::new(&directory.run()), &peer);
    let measured = &run.measured;
    assert!(measured.attempts > measured.sent && measured.lost > 0 && measured.duplicated > 0, "{measured:?}");
    assert!((100..220).contains(&measured.reordered), "{}", measured.reordered);
    assert!(peer.heard.came().values().any(|&times| times > 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_fault_all_but_what_is_lost_on_the_air_comes_and_late_sessions_last() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    let faults = "--every-fault --loss 0 --first-pause 1m";
    let file = directory.0.join("assignments.csv");
    std::fs::create_dir_all(&directory.0).unwrap();
    let line = format!("--devices 400 --hours 4 --speed-up 7200 {faults} --assignments {}", file.display());
    let run =
        run_line(&format!("{line} --run {} {EVERY_PROFILE}", directory.run()), &peer, Stop::default()).await.unwrap();
    check_delivered(&run, Path::new(&directory.run()), &peer);
    let fleet = Fleet::new(run.spec.clone()).unwrap();
    let numbered: Vec<_> = (0..400).flat_map(|number| fleet.numbered(number)).collect();
    let lost = numbered.iter().filter(|each| each.is_lost).count() as u64;
    let in_the_clear = (0..400).filter(|&number| fleet.meter(number).transport == Transport::Efento).count() as u64;
    assert!(lost > 50 && run.measured.sent < numbered.len() as u64 + 4 * in_the_clear, "{lost}");
    assert!(numbered.iter().any(|each| each.is_status));
    assert!(run.measured.late > 0 && run.measured.reordered > run.measured.late, "{:?}", run.measured);
    assert!(std::fs::read_to_string(file).unwrap().lines().count() > 360);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_callbacks_that_fail_are_repeated_and_those_that_go_on_failing_are_given_up() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    peer.heard.status.store(503, Ordering::Relaxed);
    let line = "--devices 20 --hours 0.5 --speed-up 3600 --sigfox-share 1 --callbacks single --reset 0";
    let run = run_line(&format!("{line} --run {}", directory.run()), &peer, Stop::default()).await.unwrap();
    let measured = &run.measured;
    assert!(measured.complete && measured.acknowledged == 0 && measured.given_up == measured.sent, "{measured:?}");
    assert_eq!(measured.callbacks.values().sum::<u64>(), 4 * measured.sent, "of which most are 503");
    assert!(measured.callbacks[&503] > 3 * measured.sent);
    assert_eq!(peer.heard.batches.load(Ordering::Relaxed), 0);

    // A resumed run sends the given-up messages again.
    peer.heard.status.store(0, Ordering::Relaxed);
    let again = run_line(&format!("--resume {}", directory.run()), &peer, Stop::default()).await.unwrap();
    check_delivered(&again, Path::new(&directory.run()), &peer);
    assert_eq!(again.measured.callbacks[&503], measured.callbacks[&503], "what was measured before is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn meters_behind_one_address_are_told_apart_though_their_message_ids_are_not() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    peer.heard.late.store(true, Ordering::Relaxed);
    let line = "--devices 200 --hours 2 --speed-up 3600 --sigfox-share 0 --shared-nat 50 --profile-mix senml-cbor";
    let run = run_line(&format!("{line} {PATIENT} --run {}", directory.run()), &peer, Stop::default()).await.unwrap();
    check_delivered(&run, Path::new(&directory.run()), &peer);
    assert_eq!(peer.heard.from.lock().unwrap().len(), 4, "200 meters, 50 to an address");
    let confirmed = u64::from(peer.heard.confirmed.load(Ordering::Relaxed));
    assert_eq!(confirmed, run.measured.acknowledged, "each answer of its own is confirmed");
    // A 2.04 with a token of 4 bytes and a sealed acknowledgement of 26, after an empty ACK of 4 bytes.
    let Volume { count, bytes } = run.measured.traffic["acknowledgements"];
    assert_eq!((count, bytes), (confirmed, confirmed * (4 + 4 + 1 + 26 + 4)), "one of each, in two datagrams");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_is_away_for_a_while_is_asked_again_with_the_same_bytes() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    peer.heard.deaf_to.store(3, Ordering::Relaxed);
    let line = "--devices 150 --hours 1 --speed-up 7200 --sigfox-share 0 --first-pause 60ms --repetitions 8";
    let run = run_line(&format!("{line} --run {}", directory.run()), &peer, Stop::default()).await.unwrap();
    check_delivered(&run, Path::new(&directory.run()), &peer);
    let attempts: u32 = peer.heard.came().values().sum();
    assert_eq!(u64::from(attempts), run.measured.attempts);
    assert!(run.measured.attempts > run.measured.sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_bridge_answers_is_given_up_and_said_to_be() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    peer.heard.silent.store(true, Ordering::Relaxed);
    let line = "--devices 10 --hours 1 --speed-up 36000 --sigfox-share 0 --first-pause 10ms --repetitions 2";
    let run = run_line(&format!("{line} --run {}", directory.run()), &peer, Stop::default()).await.unwrap();
    assert_eq!((run.measured.given_up, run.measured.acknowledged), (run.measured.sent, 0));
    assert_eq!(run.measured.attempts, 3 * run.measured.sent);
    let problem = super::verdict(&run, "runs/a").unwrap_err().in_full();
    assert!(problem.contains("given up") && problem.contains("--resume runs/a"), "{problem}");
}

/// Copies the files of a run as they are on disk, as a kill would leave them.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in ["run.json", "sessions"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_is_gone_on_with_to_the_same_end() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    let (run, killed) = (directory.0.join("run"), directory.0.join("killed"));
    let fleet = "--devices 400 --hours 2 --speed-up 1800 --arrival jitter --reorder 10% --reorder-by 1h";
    let line = format!("{fleet} --run {}", run.display());
    let stop = Stop::default();
    let first = run_line(&line, &peer, stop.clone());
    let kill = async {
        while Sessions::read(&run, 400, 2).map_or(0, |sessions| sessions.acknowledged()) < 100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        copy(&run, &killed);
        // The run continues for a while; the copied files do not contain this part.
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.ask();
    };
    let (stopped, ()) = tokio::join!(first, kill);
    assert!(!stopped.unwrap().measured.complete);
    let there = Sessions::read(&killed, 400, 2).unwrap();
    assert!(there.progress.virtual_ms > 0 && there.acknowledged() >= 100);

    let line = format!("--resume {}", killed.display());
    let again = run_line(&line, &peer, Stop::default()).await.unwrap();
    check_delivered(&again, &killed, &peer);
    let came = peer.heard.came();
    let once = came.values().filter(|&&times| times == 1).count();
    assert!(once > came.len() / 2, "what was acknowledged is not sent again: {once} of {} came once", came.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_as_it_begins_is_gone_on_with_unless_nobody_knows_what_was_sent() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    let line = format!("--devices 20 --hours 1 --speed-up 7200 {PATIENT} --run {}", directory.run());
    PreparedRun::new(&options(&line), Timestamp::now()).unwrap().write().unwrap();
    let resume = format!("--resume {}", directory.run());
    let run = run_line(&resume, &peer, Stop::default()).await.unwrap();
    check_delivered(&run, Path::new(&directory.run()), &peer);

    std::fs::remove_file(Path::new(&directory.run()).join("sessions")).unwrap();
    let problem = PreparedRun::new(&options(&resume), Timestamp::now()).unwrap_err().in_full();
    assert!(problem.contains("sessions is missing") && problem.contains("restore it"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_messages_are_sent_in_a_second_than_is_allowed() {
    let (peer, directory) = (Peer::start().await, Directory::new());
    let line = "--devices 300 --hours 1 --speed-up 36000 --sigfox-share 0 --max-rate 200 --reset 0 --rollover 0";
    let run = run_line(&format!("{line} --run {}", directory.run()), &peer, Stop::default()).await.unwrap();
    check_delivered(&run, Path::new(&directory.run()), &peer);
    assert!(run.measured.peak_rate <= 215.0, "{}", run.measured.peak_rate);
}

#[test]
fn a_directory_with_a_run_in_it_is_not_written_over() {
    let directory = Directory::new();
    let first = PreparedRun::new(&options(&format!("--run {}", directory.run())), Timestamp::now()).unwrap();
    first.write().unwrap();
    let problem =
        PreparedRun::new(&options(&format!("--run {}", directory.run())), Timestamp::now()).unwrap_err().in_full();
    assert!(problem.contains("already contains a run") && problem.contains("--resume"), "{problem}");
    let problem = PreparedRun::new(&options("--resume nowhere/at/all"), Timestamp::now()).unwrap_err().in_full();
    assert!(problem.contains("no run in nowhere/at/all"), "{problem}");
}

#[test]
fn a_fleet_that_lives_faster_ends_now_and_one_in_real_time_begins_now() {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let start = |line: &str| {
        let directory = Directory::new();
        PreparedRun::new(&options(&format!("{line} --run {}", directory.run())), now)
            .unwrap()
            .run
            .spec
            .start
            .to_string()
    };
    assert_eq!(start("--hours 3"), "2026-11-20T12:00:00Z");
    assert_eq!(start("--hours 3 --speed-up 60"), "2026-11-20T09:00:00Z");
    assert_eq!(start("--hours 3 --speed-up 60 --start 2026-01-02T03:04:05Z"), "2026-01-02T03:04:05Z");
}
