"""When checks apply."""

import enum

from ringwalker.spec.ids import DeviceType
from ringwalker.spec.pci import CapabilityId

from .check import Condition
from .subject import Subject

__all__ = ["has_medium", "has_msix", "is_type", "lacks", "offers"]


def offers(*features: enum.IntEnum) -> Condition:
    """All of ``features`` are offered."""

    def why(subject: Subject) -> str | None:
        missing = [feature.name for feature in features if not subject.offers(feature)]
        return f"{missing[0]} is not offered" if missing else None

    return why


def lacks(*features: enum.IntEnum) -> Condition:
    """None of ``features`` is offered."""

    def why(subject: Subject) -> str | None:
        found = [feature.name for feature in features if subject.offers(feature)]
        return f"{found[0]} is offered" if found else None

    return why


def is_type(*types: DeviceType) -> Condition:
    """The device is of one of ``types``."""

    def why(subject: Subject) -> str | None:
        if subject.type in types:
            return None
        return f"it is for {' and '.join(item.name.lower() for item in types)} devices"

    return why


def has_msix(subject: Subject) -> str | None:
    """There is an MSI-X capability."""
    return None if subject.pci.find_capabilities(CapabilityId.MSIX) else "there is no MSI-X"


def has_medium(subject: Subject) -> str | None:
    """The world behind the device can be reached."""
    return None if subject.medium is not None else "what is behind the device cannot be reached from here"
