"""What ``sweep`` shows on the terminal: the rows, and which devices are worth their area."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.table import Table

from ..performance.cases import Case
from ..sweep.grid import WORKLOAD_KEYS, device_keys
from ..sweep.table import front_of, groups_of

__all__ = ["print_keys", "print_rows"]

Row = Mapping[str, Any]


def print_keys() -> None:
    """What keys a grid can have, with what each is by itself."""
    console = Console(highlight=False, soft_wrap=True)
    console.print("[bold]workload and link[/bold]")
    usual = {item.name: item.default for item in fields(Case)}
    for name in WORKLOAD_KEYS:
        console.print(f"  {name} = {'by function' if usual[name] in (-1, '') else usual[name]}")
    console.print("[bold]device[/bold]")
    for name in (name for name in usual if name not in WORKLOAD_KEYS):
        console.print(f"  {name} = {'by function' if usual[name] == -1 else usual[name]}")
    console.print(f"  {', '.join(device_keys())}", markup=False)


def print_rows(rows: Sequence[Row], varied: Sequence[str], on_stderr: bool = False) -> None:
    """The tables. They are as wide as they have to be where the output is not a terminal."""
    console = Console(stderr=on_stderr, highlight=False)
    if not console.is_terminal:
        console.width = 200
    columns = [*varied, "GB/s", "thousand/s", "reached", "p50", "p99"]
    with_area = any("area_lut" in row for row in rows)
    table = Table(title=f"{len(rows)} cases")
    for name in [*columns, *(["LUTs"] if with_area else [])]:
        table.add_column(name, justify="right")
    for row in rows:
        cells = [*(str(row[name]) for name in varied), *_speed(row)]
        cells += [f"{row[f'latency_{name}_cycles']:,}" for name in ("p50", "p99")]
        table.add_row(*cells, *([f"{row['area_lut']:,}" if "area_lut" in row else ""] if with_area else []))
    console.print(table)
    if with_area:
        console.print(_fronts(rows, varied))


def _speed(row: Row) -> list[str]:
    rates = (f"{row['bytes_per_s'] / 1e9:.3f}", f"{row['rate_per_s'] / 1e3:,.1f}")
    return [*rates, f"{100 * row['efficiency']:.1f} %"]


def _fronts(rows: Sequence[Row], varied: Sequence[str]) -> Table:
    """Of each workload the devices than which no smaller one is as fast."""
    ours = [key for key in varied if key in WORKLOAD_KEYS]
    devices = [key for key in varied if key not in WORKLOAD_KEYS]
    table = Table(title="devices that no other one beats in both area and speed")
    for name in (*ours, *devices, "LUTs", "GB/s", "of"):
        table.add_column(name, justify="right")
    for key, group in groups_of(rows, varied).items():
        front = front_of(group)
        for number, row in enumerate(front):
            last = number == len(front) - 1
            cells = [*map(str, key), *(str(row[name]) for name in devices), f"{row['area_lut']:,}"]
            speed = f"{row['bytes_per_s'] / 1e9:.3f}"
            table.add_row(*cells, speed, f"{len(group)} devices", end_section=last)
    return table
