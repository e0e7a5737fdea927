//! What stands for the devices in the field: the reference client in C, and CoAP clients of others.
//!
//! `make test-clients` installs what the machine lacks. What is not there even so is told on standard error, and the tests that
//! need it pass without having tested anything; not so where `CI` is `true`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

/// Where `make test-clients` unpacks what the machine lacks.
const DEBIAN: &str = ".local/tools/debian/unpacked/usr";

/// A command of the client in C, without arguments, or `None` where it cannot be built.
pub fn reference_client() -> Option<Command> {
    static CLIENT: LazyLock<Option<PathBuf>> = LazyLock::new(build_reference_client);
    or_skip(CLIENT.as_ref().map(Command::new), "the headers and library of mbed TLS (on Debian: libmbedtls-dev)")
}

/// A command of libcoap's client, without arguments, or `None` where it is not installed.
pub fn libcoap() -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [crate::repository(DEBIAN).join("bin")].into_iter().chain(std::env::split_paths(&path));
    let programs = folders.flat_map(|folder| ["coap-client-notls", "coap-client"].map(|name| folder.join(name)));
    let found = programs.into_iter().find(|program| program.is_file()).map(|program| {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries()).unwrap());
        command
    });
    or_skip(found, "libcoap's coap-client (on Debian: libcoap3-bin)")
}

/// A command of `tests/coap_post.py`, without arguments, or `None` where aiocoap is not installed.
pub fn aiocoap() -> Option<Command> {
    let python = crate::repository(".local/tools/test-clients/bin/python");
    let command = python.is_file().then(|| {
        let mut command = Command::new(python);
        command.arg(crate::repository("tests/coap_post.py"));
        command
    });
    or_skip(command, "aiocoap (`make test-clients` installs it)")
}

/// Runs a command to its end, elsewhere than on this thread, which the bridge may need.
pub async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"))).await.unwrap()
}

fn or_skip<T>(client: Option<T>, what: &str) -> Option<T> {
    if client.is_none() {
        let told = format!("skipped: this machine lacks {what}");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{told}");
        // Not by a macro: the test runner keeps to itself what passing tests print by those.
        let _ = writeln!(std::io::stderr(), "{told}");
    }
    client
}

/// With the sanitizers where the compiler has them. `None` where there is no mbed TLS.
fn build_reference_client() -> Option<PathBuf> {
    let header = ["-fsyntax-only", "-include", "mbedtls/hkdf.h", "-x", "c", "/dev/null"];
    if !compiler().args(header).output().expect("cc, which Rust links with").status.success() {
        return None;
    }
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let own = folder.join(format!("reference-client-{}", std::process::id()));
    if !compile(&own, &["-fsanitize=address,undefined", "-fno-sanitize-recover"]).status.success() {
        let plain = compile(&own, &[]);
        assert!(plain.status.success(), "{}", String::from_utf8_lossy(&plain.stderr));
    }
    // Tests of another process may be running the one that is there.
    let client = folder.join("reference-client");
    std::fs::rename(own, &client).unwrap();
    Some(client)
}

fn compile(client: &Path, more: &[&str]) -> Output {
    let source = crate::repository("clients/c");
    let archive =
        libraries().into_iter().map(|folder| folder.join("libmbedcrypto.a")).find(|archive| archive.is_file());
    let mut cc = compiler();
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-g"]).args(more);
    cc.args(["client.c", "coap.c", "sealed.c"].map(|file| source.join(file)));
    cc.arg(archive.unwrap_or_else(|| "-lmbedcrypto".into())).arg("-o").arg(client).output().unwrap()
}

fn compiler() -> Command {
    let mut cc = Command::new("cc");
    cc.arg("-I").arg(crate::repository(DEBIAN).join("include"));
    cc
}

/// The folders of unpacked libraries: those of Debian are one below `lib`, named by the architecture.
fn libraries() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(crate::repository(DEBIAN).join("lib")).into_iter().flatten();
    folders.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
