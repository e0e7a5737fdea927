#!/usr/bin/env python3
"""Measures cold start and duration of each function under AWS's Runtime Interface Emulator.

It runs the functions of `make release` as Lambda does, one at a time, with the events of events/, against a local cloud of
its own (of `make build`). Then it compares the callback's function with the same in Python. It prints tables in Markdown
to standard output, everything else to standard error. It fails if a function does not answer with success.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import statistics

from aws import client, configuration_of
from build import release_function
from compare import compare
from events import event_of
from local import check_machine, exit_on_signals, forget_callers_account, install_tools
from machine import machine
from measure import DIRECTORY, WARM_CALLS, Function, measure, spread
from stack import stack
from steps import ROOT, locked, reported_problems

# Each function with its simplest event. SigfoxRecovery is missing: its calls wait until Sigfox may be asked again.
FUNCTIONS = {
    "SigfoxCallback": "sigfox-callback-uplink.json",
    "RawSigfox": "raw-sigfox.json",
    "RawNbiot": "raw-nbiot.json",
    "PulseSigfox": "pulse-sigfox.json",
    "PulseNbiot": "pulse-nbiot.json",
    # With nothing to do: the time of a real run is that of its rows.
    "Settle": "settle.json",
    "Derive": "derive.json",
    "Days": "days-scheduled.json",
}

LEAST_STARTS = 10

# The limits that Pulsegate sets itself. The cold start of SigfoxCallback includes a request for its secret.
MAX_BINARY_MB = 12  # the client of S3 takes 2 MB, Parquet and zstd 1 to 2
MAX_INIT_MS = 25


def main():
    args = arguments()
    forget_callers_account()
    exit_on_signals()
    with reported_problems():
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


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs", type=int, default=20, help=f"fresh starts of each function (default: 20, least: {LEAST_STARTS})"
    )
    parser.add_argument("--only", choices=["functions", "comparison"], help="run one of the two parts")
    args = parser.parse_args()
    if args.runs < LEAST_STARTS:
        parser.error(f"--runs {args.runs}: at least {LEAST_STARTS} starts are needed")
    return args


def pause_event_sources(addresses):
    """Keeps the local cloud's own functions from processing what the measured function sends, which would cost time."""
    functions = client("lambda", addresses["AWS_ENDPOINT_URL"])
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def measured(name, starts, addresses):
    program = release_function(name)
    function = Function(name, [program], configuration_of(name, addresses["AWS_ENDPOINT_URL"]))
    event = event_of(ROOT / "events" / FUNCTIONS[name], addresses["CALLBACK_SECRET"])
    wanted = wanted_of(event)
    figures = measure(function, json.dumps(event).encode(), wanted, starts, addresses)
    return figures | {"binary": program.stat().st_size / 1e6}


def wanted_of(event):
    """The required content of the answer to an event."""
    if "headers" in event:
        return {"statusCode": 204}
    return {"batchItemFailures": []} if "Records" in event else {"unreadable": 0}


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
    print("- The binary is the one that AWS gets; memory there includes TLS.")
    print("- Times are of this machine and its local cloud, without TLS: only their ratios hold elsewhere.", flush=True)


def verdict(rows):
    over = []
    for name, row in rows.items():
        if row["binary"] >= MAX_BINARY_MB:
            over.append(f"{name}'s binary has {row['binary']:.1f} MB")
        if (init := statistics.median(row["init"])) >= MAX_INIT_MS:
            over.append(f"{name}'s init takes {init:.1f} ms")
    return f"Exceeded: {'; '.join(over)}." if over else "All functions keep them."


if __name__ == "__main__":
    main()
