"""Accesses of the registers of a device in Python, changed on their way: what register faults are made of."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.legacy import LEGACY_BAR
from ringwalker.spec.modern import COMMON, COMMON_BASE, FACE_BAR, NOTIFY_BASE
from ringwalker.spec.registers import RegisterTable

__all__ = ["CONFIG", "Tap", "tap_of"]

CONFIG = -1
"""In place of a BAR: configuration space."""

_WHOLE = 1 << 32

Reading = Callable[[int, int], int]
"""Value and size of an access to what the driver gets."""
Writing = Callable[[int, int], int | None]
"""Value and size of a write to what the device gets; None: nothing."""


class Tap:
    """Between the driver and the device of ``port``, by its public accesses alone.

    ``select`` is the queue that is selected, ``last`` has the last value written to each register by name.
    """

    def __init__(self, port: Any):
        self.port = port
        self.select = 0
        self.last: dict[str, int] = {}
        self._reads: list[tuple[int, int, int, Reading]] = []
        self._writes: list[tuple[int, int, int, Writing]] = []
        for space in ("memory", "io"):
            self._wrap(space)
        self._wrap_config()
        self.write(FACE_BAR, COMMON_BASE + COMMON.queue_select.offset, 2, self._selected)

    def _selected(self, value: int, _size: int) -> int:
        self.select = value
        return value

    def _wrap(self, space: str) -> None:
        port = self.port
        read, write = getattr(port, f"{space}_read"), getattr(port, f"{space}_write")

        async def tapped_read(address: int, size: int) -> int:
            value = await read(address, size)
            place = port.space.locate(address, size, space == "io")
            return value if place is None else self._read(place[0], place[1], size, value)

        async def tapped_write(address: int, size: int, value: int) -> None:
            place = port.space.locate(address, size, space == "io")
            kept = value if place is None else self._written(place[0], place[1], size, value)
            if kept is not None:
                await write(address, size, kept)

        setattr(port, f"{space}_read", tapped_read)
        setattr(port, f"{space}_write", tapped_write)

    def _wrap_config(self) -> None:
        port = self.port
        read, write = port.config_read, port.config_write

        async def tapped_read(bdf: int, offset: int, size: int) -> int:
            value = await read(bdf, offset, size)
            return self._read(CONFIG, offset, size, value) if bdf == port.bdf else value

        async def tapped_write(bdf: int, offset: int, size: int, value: int) -> None:
            kept = self._written(CONFIG, offset, size, value) if bdf == port.bdf else value
            if kept is not None:
                await write(bdf, offset, size, kept)

        port.config_read, port.config_write = tapped_read, tapped_write

    def _read(self, bar: int, offset: int, size: int, value: int) -> int:
        for index, start, length, change in self._reads:
            if index == bar and start <= offset < start + length:
                value = change(value, size) & (1 << 8 * size) - 1
        return value

    def _written(self, bar: int, offset: int, size: int, value: int) -> int | None:
        kept: int | None = value
        for index, start, length, change in self._writes:
            if kept is not None and index == bar and start <= offset < start + length:
                kept = change(kept, size)
        return kept

    # --- rules ---------------------------------------------------------------------------------------------

    def read(self, bar: int, offset: int, length: int, change: Reading) -> None:
        """Change what is read from an area."""
        self._reads.append((bar, offset, length, change))

    def write(self, bar: int, offset: int, length: int, change: Writing) -> None:
        """Change what is written to an area."""
        self._writes.append((bar, offset, length, change))

    def reads(self, table: RegisterTable, name: str, change: Callable[[int], int], base: int = 0) -> None:
        """Change what is read from a register of a table; where it lies follows from the table."""
        row = table[name]
        self.read(*self._place(table, base + row.offset), row.size, lambda value, _size: change(value))

    def writes(
        self, table: RegisterTable, name: str, change: Callable[[int], int | None], base: int = 0
    ) -> None:
        """Change what is written to a register of a table. The value from before it is in ``last``."""
        row = table[name]

        def noted(value: int, _size: int) -> int | None:
            self.last[name] = value
            return change(value)

        self.write(*self._place(table, base + row.offset), row.size, noted)

    def _place(self, table: RegisterTable, offset: int) -> tuple[int, int]:
        if table.name.startswith("legacy"):
            return LEGACY_BAR, offset
        if table.name == "common":
            return FACE_BAR, COMMON_BASE + offset
        return (FACE_BAR if table.name.endswith("_config") or table.name == "isr" else CONFIG), offset

    def doorbells(self, change: Writing) -> None:
        """Change what is written to the doorbells of the modern face."""
        self.write(FACE_BAR, NOTIFY_BASE, _WHOLE, change)

    def shown(self, table: RegisterTable, name: str, instead: Callable[[int], int | None]) -> None:
        """The device gets ``instead`` of what is written to a register, which reads as it was written."""
        self.writes(table, name, instead)
        self.reads(table, name, lambda value: self.last.get(name, value))


def tap_of(port: Any) -> Tap:
    """The tap of a port, which is made once."""
    if not hasattr(port, "tap"):
        port.tap = Tap(port)
    return port.tap
