#!/usr/bin/env python3
"""Measures consumption: the hours of a meter's year, the rows of days, and the daily pass; and the same with DuckDB.

It runs target/release/archive-bench (`make bench-consumption` builds it) and tools/bench/archive_readers.py, each figure in a
process of its own, and prints tables in Markdown to standard output. It fails if a limit is missed.
"""

import argparse
import datetime
import os
import shutil
import sys

from bench_archive import bench, copied, fresh, median, reader
from bench_archive import HOME as ARCHIVE
from local import check_machine, install_requirements
from machine import machine
from steps import Problem, locked, reported_problems, step

# The limits that Pulsegate sets itself: a meter's year of hours, and meter-days a minute of one core.
MAX_MILLISECONDS = 2.0
MIN_ROWS = 1_350_000


def main():
    args = arguments()
    with reported_problems():
        check_machine()
        with locked("tools"):
            install_requirements("readers")
        # It shares the directory with the archive's benchmark.
        with locked("bench-archive"):
            load = os.getloadavg()[0]
            print(f"Measured on {datetime.date.today()} on {machine()}; load before: {load:.1f}.")
            print(f"Command: `python3 tools/bench_consumption.py --runs {args.runs} --days {args.days}`\n")
            missed = hours(args.runs) + rows_of_days(args.runs) + daily_pass(args.runs, args.days)
            shutil.rmtree(ARCHIVE)
        if missed:
            raise Problem("limits are missed: " + "; ".join(missed))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="processes per figure, of which the median counts")
    parser.add_argument("--days", type=int, default=30, help="days of uplinks from 2026-11-20 on; each takes seconds")
    return parser.parse_args()


def hours(runs):
    home = fresh("hours")
    # In turns, so that other work on the machine meets both.
    with step(f"the hours of a year of a meter, by us and by DuckDB, {runs} times each"):
        turns = [(bench("hours", home), reader("hours-duckdb", home)) for _ in range(runs)]
    ours, theirs = (median(list(each)) for each in zip(*turns))
    ratio = theirs["milliseconds"] / ours["milliseconds"]
    print(f"Points of a meter's year ({ours['points']:,}) to its hours ({ours['hours']:,}), median of {ours['runs']} in a process:\n")
    print("| | ms | ns a point | of ours |")
    print("|---|---:|---:|---:|")
    print(f"| hours with quality, in local time | {ours['milliseconds']:.2f} | {ours['nanoseconds_per_point']:.0f} | 1.0 |")
    print(f"| DuckDB: sums of lag(), in UTC | {theirs['milliseconds']:.2f} | {theirs['milliseconds'] * 1e6 / ours['points']:.0f} | {ratio:.1f} |\n")
    least = ours["milliseconds"]
    return [f"{least:.2f} ms of {MAX_MILLISECONDS} for a year of hours"] if least > MAX_MILLISECONDS else []


def rows_of_days(runs):
    home = fresh("hours")
    with step(f"rows of days of many meters, {runs} times"):
        of = median([bench("day-rows", home) for _ in range(runs)])
    print(f"Rows of days of {of['meters']:,} meters, a month each, with their ledger and what is left to the next month, without storage:\n")
    print("| Rows | µs a row | rows a minute |")
    print("|---:|---:|---:|")
    print(f"| {of['rows']:,} | {of['microseconds_per_row']:.2f} | {of['rows_per_minute'] / 1e6:.1f} million |\n")
    return slow("rows of days", of)


def daily_pass(runs, days):
    home = fresh("months")
    with step(f"generate {days} days of a sixteenth of a partition, their points, and days but for the last"):
        bench("generate", home, "--rows", "fleet", "--days", str(days), "--months")
        bench("months-before", home)
    with step(f"the pass after the last day, and the same days by DuckDB, {runs} times each"):
        turns = [(bench("months", copied(home)), reader("days-duckdb", home)) for _ in range(runs)]
    ours, theirs = (median(list(each)) for each in zip(*turns))
    print(f"The daily pass after one more day: {ours['files']:.0f} months of a sixteenth of a partition are made again.\n")
    print("| | Rows | µs of processor a row | of ours | Rows a minute and core | Processor s | Peak MB | GET | Bytes a row |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, of in {"daily pass": ours, "DuckDB: hours and days by lag()": theirs}.items():
        each = of["microseconds_per_row"]
        print(
            f"| {name} | {of['rows']:,.0f} | {each:.2f} | {each / ours['microseconds_per_row']:.1f} | {60 / each:.1f} million "
            f"| {of['processor_seconds']:.2f} | {of['peak_mb']:.0f} | {of.get('gets', '-')} | {of['bytes_per_row']:.1f} |"
        )
    print()
    return slow("daily pass", ours)


def slow(name, of):
    rows = of["rows_per_minute"]
    return [f"{name}: {rows:,.0f} rows a minute of {MIN_ROWS:,}"] if rows < MIN_ROWS else []


if __name__ == "__main__":
    sys.exit(main())
