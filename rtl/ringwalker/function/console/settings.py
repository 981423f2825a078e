"""What can be chosen about the console function."""

from dataclasses import dataclass

from ...checks import check_range

__all__ = ["ConsoleSettings"]


@dataclass(frozen=True)
class ConsoleSettings:
    """The console function. ``cols`` and ``rows`` are the reset values of what ports of the device override.

    A receive buffer is given back when it is full, and otherwise once no byte has come for ``idle_cycles``.
    """

    cols: int = 80
    rows: int = 25
    idle_cycles: int = 64

    def __post_init__(self):
        check_range("console.cols", self.cols, 1, 0xFFFF)
        check_range("console.rows", self.rows, 1, 0xFFFF)
        check_range("console.idle_cycles", self.idle_cycles, 1, 1 << 20)
