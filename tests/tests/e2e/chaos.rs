//! kill -9 of the bridge and of functions at random moments, while a fleet sends.
//!
//! The local cloud itself is not killed. It stands for services of AWS that keep what they have accepted, and holds all of
//! it in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use pulsegate_pipeline::archive::place::NEW;
use pulsegate_tests::events;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::cloud::{Cloud, until};
use crate::fleet::{MAX_RESUMED, fleet, kill_bridge, output};

const FLEET: [&str; 3] = ["--devices=300", "--hours=4", "--speed-up=360"];

/// Longest time between two kills, and longest time for which a run of `settle` lives.
const MAX_PAUSE: Duration = Duration::from_millis(1_500);
const MAX_RUN: Duration = Duration::from_millis(150);

/// Messages of a killed function are received again after this time, that of the functions' time-out.
const VISIBILITY: &str = "30";

/// The name of a function's program in the processes of the local cloud.
const FUNCTION: &str = "bootstrap";

pub async fn whatever_process_is_killed_every_acknowledged_pulse_is_accounted_for(cloud: Cloud) {
    let stack = PathBuf::from(cloud.address("LOGS")).parent().unwrap().to_owned();
    let run = stack.join("chaos");
    let _ = fs::remove_dir_all(&run);
    for queue in ["RAW_QUEUE_URL", "PULSE_SIGFOX_QUEUE_URL", "PULSE_NBIOT_QUEUE_URL"] {
        let request = cloud.sqs.set_queue_attributes().queue_url(cloud.address(queue));
        request.attributes(QueueAttributeName::VisibilityTimeout, VISIBILITY).send().await.unwrap();
    }

    let mut load = fleet("load", &stack);
    let mut running = load.arg("--quiet").arg("--run").arg(&run).args(FLEET).spawn().unwrap();
    let mut killed = Killed::default();
    while running.try_wait().unwrap().is_none() {
        sleep(some_of(MAX_PAUSE)).await;
        match fastrand::u8(..10) {
            0 => {
                kill_bridge(&stack);
                killed.bridges += 1;
            }
            1..=4 => {
                let settling = settle(&cloud);
                sleep(some_of(MAX_RUN)).await;
                killed.during_settle += kill_functions(&stack);
                settling.await.unwrap();
            }
            _ => killed.functions += kill_functions(&stack),
        }
    }
    println!("killed: {killed:?}");
    assert!(killed.bridges > 0 && killed.functions > 0 && killed.during_settle > 0, "{killed:?}");

    let mut ended = output(running).await.status;
    for _ in 0..MAX_RESUMED {
        if ended.code() == Some(1) {
            let mut load = fleet("load", &stack);
            ended = output(load.arg("--quiet").arg("--resume").arg(&run).spawn().unwrap()).await.status;
        }
    }
    assert!(ended.success(), "{ended}");
    // Another test's run has the same meters.
    let runs = [run, stack.join("fleet")].into_iter().filter(|run| run.exists()).collect::<Vec<_>>();
    // Before and after the archive is settled.
    for _ in 0..2 {
        let audit = fleet("audit", &stack).args(&runs).arg("--wait=2m").spawn().unwrap();
        assert!(output(audit).await.status.success());
        settle(&cloud).await.unwrap();
        until("an empty new/", async || cloud.keys(NEW).await.is_empty()).await;
    }
}

/// Processes killed.
#[derive(Debug, Default)]
struct Killed {
    bridges: usize,
    functions: usize,
    during_settle: usize,
}

fn some_of(longest: Duration) -> Duration {
    longest.mul_f64(fastrand::f64())
}

/// Invokes the function that settles the archive. The answer does not matter: the function may be killed.
fn settle(cloud: &Cloud) -> JoinHandle<()> {
    let (endpoint, function) = (cloud.address("AWS_ENDPOINT_URL"), cloud.address("SETTLE"));
    let url = format!("{endpoint}/2015-03-31/functions/{function}/invocations");
    let event = events::read("settle.json").to_string();
    tokio::task::spawn_blocking(move || drop(ureq::post(url).send(event)))
}

/// Kills all functions of a stack. Returns their number.
fn kill_functions(stack: &Path) -> usize {
    let mark = format!("PULSEGATE_LOCAL={}:cloud", stack.display());
    let is_function = |process: &PathBuf| {
        fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim_end() == FUNCTION)
            && fs::read(process.join("environ"))
                .is_ok_and(|all| all.split(|byte| *byte == 0).any(|it| it == mark.as_bytes()))
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let functions: Vec<PathBuf> = processes.filter(is_function).collect();
    let killed = functions.iter().filter(|process| {
        Command::new("kill").arg("-KILL").arg(process.file_name().unwrap()).status().is_ok_and(|kill| kill.success())
    });
    killed.count()
}
