"""What the user sees of a step, and how a command is run and its failure told."""

import contextlib
import fcntl
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"


class Problem(Exception):
    """Something that the user has to know: what is wrong, what to do, and where the log is."""

    def __init__(self, message, log=None):
        super().__init__(message)
        self.log = log


@contextlib.contextmanager
def step(name, log=None):
    """A line for each step: its name at once, and how long it took when it is done."""
    began = time.monotonic()
    print(f"{name} ".ljust(56, "."), end=" ", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException as error:
        say("failed" if isinstance(error, Exception) else "interrupted")
        if isinstance(error, Problem):
            raise Problem(f"{name}: {error}", error.log or log) from error
        raise
    say(f"{time.monotonic() - began:6.1f} s")


def say(line):
    """Everything but results goes to standard error, so that results can be piped."""
    print(line, file=sys.stderr, flush=True)


def command(arguments, log, env, append=False):
    """Runs a command to its end; what it says goes to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a" if append else "w") as output:
        process = subprocess.run(
            arguments, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    if process.returncode:
        shown = shlex.join(str(each) for each in arguments)
        raise Problem(f"`{shown}` ended with exit code {process.returncode}", log)


@contextlib.contextmanager
def locked(name):
    """One at a time, whoever else types make in this clone."""
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_private(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
