"""Shows the steps of a command and runs programs; a failed program shows the end of its log."""

import contextlib
import fcntl
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
LOG_LINES_SHOWN = 20
NAME_WIDTH = 56
# Cargo's progress line, e.g. "Building [====>   ] 123/456: ring, tokio".
CARGO_PROGRESS = re.compile(r"\[[=> ]*\] (\d+)/(\d+)(?:: (.*))?")

current_step = ""


class Problem(Exception):
    """An error that the user can act on: what is wrong, what to do, and the log."""

    def __init__(self, message, log=None):
        super().__init__(message)
        self.log = log


@contextlib.contextmanager
def reported_problems():
    """Prints a Problem with the end of its log, and exits with code 1."""
    try:
        yield
    except Problem as problem:
        say(f"\nfailed: {problem}")
        if problem.log:
            say(f"log: {problem.log}\nits last lines:")
            lines = problem.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
            say("\n".join("  | " + line for line in lines))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def step(name, log=None):
    """Prints one line: the name of the step at once, its duration at the end. A terminal also shows progress."""
    global current_step
    current_step, started = name, time.monotonic()
    say(name.ljust(NAME_WIDTH), end=" ")
    try:
        yield
    except BaseException as error:
        finish(name, "failed" if isinstance(error, Exception) else "interrupted")
        if isinstance(error, Problem):
            raise Problem(f"{name}: {error}", error.log or log) from error
        raise
    finish(name, f"{time.monotonic() - started:6.1f} s")


def finish(name, result):
    if sys.stderr.isatty():
        say(f"\r\033[K{name.ljust(NAME_WIDTH)} {result}")
    else:
        say(result)


def progress(text):
    """Shows on a terminal how far the current step is, after its name."""
    if sys.stderr.isatty():
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # 0 if the terminal does not tell
        say(f"\r\033[K{f'{current_step}: {text}'[: columns - 1]}", end="")


def say(text, end="\n"):
    """Prints to standard error; standard output is for results, so that they can be piped."""
    # A reader that has gone, such as `head`, must not keep a stack from being stopped.
    with contextlib.suppress(BrokenPipeError):
        print(text, end=end, file=sys.stderr, flush=True)


def command(arguments, log, env, append=False, cwd=ROOT):
    """Runs a program to its end. Its output goes to the log; its latest line is the step's progress."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # Cargo shows its progress line only on a terminal, unless told so.
    env = env | {"CARGO_TERM_PROGRESS_WHEN": "always", "CARGO_TERM_PROGRESS_WIDTH": "200", "CARGO_TERM_COLOR": "never"}
    with log.open("a" if append else "w") as output:
        process = subprocess.Popen(
            arguments,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,  # "\r", which ends a progress line, also ends a line here
            errors="replace",
        )
        for line in process.stdout:
            if of_cargo := CARGO_PROGRESS.search(line):
                progress("crate {} of {}: {}".format(*of_cargo.groups(default="")))
            elif line.strip():
                output.write(line)
                output.flush()
                progress(line.strip())
    if process.wait():
        shown = shlex.join(str(each) for each in arguments)
        raise Problem(f"`{shown}` ended with exit code {process.returncode}", log)


@contextlib.contextmanager
def locked(name):
    """Lets one process at a time in, of all that run in this clone."""
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_private(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
