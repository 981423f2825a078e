"""Rows of a sweep as tables: CSV, Parquet, and which devices are worth their area."""

import csv
import importlib
import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from ..toolchain import ToolError
from .grid import WORKLOAD_KEYS

__all__ = [
    "check_parquet",
    "columns_of",
    "csv_text",
    "front_of",
    "groups_of",
    "parquet_bytes",
]

Row = Mapping[str, Any]


def columns_of(rows: Sequence[Row]) -> list[str]:
    """The names of all values, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row))


def csv_text(rows: Sequence[Row]) -> str:
    """The rows as CSV with a line of names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def check_parquet() -> None:
    """See that Parquet can be written. Errors: :class:`ToolError` when pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise ToolError("Parquet needs pyarrow: pip install 'ringwalker[parquet]'")


def parquet_bytes(rows: Sequence[Row]) -> bytes:
    """The rows as a Parquet file, with the types that they have. Errors: as of :func:`check_parquet`."""
    check_parquet()
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    names = columns_of(rows)
    table = arrow.table({name: [row.get(name) for row in rows] for name in names})
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def groups_of(rows: Sequence[Row], varied: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    """The rows by what ``varied`` says of link and workload: each has devices that can be compared."""
    names = [key for key in varied if key in WORKLOAD_KEYS]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def front_of(rows: Sequence[Row], area: str = "area_lut", speed: str = "bytes_per_s") -> list[Row]:
    """The rows of one group that no other one beats: each larger one is faster. Smallest first."""
    front: list[Row] = []
    for row in sorted((row for row in rows if area in row), key=lambda row: (row[area], -row[speed])):
        if not front or row[speed] > front[-1][speed]:
            front.append(row)
    return front
