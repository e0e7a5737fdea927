//! The real template in a local cloud of its own, on free ports. It ends when the value is dropped, or, if this process
//! is killed, when the pipe to it closes.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running stack.
#[derive(Debug)]
pub struct Stack {
    runner: Child,
    addresses: HashMap<String, String>,
}

impl Stack {
    /// Starts a stack from the output of `make build`, with these parameters of the template. It asks the Sigfox API at that
    /// URL for undelivered callbacks.
    pub fn start(directory: &Path, sigfox_api: &str, parameters: &[&str]) -> Self {
        let mut runner = Command::new("python3")
            .arg(crate::repository("tools/local.py"))
            .args(["run", "--dir"])
            .arg(directory)
            .args(["--sigfox-api", sigfox_api])
            .args(parameters.iter().flat_map(|parameter| ["--parameter", parameter]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("python3: {e}"));
        let mut line = String::new();
        let addresses = runner.stdout.take().and_then(|out| BufReader::new(out).read_line(&mut line).ok());
        let addresses = addresses.and_then(|_| serde_json::from_str(&line).ok());
        Self { runner, addresses: addresses.unwrap_or_else(|| panic!("the stack did not start")) }
    }

    /// The settings that `.local/env` has after `make up`, by name.
    pub fn addresses(&self) -> &HashMap<String, String> {
        &self.addresses
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        drop(self.runner.stdin.take());
        let _ = self.runner.wait();
    }
}
