"""What can be chosen about the PCI function: the table ``[pci]`` of a configuration."""

from dataclasses import dataclass

from .checks import check_range

__all__ = ["PciOptions"]

MOST_VECTORS = 2048
"""As many entries can a table of MSI-X have."""


@dataclass(frozen=True)
class PciOptions:
    """Options of the PCI function, each of which is off by itself. Errors: :class:`ConfigError`."""

    vectors: int | None = None
    """Entries of the MSI-X table, at most one a queue and one more; None: so many. Queues can share them."""

    def __post_init__(self):
        if self.vectors is not None:
            check_range("pci.vectors", self.vectors, 1, MOST_VECTORS)
