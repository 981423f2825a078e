"""A PCI function that is no virtio device: what its edge has to know."""

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..checks import check, check_power, check_range, is_integer
from ..config import DeviceConfig
from ..identity import Identity
from ..pci_options import MOST_VECTORS, PciOptions
from ..transport.face import Window, check_windows

__all__ = ["EdgeConfig", "EndpointConfig"]

UNASSIGNED_CLASS = 0xFF0000
"""Class code of a device that fits no class. Ref: PCI Code and ID Assignment 1.11, 1."""


@dataclass(frozen=True)
class EndpointConfig:
    """What the edge has to know of a function whose registers are ``windows``, each a whole BAR.

    Errors: :class:`~ringwalker.config.ConfigError`; ``ValueError`` for windows that cannot be.
    """

    identity: Identity
    """Vendor and device are given; what else is not follows from them."""
    windows: tuple[Window, ...]
    """The BARs of memory space."""
    vectors: int = 1
    """Entries of the MSI-X table."""
    msix_bar: int = 1
    """The BAR of the MSI-X table."""
    data_width: int = 64
    """Bits of a beat: 64, 128, 256 or 512."""
    max_payload: int = 512
    """Bytes; bounds what the host may choose."""
    max_read_request: int = 512
    """Bytes; bounds what the host may choose."""
    completion_timeout: int = 250_000
    """Cycles that a read of the device waits for the host."""
    clock_mhz: int = 250
    """Clock frequency in MHz."""
    pci: PciOptions = field(default_factory=PciOptions)
    """Options of the PCI function."""
    has_modern: bool = field(default=False, init=False)
    """A virtio device would have capabilities of virtio 1.x."""

    def __post_init__(self):
        width = is_integer(self.data_width) and self.data_width in (64, 128, 256, 512)
        check(width, "data_width", self.data_width, "64, 128, 256 or 512")
        check_range("vectors", self.vectors, 1, MOST_VECTORS)
        check_power("max_payload", self.max_payload, 128, 4096)
        check_power("max_read_request", self.max_read_request, 128, 4096)
        check_range("completion_timeout", self.completion_timeout, 64, 2**31)
        check_range("clock_mhz", self.clock_mhz, 1, 1000)
        check_windows(self.windows)
        for name in ("vendor", "device"):
            check(getattr(self.identity, name) is not None, f"identity.{name}", None, "given")

    @property
    def resolved_identity(self) -> Identity:
        """The identity with every field filled in."""
        identity = self.identity
        defaults = {
            "subsystem_vendor": identity.vendor,
            "subsystem": identity.device,
            "class_code": UNASSIGNED_CLASS,
            "revision": 0,
        }
        return replace(identity, **{k: v for k, v in defaults.items() if getattr(identity, k) is None})


EdgeConfig: TypeAlias = DeviceConfig | EndpointConfig
"""Whatever an edge can be around."""
