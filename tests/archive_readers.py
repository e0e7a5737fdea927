"""Reads files of the archive with DuckDB and with pyarrow. Prints JSON.

    archive_readers.py totals FILE ...            types and totals of the columns, as each of the two sees them
    archive_readers.py rows FILE ...              types of the columns and all rows, as each of the two sees them
    archive_readers.py queries DOCUMENT FOLDER    rows of the DuckDB queries of a document, in a folder
"""

import json
import os
import sys
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet as parquet


def main():
    command, *arguments = sys.argv[1:]
    print(json.dumps({"totals": totals, "rows": rows, "queries": queries}[command](*arguments), default=str))


def totals(*files):
    return {"duckdb": by_duckdb(list(files)), "pyarrow": by_pyarrow(files)}


def rows(*files):
    duckdb.sql("SET TimeZone = 'UTC'")
    relation = duckdb.read_parquet(list(files), hive_partitioning=False)
    table = pyarrow.concat_tables([parquet.ParquetFile(file).read() for file in files])
    return {
        "duckdb": {
            "types": dict(zip(relation.columns, map(str, relation.types))),
            "rows": relation.to_arrow_table().to_pylist(),
        },
        "pyarrow": {
            "types": {field.name: str(field.type) for field in table.schema},
            "rows": table.to_pylist(),
        },
    }


def by_duckdb(files):
    relation = duckdb.read_parquet(files, hive_partitioning=False)
    columns = {}
    for name, kind in zip(relation.columns, map(str, relation.types)):
        # In quotes: `at` is a word of DuckDB's SQL.
        value = f'"{name}"'
        if kind.startswith("TIMESTAMP"):
            value = f"epoch_ms({value})"
        elif kind == "BOOLEAN":
            value = f"{value}::INTEGER"
        size = f"octet_length({value}::BLOB)" if kind in ("VARCHAR", "BLOB") else value
        query = f"SELECT count({value}), count(DISTINCT {value}), min({value}), max({value}), sum({size}) FROM relation"
        columns[name] = column(kind, *duckdb.sql(query).fetchone())
    return {"rows": relation.count("*").fetchone()[0], "columns": columns}


def by_pyarrow(files):
    # Each file by itself: the directories' names are no columns.
    table = pyarrow.concat_tables([parquet.ParquetFile(file).read() for file in files])
    columns = {}
    for name in table.column_names:
        values = table[name]
        kind = values.type
        if pyarrow.types.is_timestamp(kind) or pyarrow.types.is_boolean(kind):
            values = values.cast(pyarrow.int64())
        bounds = compute.min_max(values)
        least, most = bounds["min"].as_py(), bounds["max"].as_py()
        is_text = pyarrow.types.is_string(kind) or pyarrow.types.is_binary(kind)
        sizes = compute.binary_length(values) if is_text else values
        count, distinct = compute.count(values).as_py(), compute.count_distinct(values).as_py()
        columns[name] = column(str(kind), count, distinct, least, most, compute.sum(sizes).as_py())
    return {"rows": table.num_rows, "columns": columns}


def column(kind, count, distinct, least, most, total):
    return {"type": kind, "count": count, "distinct": distinct, "min": text(least), "max": text(most), "sum": text(total)}


def text(value):
    """Numbers as text, too: JSON would make decimals floating-point numbers."""
    return value.hex() if isinstance(value, bytes) else str(value)


def queries(document, folder):
    """The indented blocks after `In DuckDB`, up to `In Athena`, as they are written."""
    part = Path(document).read_text().split("\nIn DuckDB,")[1].split("\nIn Athena,")[0]
    code = "\n".join(line for line in part.splitlines() if line.startswith("    "))
    os.chdir(folder)
    return [duckdb.sql(statement).to_arrow_table().to_pylist() for statement in duckdb.extract_statements(code)]


if __name__ == "__main__":
    main()
