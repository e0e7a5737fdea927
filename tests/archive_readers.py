"""Reads a file of the archive with DuckDB and with pyarrow, and prints types and totals of its columns as each sees them.

    archive_readers.py FILE ...
"""

import json
import sys

import duckdb
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet as parquet

NUMBERS = ["at", "sequence", "rssi", "snr", "signal_quality"]


def main():
    files = sys.argv[1:]
    print(json.dumps({"duckdb": by_duckdb(files), "pyarrow": by_pyarrow(files)}))


def by_duckdb(files):
    relation = duckdb.read_parquet(files)
    columns = {}
    for name, kind in zip(relation.columns, relation.types):
        # In quotes: `at` is a word of DuckDB's SQL.
        value = f'"{name}"'
        size = value if name in NUMBERS else f"octet_length({value}::BLOB)"
        query = f"SELECT count({value}), count(DISTINCT {value}), min({value}), max({value}), sum({size}) FROM relation"
        columns[name] = column(str(kind), *duckdb.sql(query).fetchone())
    return {"rows": relation.count("*").fetchone()[0], "columns": columns}


def by_pyarrow(files):
    # Each file by itself: the directories' names are no columns.
    table = pyarrow.concat_tables([parquet.ParquetFile(file).read() for file in files])
    columns = {}
    for name in table.column_names:
        values = table[name]
        bounds = compute.min_max(values)
        least, most = bounds["min"].as_py(), bounds["max"].as_py()
        sizes = values if name in NUMBERS else compute.binary_length(values)
        count, distinct = compute.count(values).as_py(), compute.count_distinct(values).as_py()
        columns[name] = column(str(values.type), count, distinct, least, most, compute.sum(sizes).as_py())
    return {"rows": table.num_rows, "columns": columns}


def column(kind, count, distinct, least, most, total):
    return {"type": kind, "count": count, "distinct": distinct, "min": text(least), "max": text(most), "sum": text(total)}


def text(value):
    """Numbers as text, too: JSON would make decimals floating-point numbers."""
    return value.hex() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main()
