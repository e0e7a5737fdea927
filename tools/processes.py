"""Starts processes that outlive the command that starts them, finds them again and ends them."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from aws import FIXED
from build import TOOLS
from steps import ROOT, Problem

# Below a stack's directory, for whatever its processes write; removed when the stack ends. The directory is the
# caller's, so the name is one that nobody else uses.
SCRATCH = "pulsegate-scratch"

# Every process of a stack, with all that it starts in turn, carries this variable with the directory of its stack and
# its part in it. That is how they are found again: unlike a process ID in a file, it cannot come to mean another
# process, and it includes the functions that the local cloud has started.
MARK = "PULSEGATE_LOCAL"


def mark(directory, part):
    return {MARK: f"{directory}:{part}"}


def clean_environment(directory):
    """Only those of the caller's variables without which nothing runs, and an empty home."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH") if key in os.environ}
    kept["PATH"] = f"{TOOLS / 'sam' / 'bin'}:{kept['PATH']}"
    scratch = directory / SCRATCH
    return FIXED | kept | {"HOME": str(scratch / "home"), "TMPDIR": str(scratch / "tmp")}


def spawn(arguments, log, env):
    """Starts a process that outlives this one, in a session of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        return subprocess.Popen(
            arguments,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def processes_of(directory, part):
    marked = f"{MARK}={directory}:{part}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        # Processes of other users cannot be read, nor those that end meanwhile.
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and marked in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def end(directory, part, timeout):
    """Ends the processes of a part, by SIGKILL after a time-out in seconds. Returns their number."""
    processes = processes_of(directory, part)
    ended = len(processes)
    send(signal.SIGTERM, processes)
    deadline = time.monotonic() + timeout
    while processes := processes_of(directory, part):
        if time.monotonic() > deadline:
            send(signal.SIGKILL, processes)
        time.sleep(0.05)
    return ended


def send(number, processes):
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def until(condition, seconds, process, log, what):
    """Waits until a starting process is ready."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            raise Problem(f"{what} ended with exit code {process.returncode} while it was starting", log)
        if time.monotonic() > deadline:
            raise Problem(f"{what} was not ready within {seconds} s", log)
        time.sleep(0.05)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def listens(host, port):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
