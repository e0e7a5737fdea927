//! Tests of a burst with the `fleet` program. It starts this test binary again as the bridge, so that no other binary
//! is needed.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

use fleet::run::Run;
use libtest_mimic::{Arguments, Failed, Trial};
use pulsegate_aws as aws;
use pulsegate_aws::{KinesisStream, SecretStore};
use pulsegate_pipeline::config::{EnvSettings, environment};
use pulsegate_pipeline::telemetry;
use tokio::signal::unix::{SignalKind, signal};
use udp_bridge::config::Config;
use udp_bridge::intake;
use udp_bridge::protocol::sealed::MasterKeys;
use udp_bridge::server::{self, Sockets};

fn main() -> ExitCode {
    // Set for a bridge, but not for the tests.
    if std::env::var_os("SEALED_LISTENERS").is_some() {
        tokio::runtime::Runtime::new().unwrap().block_on(bridge());
        return ExitCode::SUCCESS;
    }
    let test = |name: &str, run: fn()| {
        Trial::test(name, move || {
            run();
            Ok::<(), Failed>(())
        })
    };
    let tests = vec![
        test(
            "all_that_is_acknowledged_is_in_the_stream_and_all_of_the_stream_is_stored",
            all_that_is_acknowledged_is_in_the_stream_and_all_of_the_stream_is_stored,
        ),
        test("a_stream_that_forgets_is_found_out", a_stream_that_forgets_is_found_out),
        test("a_bridge_that_ends_badly_is_told_of", a_bridge_that_ends_badly_is_told_of),
        test("what_a_bridge_alone_cannot_take_is_refused", what_a_bridge_alone_cannot_take_is_refused),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// Runs the bridge, assembled as in its own `main.rs`.
async fn bridge() {
    telemetry::init(environment("LOG_LEVEL").as_deref());
    let config = Config::from_settings(&EnvSettings::new(&environment)).unwrap();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let sdk = aws::sdk_config().await;
    let secret = SecretStore::new(&sdk).read(config.master_keys_secret.as_deref().unwrap()).await.unwrap();
    let keys: MasterKeys = secret.parse().unwrap();
    let sockets = Sockets::bind(config.http, config.listeners(Some(&keys))).await.unwrap();
    let stop = async move {
        terminate.recv().await;
    };
    server::run(sockets, KinesisStream::new(&sdk, &config.stream), config.pace, intake::now, stop).await;
}

/// A temporary directory. It is removed when this is dropped.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Directory {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("pulsegate-burst-{:016x}", fastrand::u64(..))))
    }
}

fn load(directory: &Directory, line: &str) -> Output {
    load_with(&std::env::current_exe().unwrap(), directory, line)
}

fn load_with(bridge: &Path, directory: &Directory, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    command.args(["load", "--stand-in", "--quiet"]).args(line.split_whitespace());
    command.arg("--bridge").arg(bridge).arg("--run").arg(&directory.0);
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// All meters send within a second of real time. The first pause is long, so that a busy machine causes no repetitions.
const FLEET: &str = "--devices 600 --hours 1 --arrival top-of-hour --speed-up 60 --first-pause 1m --shards 2";

fn all_that_is_acknowledged_is_in_the_stream_and_all_of_the_stream_is_stored() {
    let directory = Directory::new();
    let output = load(&directory, FLEET);
    assert!(output.status.success(), "{}", text(&output));
    let measured = Run::read(&directory.0).unwrap().measured;
    let burst = measured.burst.unwrap();
    assert_eq!((measured.sent, measured.acknowledged, burst.acknowledged), (600, 600, 600));
    assert_eq!((burst.durable, burst.lost, burst.stored, burst.unstored), (600, 0, 600, 0));
    assert_eq!((burst.strangers, burst.unacknowledged), (0, 0));
    assert!(burst.invocations >= 1 && burst.objects >= 1 && burst.object_bytes > 600, "{burst:?}");
    let sum = |value: fn(&fleet::run::Second) -> u64| burst.seconds.iter().map(value).sum::<u64>();
    assert_eq!((sum(|second| second.sent), sum(|second| second.acknowledged)), (600, 600));
    let (put, drained) = (sum(|second| second.put), sum(|second| second.drained));
    // An object has the repetitions of its batch once.
    assert_eq!(put, 600 + burst.duplicates);
    assert!((600..=put).contains(&drained), "{drained} rows");
    let last = burst.seconds.last().unwrap();
    assert_eq!((last.in_bridge, last.in_stream), (0, 0));
    assert!(measured.cpu_seconds.contains_key("bridge") && !measured.bridge.is_empty(), "the bridge is looked at");
    for picture in ["burst.svg", "backlog.svg"] {
        assert!(std::fs::read_to_string(directory.0.join(picture)).unwrap().starts_with("<svg"), "{picture}");
    }
    assert!(text(&output).contains("acknowledged, but not durable"));
}

fn a_stream_that_forgets_is_found_out() {
    let directory = Directory::new();
    let output = load(&directory, &format!("{FLEET} --forget 2"));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let measured = Run::read(&directory.0).unwrap().measured;
    let burst = measured.burst.unwrap();
    assert_eq!(measured.acknowledged, 600, "nobody is told");
    assert!(burst.lost > 0 && burst.durable + burst.lost == 600, "{burst:?}");
    assert!(text(&output).contains(&format!("{} messages were acknowledged, but are not in the stream", burst.lost)));
}

/// The bridge does all its work, but exits with an error code.
fn a_bridge_that_ends_badly_is_told_of() {
    let (directory, there) = (Directory::new(), Directory::new());
    std::fs::create_dir_all(&there.0).unwrap();
    let bridge = there.0.join("bridge");
    let good = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\ntrap 'kill -TERM $good' TERM\n'{}' & good=$!\nwait $good\nwait $good\nexit 7\n",
        good.display()
    );
    std::fs::write(&bridge, script).unwrap();
    std::fs::set_permissions(&bridge, Permissions::from_mode(0o755)).unwrap();
    let output = load_with(&bridge, &directory, FLEET);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("failed after SIGTERM: exit status: 7"), "{}", text(&output));
}

fn what_a_bridge_alone_cannot_take_is_refused() {
    let refused = |line: &str, why: &str| {
        let directory = Directory::new();
        let output = load(&directory, line);
        assert!(!output.status.success() && text(&output).contains(why), "{line}: {}", text(&output));
        assert!(!directory.0.exists(), "nothing is begun");
    };
    refused("--sigfox-share 10%", "leave --sigfox-share out");
    refused("--profile-mix senml-cbor", "not for senml-cbor");
    refused("--probe 1", "cannot be used with");
    let output = Command::new(env!("CARGO_BIN_EXE_fleet")).args(["load", "--forget", "7"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}
