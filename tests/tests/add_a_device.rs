//! Takes the walk of `docs/add-a-device.md` on a copy of the workspace: every block of the page is put where the page says, and the
//! page's commands are run there.
//!
//! The copy shares the target directory, so only the workspace's own crates are compiled once more. It stays there, and
//! only what has changed is written, so the next time little is compiled.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use pulsegate_tests::{read, repository};

const PAGE: &str = "docs/add-a-device.md";
/// What the page's commands need of the repository: the workspace, and the page that they renew.
const NEEDED: [&str; 8] =
    ["Cargo.toml", "Cargo.lock", "docs/write-cost.md", "functions", "shared", "tests", "tools", "udp-bridge"];

/// Files by their path in the repository.
type Files = BTreeMap<PathBuf, String>;

#[test]
fn who_follows_the_page_has_the_device_decoded() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("add-a-device");
    fs::create_dir_all(&place).unwrap();
    let lock = File::create(place.with_extension("lock")).unwrap();
    // Until the end: another run of this test would write to the same copy.
    lock.lock().unwrap();

    let mut files = workspace();
    let mut commands = vec![];
    for (says, block) in blocks() {
        if says.starts_with("```sh") {
            commands.push(block);
        } else {
            apply(&mut files, &says, &block);
        }
    }
    put(&place, &files);
    for commands in &commands {
        let (passed, output) = run(&place, commands);
        assert!(passed, "{commands}\n{output}");
    }
    let costs = fs::read_to_string(place.join("docs/write-cost.md")).unwrap();
    assert!(costs.contains("| `acme-w1-three-logs` | 10 | "), "{costs}");

    assert!(costs.contains("| `acme-w2-three-logs` | 20 | "), "{costs}");

    // The meter's frame was read: with one count changed in its case, the last of the commands fails.
    let case = files.get_mut(Path::new("tests/codecs/acme.yaml")).unwrap();
    *case = case.replace("4997", "4998");
    put(&place, &files);
    let (passed, output) = run(&place, &commands[commands.len() - 1]);
    assert!(!passed && output.contains("acme.yaml: \"acme-w1-three-logs\""), "{output}");

    // And its device was identified: the same with another device.
    let case = files.get_mut(Path::new("tests/codecs/acme.yaml")).unwrap();
    *case = case.replace("4998", "4997").replace("nbiot:490154203237518", "nbiot:490154203237519");
    put(&place, &files);
    let (passed, output) = run(&place, &commands[commands.len() - 1]);
    assert!(!passed && output.contains("acme.yaml: \"acme-w2-three-logs\""), "{output}");
}

/// Every fenced block of the page, with the line that says what it is for: the last one before it, or the fence of a command.
fn blocks() -> Vec<(String, String)> {
    let page = read(PAGE);
    let (mut blocks, mut says) = (vec![], "");
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let says = if line == "```sh" { line } else { says };
            blocks.push((says.to_owned(), block.join("\n") + "\n"));
        } else if !line.is_empty() {
            says = line;
        }
    }
    blocks
}

/// Does what the page says with a block.
fn apply(files: &mut Files, says: &str, block: &str) {
    let quoted: Vec<&str> = says.split('`').skip(1).step_by(2).collect();
    match (says.split_once(" `").map(|(verb, _)| verb), &quoted[..]) {
        (Some("A new file,"), [path]) => {
            assert!(files.insert(path.into(), block.to_owned()).is_none(), "{path} is there already");
        }
        (Some("At the end of"), [path]) => {
            let file = files.get_mut(Path::new(path)).unwrap_or_else(|| panic!("there is no {path}"));
            file.push('\n');
            file.push_str(block);
        }
        (Some("In"), [path, place]) => {
            let file = files.get_mut(Path::new(path)).unwrap_or_else(|| panic!("there is no {path}"));
            assert_eq!(file.matches(place).count(), 1, "{path} has one place {place}");
            *file = file.replace(place, &format!("{block}{place}"));
        }
        _ => panic!("{PAGE}: this says nothing that could be done with a block: {says}"),
    }
}

/// The files that are needed, as they are in the repository.
fn workspace() -> Files {
    let mut files = Files::new();
    let mut left: Vec<PathBuf> = NEEDED.iter().map(PathBuf::from).collect();
    while let Some(path) = left.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == "target" || name == "__pycache__" || name.starts_with('.') {
            continue;
        }
        let place = repository(path.to_str().unwrap());
        if place.is_dir() {
            left.extend(fs::read_dir(&place).unwrap().map(|entry| path.join(entry.unwrap().file_name())));
        } else if let Ok(text) = fs::read_to_string(&place) {
            files.insert(path, text);
        }
    }
    // Cargo names what it compiles by the crates' paths in their workspace and by their profile. With a profile of its own
    // nothing of the copy takes the place of the original in the target directory.
    let manifest = files.get_mut(Path::new("Cargo.toml")).unwrap();
    manifest.push_str("\n[profile.dev.package.pulsegate-model]\ncodegen-units = 15\n");
    files
}

/// Makes the place hold these files and no others. What is there already keeps its time stamp, by which cargo goes.
fn put(place: &Path, files: &Files) {
    let mut left = vec![place.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if !files.contains_key(path.strip_prefix(place).unwrap()) {
            fs::remove_file(path).unwrap();
        }
    }
    for (path, text) in files {
        let path = place.join(path);
        if fs::read_to_string(&path).is_ok_and(|there| there == *text) {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Runs commands in the copy; whether all passed, and what they said.
fn run(place: &Path, commands: &str) -> (bool, String) {
    let cargo = Path::new(env!("CARGO")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    // What cargo tells this test of its own package. Build scripts that ask for it would run again, and for the original too.
    let told = |name: &String| ["CARGO_MANIFEST_", "CARGO_PKG_"].iter().any(|of| name.starts_with(of));
    for name in std::env::vars().map(|(name, _)| name).filter(told) {
        command.env_remove(name);
    }
    let output = command
        .args(["-ec", commands])
        .current_dir(place)
        .env("PATH", format!("{}:{path}", cargo.display()))
        // The directory that this test was compiled into, whatever it is called. Its crates have all been downloaded.
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap())
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .unwrap_or_else(|e| panic!("sh: {e}"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
