"""What ``serve`` shows: its log, a table that lives while devices are served, and one at the end."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

__all__ = ["live_table", "logging_to", "print_figures"]

_LOGGER = "ringwalker"

_ROWS: tuple[tuple[str, str], ...] = (
    ("cycles", "cycles"),
    ("register reads", "bar_reads"),
    ("register writes", "bar_writes"),
    ("configuration reads", "config_reads"),
    ("configuration writes", "config_writes"),
    ("DMA read, bytes", "dma_read_bytes"),
    ("DMA written, bytes", "dma_write_bytes"),
    ("DMA by message", "dma_messages"),
    ("MSI-X interrupts", "msix"),
    ("MSI interrupts", "msi"),
    ("INTx interrupts", "intx"),
    ("storage reads", "storage_reads"),
    ("storage writes", "storage_writes"),
    ("storage flushes", "storage_flushes"),
    ("unmapped accesses", "faults"),
    ("reads without an answer", "timeouts"),
    ("broken rules", "violations"),
)


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console):
        super().__init__()
        self._console = console
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record above what lives on the terminal."""
        self._console.print(self.format(record), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def logging_to(level: int) -> Iterator[Console]:
    """The console on standard error, to which the log of this package goes inside the block."""
    console = Console(stderr=True)
    logger = logging.getLogger(_LOGGER)
    before = logger.level
    handler = _ConsoleHandler(console)
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield console
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _table(columns: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """A column for each device."""
    table = Table(show_edge=False)
    table.add_column("")
    for name, _stats in columns:
        table.add_column(name, justify="right")
    for title, key in _ROWS:
        values = [stats.get(key, 0) for _name, stats in columns]
        if any(values) or key == "cycles":
            table.add_row(title, *(f"{value:,}" for value in values))
    return table


@contextmanager
def live_table(console: Console, handles: Sequence[Any]) -> Iterator[Callable[[], None]]:
    """A function that shows the devices' counters as they are; nothing when there is no terminal."""
    if not console.is_terminal:
        yield lambda: None
        return

    def now() -> Table:
        return _table([(str(handle.socket), handle.stats()) for handle in handles])

    with Live(now(), console=console, auto_refresh=False, transient=True) as live:
        yield lambda: live.update(now(), refresh=True)


def print_figures(console: Console, figures: Mapping[str, Any]) -> None:
    """The counters at the end."""
    console.print(_table([(item["socket"], item) for item in figures["devices"]]))
