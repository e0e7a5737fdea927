#!/usr/bin/env python3
"""Measures the archive: settling a day, reading a meter, and the same with DuckDB and pyarrow.

It runs target/release/archive-bench (`make bench-archive` builds it) and tools/bench/archive_readers.py, each figure in a
process of its own, and prints tables in Markdown to standard output. It fails if `settle` misses its limits.
"""

import argparse
import datetime
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from build import TOOLS
from local import check_machine, install_requirements
from machine import machine
from steps import LOCAL, ROOT, Problem, locked, reported_problems, step

HOME = LOCAL / "bench-archive"
RUN = HOME / "run"
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "archive-bench"
PYTHON = TOOLS / "readers" / "bin" / "python"

# The limits that Pulsegate sets itself, for one partition at a time.
MAX_MICROSECONDS = 2.5
MAX_MB = 512

# Of a day of 3.6 million hourly meters.
ROWS_OF_A_DAY = 3_600_000 * 24
ROWS_OF_A_RUN = 3_600_000 // 4
RUNS_OF_A_DAY = 96

KINDS = {
    "fleet": "the load test's profiles",
    "short": "two indexes a frame",
    "random": "32 random bytes a frame",
}

# S3's time until the first byte, in milliseconds, and its rate for one request, in bytes a millisecond. (AWS, "Best
# practices design patterns: optimizing Amazon S3 performance": "roughly 100-200 milliseconds", "one concurrent request for
# each 85-90 MB/s")
FIRST_BYTE_MS = (100, 200)
BYTES_PER_MS = 85_000

# As in shared/pipeline/src/archive/reader.rs.
FILES_AT_ONCE = 16

# USD a million requests, eu-west-1.
LIST_USD, GET_USD = 5.0, 0.40


def main():
    args = arguments()
    with reported_problems():
        check_machine()
        with locked("tools"):
            install_requirements("readers")
        with locked("bench-archive"):
            load = os.getloadavg()[0]
            print_heading(args, load)
            late = settling(args.runs)
            deriving(args.runs)
            reading(args.days)
            shutil.rmtree(HOME)
        if late:
            raise Problem("settle misses its limits: " + "; ".join(late))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="processes per figure, of which the median counts")
    parser.add_argument("--days", type=int, default=7, help="different days of the year that is read; each takes seconds")
    return parser.parse_args()


def print_heading(args, load):
    print(f"Measured on {datetime.date.today()} on {machine()}; load before: {load:.1f}.")
    print(f"Command: `python3 tools/bench_archive.py --runs {args.runs} --days {args.days}`\n")


def settling(runs):
    generated, settled = {}, {}
    for kind, name in KINDS.items():
        home = fresh(kind)
        with step(f"generate a day of a partition, {name}"):
            generated[kind] = bench("generate", home, "--rows", kind)
        with step(f"settle, {runs} times"):
            settled[kind] = median([bench("settle", copied(home)) for _ in range(runs)])
    print_settled(generated, settled)
    compare(runs, settled["fleet"])
    backlog(runs)
    print_day(settled["fleet"])
    missed = lambda name, value, most: [f"{name} {value:.2f} of {most}"] if value > most else []
    return [
        text
        for kind, of in settled.items()
        for text in missed(f"{kind}: microseconds a row", of["microseconds_per_row"], MAX_MICROSECONDS)
        + missed(f"{kind}: MB", of["peak_mb"], MAX_MB)
    ]


def print_settled(generated, settled):
    print("`settle` of 90,000 new rows, in 9 objects, into a partition's file of 1.35 million:\n")
    print("| Rows | µs of processor a row | Processor s | Wall s | Peak MB | Bytes a row, new/ | day/ |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind, of in settled.items():
        new = generated[kind]["new_bytes_per_row"]
        print(
            f"| {KINDS[kind]} | {of['microseconds_per_row']:.2f} | {of['processor_seconds']:.2f} | {of['seconds']:.2f} "
            f"| {of['peak_mb']:.0f} | {new:.1f} | {of['bytes_per_row']:.1f} |"
        )
    share = generated["fleet"]["hours_with_pulses"]
    print(f"\nOf the hours {100 - 100 * share:.0f} % have no pulse; 1 % of the uplinks is lost. Limits: {MAX_MICROSECONDS} µs a row")
    print(f"of old file and new rows, {MAX_MB} MB.\n")


def compare(runs, ours):
    home = fresh("fleet", keep=True)
    names = {"merge-duckdb": "DuckDB", "merge-pyarrow": "pyarrow"}
    merged = {}
    with step(f"the same by DuckDB and pyarrow, {runs} times each"):
        # In turns, so that other work on the machine meets each of them.
        turns = [{name: reader(name, home, "1") for name in names} for _ in range(runs)]
    for name in names:
        merged[name] = median([turn[name] for turn in turns])
    print("The same union, the 90,000 rows read from Parquet, sorted and written with zstd 3 by one thread of others:\n")
    print("| | Processor s | of ours | Peak MB | of ours | Bytes a row |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, of in {"settle": ours, **{names[name]: of for name, of in merged.items()}}.items():
        processor, memory = of["processor_seconds"], of["peak_mb"]
        print(
            f"| {name} | {processor:.2f} | {processor / ours['processor_seconds']:.1f} | {memory:.0f} "
            f"| {memory / ours['peak_mb']:.1f} | {of['bytes_per_row']:.1f} |"
        )
    print()


def backlog(runs):
    home = fresh("backlog")
    with step("generate a backlog of 1.44 million rows in new/"):
        bench("generate", home, "--rows", "fleet", "--backlog")
    with step(f"settle it, {runs} times"):
        of = median([bench("settle", copied(home)) for _ in range(runs)])
    print(f"After a standstill, 1.44 million rows of one partition in 144 objects: {len(of['new_rows'])} runs of")
    print(f"{' and '.join(f'{rows:,}' for rows in of['new_rows'])} rows, {of['processor_seconds']:.2f} s of processor,")
    print(f"{of['microseconds_per_row']:.2f} µs a row touched, at most {of['peak_mb']:.0f} MB.\n")


def print_day(of):
    each = of["microseconds_per_row"] / 1e6
    new, half = ROWS_OF_A_RUN, ROWS_OF_A_DAY / 2
    print("A day of 3.6 million hourly meters is 86.4 million rows in 64 files. A run each 15 minutes merges 0.9 million new")
    print("rows into the files of today, which hold half of a day on average:\n")
    print("    seconds a run = (rows of today + new rows) x µs a row")
    print(f"    average: (43.2 M + 0.9 M) x {of['microseconds_per_row']:.2f} µs = {(half + new) * each:.0f} s")
    print(f"    at midnight: (86.4 M + 0.9 M) x {of['microseconds_per_row']:.2f} µs = {(2 * half + new) * each:.0f} s")
    print(f"    a day: {RUNS_OF_A_DAY} x {(half + new) * each:.0f} s = {RUNS_OF_A_DAY * (half + new) * each / 3600:.1f} hours of processor\n")


def deriving(runs):
    home = fresh("derive")
    with step("generate three days of a partition, and the points of the first two"):
        bench("generate", home, "--rows", "fleet", "--days", "3")
        bench("derive-before", home)
    with step(f"derive the points of the third and again of the second, {runs} times"):
        of = median([bench("derive", copied(home)) for _ in range(runs)])
    print("`derive` as each night: the points of the day that ended, and again those of the day before, of which its uplinks")
    print(f"have some ({of['files']:.0f} files made, {of['current']:.0f} left as they were):\n")
    print("| Uplinks of the days made | µs of processor each | Processor s | Wall s | Peak MB | GET | Points an uplink | Bytes a point | Bytes an uplink |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    print(
        f"| {of['uplinks']:,.0f} | {of['microseconds_per_uplink']:.2f} | {of['processor_seconds']:.2f} | {of['seconds']:.2f} "
        f"| {of['peak_mb']:.0f} | {of['gets']:.0f} | {of['points_per_uplink']:.2f} | {of['bytes_per_point']:.1f} "
        f"| {of['bytes_per_uplink']:.1f} |\n"
    )


def reading(days):
    home = fresh("read")
    with step(f"generate {days} days of a partition"):
        bench("generate", home, "--rows", "fleet", "--days", str(days))
    with step("read a meter's day, month and year"):
        ours = bench("read", home, "--days", str(days))["spans"]
    with step("the same by DuckDB"):
        theirs = reader("read-duckdb", home)["spans"]
    print("Reading a meter out of settled files of 1.47 million rows, from a local disk; the least of five:\n")
    print("| | LIST | GET | MB | ms | DuckDB ms | of ours | S3 s, estimated | USD a million, requests |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in ("day", "month", "year"):
        of, duckdb = ours[name], theirs[name]
        price = of["lists"] * LIST_USD + of["gets"] * GET_USD
        print(
            f"| {name} | {of['lists']} | {of['gets']} | {of['bytes'] / 1e6:.2f} | {of['milliseconds']:.1f} "
            f"| {duckdb['milliseconds']:.1f} | {duckdb['milliseconds'] / of['milliseconds']:.1f} | {estimate(of)} | {price:.0f} |"
        )
    low, high = FIRST_BYTE_MS
    print(f"\nThe files of {days} days stand for all days of the year, by links.\n")
    print(f"    S3 s = waits x {low} to {high} ms + bytes / 85 MB/s + ms here\n")


def estimate(of):
    """Seconds from S3, for the shortest and the longest time until the first byte."""
    # The list of erased devices, and those of new/, one after another; then the footers of 16 files at once, and their rows.
    files = (of["gets"] - 1) / 2
    waits = 1 + of["lists"] + 2 * math.ceil(files / FILES_AT_ONCE)
    each = [(waits * first + of["bytes"] / BYTES_PER_MS + of["milliseconds"]) / 1e3 for first in FIRST_BYTE_MS]
    return " to ".join(f"{seconds:.2g}" for seconds in each)


def fresh(name, keep=False):
    home = HOME / name
    if not keep:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
    return home


def copied(home):
    shutil.rmtree(RUN, ignore_errors=True)
    shutil.copytree(home, RUN)
    return RUN


def bench(*arguments):
    return answer([PROGRAM, *arguments])


def reader(*arguments):
    return answer([PYTHON, ROOT / "tools" / "bench" / "archive_readers.py", *arguments])


def answer(arguments):
    process = subprocess.run([str(each) for each in arguments], stdout=subprocess.PIPE, text=True)
    if process.returncode:
        raise Problem(f"`{arguments[0].name} {arguments[1]}` ended with exit code {process.returncode}")
    return json.loads(process.stdout)


def median(measured):
    """The median of each number; of the rest, the first."""
    numbers = {name for name, value in measured[0].items() if isinstance(value, (int, float))}
    return measured[0] | {name: statistics.median(of[name] for of in measured) for name in numbers}


if __name__ == "__main__":
    sys.exit(main())
