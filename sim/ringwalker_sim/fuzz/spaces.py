"""Where the registers of a device are, by names that do not depend on addresses."""

import enum

from ringwalker.spec.legacy import LEGACY, LEGACY_MSIX
from ringwalker.spec.modern import COMMON, ISR
from ringwalker.spec.pci import HEADER, MSI_CAPABILITY, MSIX_CAPABILITY
from ringwalker.spec.pcie import PCIE_CAPABILITY
from ringwalker.spec.registers import RegisterTable

__all__ = ["CONFIG_SPACES", "Space", "place_of", "place_text"]


class Space(enum.IntEnum):
    """What an offset counts from."""

    CONFIG = 0
    """The start of configuration space."""
    COMMON = 1
    ISR = 2
    DEVICE = 3
    NOTIFY = 4
    """Structures of the modern face."""
    MSIX = 5
    """The MSI-X table."""
    LEGACY = 6
    """The legacy header."""
    PCIE = 7
    MSIX_CAPABILITY = 8
    MSI = 9
    """Capabilities in configuration space."""
    MEMORY = 10
    IO = 11
    """Address 0 of memory or I/O space."""


CONFIG_SPACES = (Space.CONFIG, Space.PCIE, Space.MSIX_CAPABILITY, Space.MSI)
"""Those that are reached by configuration requests."""

_TABLES: dict[Space, tuple[RegisterTable, ...]] = {
    Space.CONFIG: (HEADER,),
    Space.COMMON: (COMMON,),
    Space.ISR: (ISR,),
    Space.LEGACY: (LEGACY, LEGACY_MSIX),
    Space.PCIE: (PCIE_CAPABILITY,),
    Space.MSIX_CAPABILITY: (MSIX_CAPABILITY,),
    Space.MSI: (MSI_CAPABILITY,),
}


def place_text(space: Space, offset: int) -> str:
    """``common.queue_size``, or ``common+0x19`` where no register begins."""
    for table in _TABLES.get(space, ()):
        for register in table:
            if register.offset == offset:
                return f"{space.name.lower()}.{register.name}"
    return f"{space.name.lower()}+{offset:#x}"


def place_of(text: str) -> tuple[Space, int]:
    """What :func:`place_text` has written. Errors: ``ValueError``."""
    name, plus, offset = text.partition("+")
    if plus:
        return _space(name), int(offset, 0)
    name, _dot, register = text.partition(".")
    space = _space(name)
    for table in _TABLES.get(space, ()):
        for row in table:
            if row.name == register:
                return space, row.offset
    raise ValueError(f"{text!r} is no register")


def _space(name: str) -> Space:
    try:
        return Space[name.upper()]
    except KeyError:
        raise ValueError(f"{name!r} is no space of registers") from None
