//! Tests of the `fleet` program: among others, a run that is killed and resumed.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleet::meters::Fleet;
use fleet::run::{Run, Sessions};
use test_kit::kinesis::StandIn;
use test_kit::sealed::MasterKey;

/// A bridge's sealed listener. It acknowledges uplinks and counts the arrivals of each by IMEI, counter and time. It
/// echoes an empty datagram.
struct Bridge {
    address: String,
    came: Arc<Mutex<BTreeMap<Vec<u8>, u32>>>,
    over: Arc<AtomicBool>,
}

impl Bridge {
    fn start() -> Self {
        let socket = bridge_load::net::udp_socket(0, false).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let (came, over) = (Arc::default(), Arc::default());
        let bridge = Self { address, came: Arc::clone(&came), over: Arc::clone(&over) };
        std::thread::spawn(move || listen(&socket, &came, &over));
        bridge
    }

    /// Uplinks received so far. The echo of an empty datagram shows that all earlier datagrams were read.
    fn came(&self) -> BTreeMap<Vec<u8>, u32> {
        let socket = bridge_load::net::udp_socket(0, false).unwrap();
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        socket.send_to(&[], &self.address).unwrap();
        socket.recv(&mut [0; 1]).expect("the listener takes what is sent to it");
        self.came.lock().unwrap().clone()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn listen(socket: &UdpSocket, came: &Mutex<BTreeMap<Vec<u8>, u32>>, over: &AtomicBool) {
    let (key, mut buffer) = (MasterKey::default(), [0; 2048]);
    while !over.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        if len == 0 {
            socket.send_to(&[], from).unwrap();
            continue;
        }
        let answer = key.acknowledgement(&buffer[..len], now()).expect("every datagram is sealed");
        *came.lock().unwrap().entry(buffer[2..18].to_vec()).or_default() += 1;
        socket.send_to(&answer, from).unwrap();
    }
}

/// The time of an acknowledgement, by which a meter sets its clock.
fn now() -> u32 {
    u32::try_from(jiff::Timestamp::now().as_second()).unwrap()
}

/// A stack, described by its file of addresses in a directory that is removed when this is dropped.
struct Stack {
    bridge: Bridge,
    _secrets: StandIn,
    directory: PathBuf,
}

impl Stack {
    fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("pulsegate-fleet-{:016x}", fastrand::u64(..)));
        std::fs::create_dir_all(&directory).unwrap();
        let (bridge, secrets) = (Bridge::start(), StandIn::start(Duration::ZERO, None, 1).unwrap());
        let env = format!(
            "AWS_ENDPOINT_URL=http://{}\nAWS_REGION=eu-west-1\nAWS_ACCESS_KEY_ID=test\nAWS_SECRET_ACCESS_KEY='test'\n\
             MASTER_KEYS_SECRET_ID=keys\nNBIOT_SEALED_ADDR={}\n",
            secrets.addr(),
            bridge.address
        );
        std::fs::write(directory.join("env"), env).unwrap();
        Self { bridge, _secrets: secrets, directory }
    }

    fn run(&self) -> PathBuf {
        self.directory.join("run")
    }

    fn load(&self, line: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        command.arg("load").args(line.split_whitespace()).arg("--env").arg(self.directory.join("env"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Number of acknowledged sessions in the run's files.
fn acknowledged(run: &Path) -> u64 {
    let fleet = Run::read(run).and_then(|run| Ok(Fleet::new(run.spec)?));
    let Ok(fleet) = fleet else { return 0 };
    Sessions::read(run, fleet.spec().devices, fleet.hours()).map_or(0, |sessions| sessions.acknowledged())
}

/// The first pause is long, so that a busy machine causes no repetitions.
const FLEET: &str = "--devices 600 --hours 2 --speed-up 900 --sigfox-share 0 --profile-mix adeunis-pulse4-nbiot \
                     --first-pause 1m";

#[test]
fn a_simulator_that_is_killed_goes_on_with_the_same_fleet() {
    let stack = Stack::start();
    let run = stack.run();
    let mut first = stack.load(&format!("{FLEET} --quiet --run {}", run.display()));
    let patience = Instant::now() + Duration::from_mins(1);
    while acknowledged(&run) < 50 {
        assert!(Instant::now() < patience && first.try_wait().unwrap().is_none(), "{:?}", first.wait_with_output());
        std::thread::sleep(Duration::from_millis(20));
    }
    // SIGKILL.
    first.kill().unwrap();
    first.wait().unwrap();
    let (before, came_before) = (acknowledged(&run), stack.bridge.came().len());
    assert!(came_before < 1_200, "it was killed before its end");

    let command = Run::read(&run).unwrap().options["command"].as_str().unwrap().to_owned();
    assert!(command.starts_with("fleet load --devices 600 --hours 2 "), "{command}");

    let again = stack.load(&format!("--resume {} --format json", run.display())).wait_with_output().unwrap();
    assert!(again.status.success(), "{}", text(&again));
    let fleet = Fleet::new(Run::read(&run).unwrap().spec).unwrap();
    let sessions = (0..2).flat_map(|hour| (0..fleet.sessions(hour)).map(move |n| (hour, n)));
    let sent = sessions.filter_map(|(hour, n)| Some((fleet.due(hour, n)?.0, hour)));
    let uplinks: usize =
        sent.map(|(meter, hour)| fleet.session(meter, hour, fleet.counted(meter, hour)).uplinks.len()).sum();
    let came = stack.bridge.came();
    assert_eq!(came.len(), uplinks, "every uplink came, and none that is not the fleet's");
    let repeated = came.values().filter(|&&times| times > 1).count();
    let noted = usize::try_from(before).unwrap();
    assert!(
        repeated <= came_before - noted,
        "what was acknowledged is not sent again: {repeated} of {came_before}, {noted} noted"
    );
    let measured = Run::read(&run).unwrap().measured;
    assert_eq!((measured.acknowledged, measured.given_up, measured.complete), (uplinks as u64, 0, true));
}

#[test]
fn a_stack_that_lacks_an_address_is_told_which() {
    let stack = Stack::start();
    let line =
        format!("{FLEET} --sigfox-share 1 --profile-mix adeunis-pulse-v4 --quiet --run {}", stack.run().display());
    let line = line.replacen("--sigfox-share 0 --profile-mix adeunis-pulse4-nbiot", "", 1);
    let output = stack.load(&line).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("API_URL"), "{}", text(&output));
}

/// A fleet needs only a few bytes of memory per meter.
#[test]
fn three_million_six_hundred_thousand_meters_fit_into_a_small_memory() {
    let stack = Stack::start();
    let line =
        "--devices 3600000 --hours 0.001 --sigfox-share 0 --profile-mix adeunis-pulse4-nbiot --max-rate 500 --quiet";
    let output = stack.load(&format!("{line} --run {}", stack.run().display())).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let measured = Run::read(&stack.run()).unwrap().measured;
    assert!(measured.acknowledged > 1_000, "{measured:?}");
    assert!((10_000_000..200_000_000).contains(&measured.simulator_rss), "{} bytes", measured.simulator_rss);
}
