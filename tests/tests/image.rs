//! Runs the bridge's container image as the task definition does: as an unprivileged user, with a read-only file
//! system.
//!
//! Not part of an ordinary `cargo test`: the static release build takes minutes, and an old image would test old code.
//! `make image-test` builds the image first. Without a Docker engine the tests are skipped.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use pulsegate_tests::repository;
use serde_json::{Value, json};

/// The image that `make bridge-image` builds.
const IMAGE: &str = "pulsegate-udp-bridge";

/// Room for the binary to double. A task's start time grows with the size of its image.
const MAX_BYTES: u64 = 20_000_000;

/// A test that waits this long has failed.
const LINE_TIMEOUT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if !docker(&["info"]).is_ok_and(|answer| answer.status.success()) {
        println!("skipped: no Docker engine answers `docker info`");
        return ExitCode::SUCCESS;
    }
    if !arguments.list {
        build();
    }
    let trial = |name, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(
        &arguments,
        vec![
            trial("it_is_small_and_nobodys", it_is_small_and_nobodys),
            trial("it_reads_its_secret_listens_answers_and_drains", it_reads_its_secret_listens_answers_and_drains),
        ],
    )
    .exit_code()
}

fn build() {
    let mut build = Command::new("python3");
    build.arg(repository("tools/local.py")).arg("image");
    // Cargo sets these for a test. Build scripts that depend on them would rebuild half of the dependencies.
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    {
        build.env_remove(name);
    }
    assert!(build.status().unwrap().success(), "the build of the image failed");
}

fn docker(arguments: &[&str]) -> std::io::Result<std::process::Output> {
    Command::new("docker").args(arguments).output()
}

fn it_is_small_and_nobodys() {
    let answer = docker(&["image", "inspect", IMAGE]).unwrap();
    let image: Value = serde_json::from_slice(&answer.stdout).unwrap();
    let size = image[0]["Size"].as_u64().unwrap();
    assert!(size < MAX_BYTES, "{size} bytes");
    let user = image[0]["Config"]["User"].as_str().unwrap();
    assert!(user.split(':').all(|id| id.parse::<u32>().unwrap() > 0), "{user}");
}

fn it_reads_its_secret_listens_answers_and_drains() {
    let mut bridge = Bridge::start(secrets_manager());
    bridge.listening("udp");
    let http = bridge.listening("http");
    assert_eq!(ureq::get(format!("http://{http}/healthz")).call().unwrap().status(), 200);
    assert!(docker(&["kill", "--signal", "TERM", &bridge.name]).unwrap().status.success());
    while bridge.line().is_some() {}
    assert!(bridge.client.wait().unwrap().success());
}

/// A running container and its log lines.
struct Bridge {
    name: String,
    client: Child,
    lines: Receiver<String>,
}

impl Bridge {
    /// Starts a container in the host's network, on free ports of loopback. The endpoint has a host name, because a
    /// static binary must resolve names without the C library's resolver modules.
    fn start(secrets_manager: u16) -> Self {
        let name = format!("pulsegate-image-test-{}", std::process::id());
        let endpoint = format!("AWS_ENDPOINT_URL=http://localhost:{secrets_manager}");
        let environment = [
            endpoint.as_str(),
            "AWS_REGION=eu-west-1",
            "AWS_ACCESS_KEY_ID=test",
            "AWS_SECRET_ACCESS_KEY=test",
            "STREAM_NAME=unused",
            "MASTER_KEYS_SECRET_ID=keys",
            "SEALED_LISTENERS=adeunis-pulse4-nbiot=127.0.0.1:0",
            "HTTP_ADDR=127.0.0.1:0",
        ];
        let mut client = Command::new("docker")
            .args(["run", "--rm", "--name", &name, "--network", "host", "--read-only", "--cap-drop", "ALL"])
            .args(environment.iter().flat_map(|setting| ["--env", setting]))
            .arg(IMAGE)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(client.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { name, client, lines }
    }

    /// Returns the next log line, or `None` after the end.
    fn line(&self) -> Option<String> {
        let line = match self.lines.recv_timeout(LINE_TIMEOUT) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => panic!("the bridge logged no line in time"),
        };
        // The SDK only warns, and would start without certificates.
        assert!(!line.contains("no native root CA certificates"), "{line}");
        Some(line)
    }

    /// Returns the address of a listener.
    fn listening(&self, protocol: &str) -> String {
        loop {
            let event: Value = serde_json::from_str(&self.line().expect("the bridge runs")).unwrap();
            if event["message"] == "listening" && event["protocol"] == protocol {
                return event["addr"].as_str().unwrap().to_owned();
            }
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.name]);
        let _ = self.client.wait();
    }
}

/// Starts a Secrets Manager with one secret; returns its port.
fn secrets_manager() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        BufReader::new(&client).read_line(&mut String::new()).unwrap();
        let keys = json!({"1": "a master key for tests, of enough characters"}).to_string();
        let body = json!({"SecretString": keys}).to_string();
        write!(client, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        // Reads the rest of the request: closing before that would reset the connection.
        let _ = std::io::copy(&mut client, &mut std::io::sink());
    });
    port
}
