"""What can be chosen about the PCI function: the table ``[pci]`` of a configuration."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from .checks import ConfigError, check, check_flag, check_range, is_integer, shown
from .spec.expansion_rom import ROM_SIGNATURE

__all__ = ["LARGEST_ROM", "MOST_VECTORS", "SMALLEST_ROM", "PciOptions"]

MOST_VECTORS = 2048
"""As many entries can a table of MSI-X have."""


SMALLEST_ROM, LARGEST_ROM = 2048, 1 << 18
"""Bytes of an expansion ROM."""

_SERIAL = re.compile("[0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){7}")


def _read_rom(name: object) -> bytes:
    """The content of a file for the expansion ROM. Errors: :class:`ConfigError`."""
    check(isinstance(name, str), "pci.rom", name, "the name of a file")
    try:
        with Path(str(name)).open("rb") as file:
            content = file.read(LARGEST_ROM + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"pci.rom is {shown(name)}: {getattr(error, 'strerror', error)}") from None
    if content[:2] != ROM_SIGNATURE:
        raise ConfigError(f"pci.rom is {shown(name)}; an expansion ROM begins with the bytes 55 AA")
    if len(content) > LARGEST_ROM:
        raise ConfigError(f"pci.rom is {shown(name)}; it has more than {LARGEST_ROM} bytes")
    return content


@dataclass(frozen=True)
class PciOptions:
    """Options of the PCI function, each of which is off by itself. Errors: :class:`ConfigError`."""

    vectors: int | None = None
    """Entries of the MSI-X table, at most one a queue and one more; None: so many. Queues can share them."""
    msi: int = 0
    """Messages of MSI, beside MSI-X: 1 or 2, or 0 for none."""
    serial_number: str | None = None
    """Of the serial number capability: eight bytes in hex, joined by ``-``, the organization first."""
    aer: bool = False
    """Advanced error reporting, with a header log and messages to the root complex."""
    tags: int = 8
    """Bits of the longest tags: 5, 8 or 10. Software enables those of more than 5."""
    timeout_ranges: bool = False
    """Software can choose the completion time-out, and switch it off."""

    rom: str | None = None
    """A file that is the expansion ROM, at most ``LARGEST_ROM`` bytes. It is read when the value is made."""
    rom_content: bytes = field(default=b"", init=False, repr=False)
    """The bytes of ``rom``."""

    def __post_init__(self):
        if self.vectors is not None:
            check_range("pci.vectors", self.vectors, 1, MOST_VECTORS)
        check(is_integer(self.tags) and self.tags in (5, 8, 10), "pci.tags", self.tags, "5, 8 or 10")
        check(is_integer(self.msi) and self.msi in (0, 1, 2), "pci.msi", self.msi, "0, 1 or 2")
        serial = self.serial_number
        if serial is not None:
            plain = isinstance(serial, str) and _SERIAL.fullmatch(serial) is not None
            check(plain, "pci.serial_number", serial, "eight bytes such as 02-00-00-ff-fe-00-00-01")
        if self.rom is not None:
            object.__setattr__(self, "rom_content", _read_rom(self.rom))
        check_flag("pci.aer", self.aer)
        check_flag("pci.timeout_ranges", self.timeout_ranges)

    @property
    def tag_bits(self) -> int:
        """Bits of the tag in headers of the four TLP streams."""
        return 10 if self.tags == 10 else 8
