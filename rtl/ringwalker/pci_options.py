"""What can be chosen about the PCI function: the table ``[pci]`` of a configuration."""

import re
from dataclasses import dataclass

from .checks import check, check_flag, check_range, is_integer

__all__ = ["PciOptions"]

MOST_VECTORS = 2048
"""As many entries can a table of MSI-X have."""


_SERIAL = re.compile("[0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){7}")


@dataclass(frozen=True)
class PciOptions:
    """Options of the PCI function, each of which is off by itself. Errors: :class:`ConfigError`."""

    vectors: int | None = None
    """Entries of the MSI-X table, at most one a queue and one more; None: so many. Queues can share them."""
    msi: int = 0
    """Messages of MSI, beside MSI-X: 1 or 2, or 0 for none."""
    serial_number: str | None = None
    """Of the serial number capability: eight bytes in hex, joined by ``-``, the organization first."""
    timeout_ranges: bool = False
    """Software can choose the completion time-out, and switch it off."""

    def __post_init__(self):
        if self.vectors is not None:
            check_range("pci.vectors", self.vectors, 1, MOST_VECTORS)
        check(is_integer(self.msi) and self.msi in (0, 1, 2), "pci.msi", self.msi, "0, 1 or 2")
        serial = self.serial_number
        if serial is not None:
            plain = isinstance(serial, str) and _SERIAL.fullmatch(serial) is not None
            check(plain, "pci.serial_number", serial, "eight bytes such as 02-00-00-ff-fe-00-00-01")
        check_flag("pci.timeout_ranges", self.timeout_ranges)
