//! Programs of others: clients that stand in for devices (the reference client in C, and CoAP clients), and readers of the
//! archive's files.
//!
//! `make test-clients` installs the clients that the machine lacks. A test whose client is missing prints that on
//! standard error and passes without testing anything; where `CI` is `true`, it fails.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

/// Folder into which `make test-clients` unpacks Debian packages.
const DEBIAN: &str = ".local/tools/debian/unpacked/usr";

/// Returns the command of the client in C, without arguments, or `None` if it cannot be built.
pub fn reference_client() -> Option<Command> {
    static CLIENT: LazyLock<Option<PathBuf>> = LazyLock::new(build_reference_client);
    or_skip(CLIENT.as_ref().map(Command::new), "the headers and library of mbed TLS (on Debian: libmbedtls-dev)")
}

/// Returns the command of libcoap's client, without arguments, or `None` if it is not installed.
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

/// Returns the command of `tests/coap_post.py`, without arguments, or `None` if aiocoap is not installed.
pub fn aiocoap() -> Option<Command> {
    let command = python_of("test-clients", "tests/coap_post.py");
    or_skip(command, "aiocoap (`make test-clients` installs it)")
}

/// Returns the command of `tests/archive_readers.py`, without arguments, or `None` if `DuckDB` and pyarrow are not installed.
pub fn archive_readers() -> Option<Command> {
    let script = python_of("readers", "tests/archive_readers.py");
    or_skip(script, "DuckDB and pyarrow (`make test-clients` installs them)")
}

/// The command of a script, in the Python that has what `tools/requirements-NAME.txt` lists.
fn python_of(name: &str, script: &str) -> Option<Command> {
    let python = crate::repository(&format!(".local/tools/{name}/bin/python"));
    python.is_file().then(|| {
        let mut command = Command::new(python);
        command.arg(crate::repository(script));
        command
    })
}

/// Runs a command to its end on another thread, because the bridge may need this one.
pub async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"))).await.unwrap()
}

fn or_skip<T>(client: Option<T>, what: &str) -> Option<T> {
    if client.is_none() {
        let message = format!("skipped: this machine lacks {what}");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
        // Not `eprintln!`: the test runner captures the output of its macros for passing tests.
        let _ = writeln!(std::io::stderr(), "{message}");
    }
    client
}

/// Builds with the sanitizers if the compiler has them. Returns `None` if mbed TLS is missing.
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
    // Another test process may be running the existing binary; a rename does not disturb it.
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

/// Returns the folders of unpacked libraries: Debian's are one below `lib`, named after the architecture.
fn libraries() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(crate::repository(DEBIAN).join("lib")).into_iter().flatten();
    folders.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
