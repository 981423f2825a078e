"""The form in which register tables are written: one row a register, offsets in bytes.

The RTL decodes from these tables, the guest driver finds its offsets in them, and the C header and the
register reference are printed from them.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Access", "Register", "RegisterTable"]


class Access(enum.Enum):
    """Who may change a register, seen from the driver."""

    RO = "read-only"
    RW = "read-write"
    RW1C = "read, write 1 to clear"
    RC = "read to clear"
    WO = "write-only"


@dataclass(frozen=True)
class Register:
    """One register of a table."""

    name: str
    offset: int
    """Bytes from the table's base."""
    width: int
    """Bits, a multiple of 8."""
    access: Access
    doc: str
    reset: int = 0

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.width // 8


@dataclass(frozen=True)
class RegisterTable:
    """A named block of registers; ``table["name"]`` and ``table.name`` give a row.

    Errors: ``ValueError`` when two registers overlap or share a name.
    """

    name: str
    doc: str
    registers: tuple[Register, ...]

    def __post_init__(self):
        taken: dict[int, str] = {}
        names: set[str] = set()
        for register in self.registers:
            if register.name in names:
                raise ValueError(f"{self.name}: register {register.name!r} is listed twice")
            names.add(register.name)
            for byte in range(register.offset, register.offset + register.size):
                if byte in taken:
                    raise ValueError(f"{self.name}: {register.name} overlaps {taken[byte]} at byte {byte:#x}")
                taken[byte] = register.name

    def __getitem__(self, name: str) -> Register:
        for register in self.registers:
            if register.name == name:
                return register
        raise KeyError(f"{self.name} has no register {name!r}")

    def __getattr__(self, name: str) -> Register:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(str(error)) from None

    def __iter__(self) -> Iterator[Register]:
        return iter(self.registers)

    @property
    def size(self) -> int:
        """Bytes from the base to the end of the last register."""
        return max(register.offset + register.size for register in self.registers)
