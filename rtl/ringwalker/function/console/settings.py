"""What can be chosen about the console function."""

from dataclasses import dataclass

from ...checks import check_range

__all__ = ["ConsoleSettings"]


@dataclass(frozen=True)
class ConsoleSettings:
    """The console function."""

    cols: int = 80
    """Columns of the terminal, until the ``cols`` port of the device says otherwise."""
    rows: int = 25
    """Rows, in the same way."""
    idle_cycles: int = 64
    """A receive buffer that is not full is given back once no byte has come for so many cycles."""

    def __post_init__(self):
        check_range("console.cols", self.cols, 1, 0xFFFF)
        check_range("console.rows", self.rows, 1, 0xFFFF)
        check_range("console.idle_cycles", self.idle_cycles, 1, 1 << 20)
