#!/usr/bin/env python3
"""Cold start and duration of each function, under AWS's Runtime Interface Emulator.

The functions of `make build` are run as Lambda runs them, one at a time, with the events of events/, against
a local cloud of their own; then the callback's function beside one in Python that does the same. What comes out
are tables in Markdown, on standard output; all else goes to standard error. It fails when a function answers with
anything but success.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import signal
import statistics
import sys
from pathlib import Path

from compare import compare
from emulator import configuration_of, event_of, program_of
from local import check_machine, forget_callers_account, install_tools
from measure import DIRECTORY, WARM_CALLS, Function, measure, spread
from stack import client, stack
from steps import ROOT, Problem, locked, say

# Each with the plainest of its events. Not SigfoxRecovery: its calls wait until Sigfox may be asked again.
FUNCTIONS = {
    "SigfoxCallback": "sigfox-callback-uplink.json",
    "RawSigfox": "raw-sigfox.json",
    "RawNbiot": "raw-nbiot.json",
    "PulseSigfox": "pulse-sigfox.json",
    "PulseNbiot": "pulse-nbiot.json",
}

LEAST_STARTS = 10

# What Pulsegate aims at. SigfoxCallback's cold start includes a request: it reads its secret.
MAX_BINARY_MB = 10
MAX_INIT_MS = 25


def main():
    args = arguments()
    forget_callers_account()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        check_machine()
        install_tools("bench")
        load = os.getloadavg()[0]
        with locked("bench"), stack(DIRECTORY) as addresses:
            pause_event_sources(addresses)
            print_heading(args.runs, load)
            if args.only != "comparison":
                print_functions({name: measured(name, args.runs, addresses) for name in FUNCTIONS})
            if args.only != "functions":
                compare(args.runs, addresses)
    except Problem as problem:
        say(f"\nfailed: {problem}")
        if problem.log:
            say(f"its log: {problem.log}\nthe end of it:")
            lines = problem.log.read_text(errors="replace").splitlines()[-10:]
            say("\n".join("  | " + line for line in lines))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs", type=int, default=20, help=f"fresh starts of each function (default: 20, least: {LEAST_STARTS})"
    )
    parser.add_argument("--only", choices=["functions", "comparison"], help="one of the two parts")
    args = parser.parse_args()
    if args.runs < LEAST_STARTS:
        parser.error(f"--runs {args.runs}: fewer than {LEAST_STARTS} starts say nothing")
    return args


def pause_event_sources(addresses):
    """What the measured function sends must not set the local cloud's own functions to work beside it."""
    functions = client("lambda", addresses["AWS_ENDPOINT_URL"])
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def measured(name, starts, addresses):
    program = program_of(name)
    function = Function(name, [program], configuration_of(name, addresses["AWS_ENDPOINT_URL"]))
    event = event_of(ROOT / "events" / FUNCTIONS[name], addresses["CALLBACK_SECRET"])
    wanted = {"statusCode": 204} if "headers" in event else {"batchItemFailures": []}
    figures = measure(function, json.dumps(event).encode(), wanted, starts, addresses)
    return figures | {"binary": program.stat().st_size / 1e6}


def print_heading(starts, load):
    version = importlib.metadata.version("aws-sam-cli")
    print(f"Measured on {datetime.date.today()}, on {machine()}; load before: {load:.1f}.")
    print(f"Emulator: the one of aws-sam-cli {version}. {starts} cold starts and {WARM_CALLS} warm calls each.")
    print("Three numbers: least / median / most.", flush=True)


def print_functions(rows):
    print("\n## Each function\n")
    print("| Function | Binary, MB | Peak memory, MB | Init, ms | First call, ms | Warm call, ms | Billed, ms |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, row in rows.items():
        cells = [name, f"{row['binary']:.1f}", f"{row['memory'][0]:.1f}"]
        cells += [spread(row[key], 1) for key in ("init", "first", "warm")] + [spread(row["warm billed"], 0)]
        print(f"| {' | '.join(cells)} |")
    print("\nFirst call: the one after the init, without it.\n")
    print(f"- Limits: binary under {MAX_BINARY_MB} MB, median init under {MAX_INIT_MS} ms. {verdict(rows)}")
    print("- The binary is what AWS gets, too; memory there has TLS on top.")
    print("- Times are of this machine and its local cloud, without TLS: only their ratios hold elsewhere.", flush=True)


def verdict(rows):
    over = []
    for name, row in rows.items():
        if row["binary"] >= MAX_BINARY_MB:
            over.append(f"{name}'s binary has {row['binary']:.1f} MB")
        if (init := statistics.median(row["init"])) >= MAX_INIT_MS:
            over.append(f"{name}'s init takes {init:.1f} ms")
    return f"Not held: {'; '.join(over)}." if over else "Held by all."


def machine():
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())[1]) * 1024 / 1e9
    kernel = ".".join(platform.release().split(".")[:2])
    cores, model = len(os.sched_getaffinity(0)), cpu[1] if cpu else platform.machine()
    return f"{cores} cores of {model}, {memory:.0f} GB of memory, Linux {kernel}"


if __name__ == "__main__":
    main()
