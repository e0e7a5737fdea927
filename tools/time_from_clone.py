#!/usr/bin/env python3
"""Times `make demo`, `make demo` again and `make test` in a fresh clone of HEAD, with an empty home.

Everything is downloaded and compiled again, except for the Rust toolchain and what the system has. It prints a table in
Markdown. Processor time is that of the commands; of the local cloud and the functions it contains nothing. Logs are in
.local/logs.
"""

import argparse
import datetime
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine
from steps import LOCAL, ROOT, command, reported_problems, step

# Where users name mirrors of the registries.
MIRROR_SETTINGS = (".cargo/config.toml", ".config/pip/pip.conf")
# Settings that would let the clone use what others have downloaded or built.
SHARED = ("CARGO_HOME", "CARGO_TARGET_DIR", "PIP_CACHE_DIR", "XDG_CACHE_HOME", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=["demo", "demo", "test"], help="default: demo demo test")
    targets = parser.parse_args().targets
    with reported_problems(), tempfile.TemporaryDirectory(prefix="pulsegate-") as directory:
        clone = Path(directory) / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        env = empty_home(Path(directory) / "home")
        rows = [timed(number, target, clone, env) for number, target in enumerate(targets, 1)]
        print_table(rows, clone)


def empty_home(home):
    env = {key: value for key, value in os.environ.items() if key not in SHARED}
    for settings in MIRROR_SETTINGS:
        if (own := Path.home() / settings).exists():
            (home / settings).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(own, home / settings)
    home.mkdir(exist_ok=True)
    # Python first by its real path: a version manager would look for it in the home.
    path = f"{Path(sys.executable).resolve().parent}:{env['PATH']}"
    rustup = env.get("RUSTUP_HOME", str(Path.home() / ".rustup"))
    return env | {"HOME": str(home), "PATH": path, "RUSTUP_HOME": rustup}


def timed(number, target, clone, env):
    log = LOCAL / "logs" / f"time-{number}-{target}.log"
    load, processor, started = os.getloadavg()[0], processor_seconds(), time.monotonic()
    with step(f"make {target}", log):
        command(["make", target], log, env, cwd=clone)
    seconds = time.monotonic() - started
    return f"| `make {target}` | {seconds:.0f} | {processor_seconds() - processor:.0f} | {load:.1f} |"


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def print_table(rows, clone):
    output = lambda *arguments: subprocess.run(arguments, cwd=clone, capture_output=True, text=True).stdout.strip()
    print(f"Measured on {datetime.date.today()}, on {machine()}; {output('rustc', '--version')};")
    print(f"commit {output('git', 'rev-parse', '--short', 'HEAD')}.\n")
    print("| Command | Seconds | Processor seconds | Load before |\n|---|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
