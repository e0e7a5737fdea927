//! A simulated fleet of meters against the stack, with faults: every pulse must be accounted for.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use pulsegate_tests::repository;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::cloud::Cloud;

/// Longer than a run of the fleet takes, even on a busy machine.
const RUN_TIMEOUT: Duration = Duration::from_mins(5);

/// Maximum number of resumed runs. With faults, and on a busy machine, messages may be given up after all repetitions;
/// a resumed run sends them again, as in docs/fleet.md.
pub const MAX_RESUMED: usize = 3;

/// Interval at which the progress of the run is read.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// 300 meters simulate six hours in half a minute. The mix is the default one, with Efento's loggers, which send in the
/// clear.
const FLEET: [&str; 7] = [
    "--devices=300",
    "--hours=6",
    "--speed-up=720",
    "--rollover=20%",
    "--reset=20%",
    "--clock-drift=60",
    "--profile-mix=adeunis-pulse-v4-1h=12,adeunis-pulse-v4=4,adeunis-pulse-v3-1h=3,adeunis-pulse-v2-10min,\
     adeunis-pulse4-nbiot=8,adeunis-pulse4-nbiot-1h=4,dragino-sw3l-nb=4,dragino-cpn01-nb=2,senml-cbor=3,senml-json,efento=4",
];

const BAD_DAY: [&str; 6] =
    ["--loss=5%", "--duplicate=5%", "--reorder=20%", "--reorder-by=3h", "--wrong-clocks=40%", "--odd-settings=20%"];

/// Prepares a command of the fleet against the stack in a directory.
pub fn fleet(command: &str, stack: &Path) -> Command {
    // The binary is beside the folder `deps`, which holds this test.
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let mut fleet = Command::new(deps.with_file_name("fleet"));
    fleet.arg(command).arg("--env").arg(stack.join("env")).args(["--format=json"]);
    fleet.stdout(Stdio::piped()).stderr(Stdio::piped());
    fleet
}

/// Reads the counters of the run so far.
fn measured(run: &Path) -> Option<Value> {
    let text = std::fs::read(run.join("run.json")).ok()?;
    serde_json::from_slice::<Value>(&text).ok().map(|mut run| run["measured"].take())
}

/// Reads the result of the last audit.
fn audited(run: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(run.join("audit.json")).unwrap()).unwrap()
}

fn count(measured: &Value, name: &str) -> u64 {
    measured[name].as_u64().unwrap_or_else(|| panic!("{name} of {measured}"))
}

/// Waits until more than this many messages are acknowledged.
async fn acknowledged(run: &Path, more_than: u64, running: &mut Child) -> u64 {
    let deadline = Instant::now() + RUN_TIMEOUT;
    loop {
        let acknowledged = measured(run).map_or(0, |measured| count(&measured, "acknowledged"));
        if acknowledged > more_than {
            return acknowledged;
        }
        assert!(Instant::now() < deadline, "{acknowledged} acknowledged");
        assert!(running.try_wait().unwrap().is_none(), "the run ended with {acknowledged} acknowledged");
        sleep(POLL_INTERVAL).await;
    }
}

/// Kills the bridge with the datagrams it holds, and starts it again.
pub fn kill_bridge(stack: &Path) {
    let mut python = Command::new("python3");
    python.arg(repository("tools/local.py")).arg("kill-bridge").arg("--dir").arg(stack);
    assert!(python.status().unwrap().success());
}

/// Waits for the end of a command, and prints its output.
pub async fn output(child: Child) -> Output {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    println!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    output
}

pub async fn every_pulse_of_a_fleet_on_a_bad_day_is_accounted_for(cloud: Cloud) {
    let stack = PathBuf::from(cloud.address("LOGS")).parent().unwrap().to_owned();
    let run = stack.join("fleet");
    let _ = std::fs::remove_dir_all(&run);

    let load = || {
        let mut load = fleet("load", &stack);
        load.arg("--quiet");
        load
    };
    let mut running = load().arg("--run").arg(&run).args(FLEET).args(BAD_DAY).spawn().unwrap();
    let mut so_far = 0;
    for _ in 0..2 {
        so_far = acknowledged(&run, so_far, &mut running).await;
        kill_bridge(&stack);
    }
    let mut ended = output(running).await.status;
    for _ in 0..MAX_RESUMED {
        if ended.code() == Some(1) {
            ended = output(load().arg("--resume").arg(&run).spawn().unwrap()).await.status;
        }
    }
    assert!(ended.success(), "{ended}");

    let measured = measured(&run).unwrap();
    assert!(count(&measured, "sent") >= 300 * 6);
    assert_eq!(count(&measured, "acknowledged"), count(&measured, "sent"));
    for fault in ["lost", "duplicated", "reordered"] {
        assert!(count(&measured, fault) > 0, "{fault}");
    }
    // As it is, and as if the stack had no pulses table.
    let archive_only = stack.join("archive-only");
    std::fs::create_dir_all(&archive_only).unwrap();
    let env = std::fs::read_to_string(stack.join("env")).unwrap();
    let without: Vec<&str> = env.lines().filter(|line| !line.contains("PULSE_")).collect();
    std::fs::write(archive_only.join("env"), without.join("\n")).unwrap();
    for (stack, options, has_table) in [(&stack, "--list=20", true), (&archive_only, "--by-key", false)] {
        let audit = fleet("audit", stack).arg(&run).args(["--wait=2m", options]).spawn().unwrap();
        assert!(output(audit).await.status.success(), "with a pulses table: {has_table}");
        let sources = &audited(&run)["sources"];
        assert_eq!(sources["pulses_table"], has_table);
        assert!(
            count(sources, "objects") + count(sources, "files") > 0 && count(sources, "rows") >= 300 * 6,
            "{sources}"
        );
    }
}
