"""The archive's work done by other programs, each in a process of its own. Prints one line of JSON.

    merge-duckdb DIRECTORY THREADS    the union of the day's file and of the new rows, sorted and written by DuckDB
    merge-pyarrow DIRECTORY THREADS   the same by pyarrow
    read-duckdb DIRECTORY             a meter's day, month and year out of a year's files
    hours-duckdb DIRECTORY            the volume of each hour of a meter's year, from points.csv
    days-duckdb DIRECTORY             the volume of each meter's hours and days of two months, from files of points
"""

import json
import os
import re
import resource
import sys
import time
from pathlib import Path

START = 1_795_132_800  # 2026-11-20T00:00:00Z
DAY = 86_400
RUNS = 5
ROW_GROUP = 32_768


def main():
    name, home, *threads = sys.argv[1:]
    work = {
        "merge-duckdb": merge_duckdb,
        "merge-pyarrow": merge_pyarrow,
        "read-duckdb": read_duckdb,
        "hours-duckdb": hours_duckdb,
        "days-duckdb": days_duckdb,
    }[name]
    print(json.dumps(work(Path(home), *map(int, threads))))


def merge_duckdb(home, threads):
    import duckdb

    connection = duckdb.connect(config={"threads": threads})
    old, new, merged = paths(home)

    def merge():
        connection.execute(
            f"COPY (SELECT DISTINCT * FROM read_parquet(['{old}', '{new}']) ORDER BY ALL) TO '{merged}' "
            f"(FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE {ROW_GROUP})"
        )

    return measured(merge, merged)


def merge_pyarrow(home, threads):
    import pyarrow
    import pyarrow.parquet as parquet

    pyarrow.set_cpu_count(threads)
    old, new, merged = paths(home)

    def merge():
        table = pyarrow.concat_tables([parquet.read_table(old), parquet.read_table(new)])
        names = table.column_names
        table = table.group_by(names, use_threads=threads > 1).aggregate([])
        table = table.sort_by([(name, "ascending") for name in names])
        deltas = ["at", "sequence", "rssi", "snr", "signal_quality"]
        encoding = dict.fromkeys(deltas, "DELTA_BINARY_PACKED") | {"payload": "DELTA_BYTE_ARRAY"}
        parquet.write_table(
            table,
            merged,
            compression="zstd",
            compression_level=3,
            row_group_size=ROW_GROUP,
            use_dictionary=[name for name in names if name not in encoding],
            column_encoding=encoding,
            store_decimal_as_integer=True,
        )

    return measured(merge, merged)


def read_duckdb(home):
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    device = (home / "device").read_text()
    files = sorted(str(path) for path in home.glob("day/*/00.parquet"))
    spans = {}
    for name, days in {"day": 1, "month": 30, "year": 365}.items():
        # In quotes: `at` is a word of DuckDB's SQL.
        query = f'SELECT * FROM read_parquet({files[:days]}) WHERE device = ? AND "at" BETWEEN ? AND ?'
        values = [device, START, START + days * DAY - 1]
        best = float("inf")
        for _ in range(RUNS):
            started = time.monotonic()
            rows = connection.execute(query, values).fetchall()
            best = min(best, time.monotonic() - started)
        spans[name] = {"milliseconds": best * 1e3, "uplinks": len(rows)}
    return {"spans": spans}


def hours_duckdb(home):
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"CREATE TABLE points AS SELECT * FROM read_csv('{home / 'points.csv'}')")
    # The difference to the reading before, in the hour in which it ends: no gaps, no quality, no change of the clock.
    query = (
        "SELECT hour, sum(litres) FROM (SELECT \"at\" // 3600 AS hour, index - lag(index) OVER (ORDER BY \"at\") AS litres "
        "FROM points) GROUP BY hour ORDER BY hour"
    )
    took = []
    for _ in range(200):
        # Processor time: on a busy machine a query is interrupted more often than the short runs that it is compared with.
        started = time.process_time()
        rows = connection.execute(query).fetchall()
        took.append(time.process_time() - started)
    return {"milliseconds": sorted(took)[100] * 1e3, "hours": len(rows)}


def days_duckdb(home):
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    files = sorted(str(path) for path in home.glob("points/*/*.parquet"))
    output = home / "days.parquet"
    # As above, for each meter; and of the hours a list for each day.
    query = (
        "WITH steps AS (SELECT device, channel, \"at\", value - lag(value) OVER (PARTITION BY device, channel ORDER BY \"at\") "
        f"AS litres FROM read_parquet({files}) WHERE kind = 'index'), "
        "hours AS (SELECT device, channel, date_trunc('hour', \"at\") AS hour, sum(litres) AS litres FROM steps GROUP BY ALL) "
        "SELECT device, channel, date_trunc('day', hour) AS day, sum(litres) AS litres, list(litres ORDER BY hour) AS hours "
        "FROM hours GROUP BY ALL ORDER BY device, channel, day"
    )
    return measured(
        lambda: connection.execute(
            f"COPY ({query}) TO '{output}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE {ROW_GROUP})"
        ),
        output,
    )


def paths(home):
    return home / "day/2026-11-20/00.parquet", home / "new.parquet", home / "merged.parquet"


def measured(work, output):
    started, processor = time.monotonic(), processor_seconds()
    work()
    seconds, processor = time.monotonic() - started, processor_seconds() - processor
    import pyarrow.parquet as parquet

    peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6
    rows = parquet.ParquetFile(output).metadata.num_rows
    size = os.path.getsize(output)
    return {
        "rows": rows,
        "seconds": seconds,
        "processor_seconds": processor,
        "microseconds_per_row": processor / rows * 1e6,
        "peak_mb": peak,
        "bytes": size,
        "bytes_per_row": size / rows,
    }


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
