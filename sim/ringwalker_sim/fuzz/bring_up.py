"""How a driver makes a device ready, by either face, as operations of cases."""

from collections.abc import Iterator

from ringwalker.spec.legacy import LEGACY, LEGACY_MSIX, LEGACY_QUEUE_SHIFT
from ringwalker.spec.modern import COMMON, DeviceStatus
from ringwalker.spec.pci import MSIX_CAPABILITY, MsixControl
from ringwalker.spec.registers import Register

from .operations import Operation, write
from .scene import Queue
from .spaces import Space

__all__ = ["driver_ok", "enabled", "interrupts", "negotiated", "ready_status", "set_common"]

_STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER


def set_common(register: Register, value: int) -> Operation:
    """A write of a register of the common configuration."""
    return write(Space.COMMON, register.offset, register.size, value)


def _set_legacy(register: Register, value: int) -> Operation:
    return write(Space.LEGACY, register.offset, register.size, value)


def interrupts(msix: bool) -> Operation:
    """MSI-X on or off."""
    register = MSIX_CAPABILITY.control
    return write(Space.MSIX_CAPABILITY, register.offset, register.size, MsixControl.ENABLE if msix else 0)


def negotiated(features: int, legacy: bool, vector: int | None) -> Iterator[Operation]:
    """From a device status of 0 to where queues are set up. ``vector``: that of the configuration, if any."""
    if legacy:
        yield _set_legacy(LEGACY.device_status, _STARTED)
        yield _set_legacy(LEGACY.driver_features, features)
        if vector is not None:
            yield _set_legacy(LEGACY_MSIX.config_msix_vector, vector)
        return
    yield set_common(COMMON.device_status, _STARTED)
    for half in range(2):
        yield set_common(COMMON.driver_feature_select, half)
        yield set_common(COMMON.driver_feature, features >> 32 * half & 0xFFFF_FFFF)
    yield set_common(COMMON.device_status, _STARTED | DeviceStatus.FEATURES_OK)
    if vector is not None:
        yield set_common(COMMON.config_msix_vector, vector)


def enabled(queue: Queue, legacy: bool, vector: int | None) -> Iterator[Operation]:
    """A queue that is not yet in use. ``vector``: its own, if any."""
    if legacy:
        yield _set_legacy(LEGACY.queue_select, queue.number)
        yield _set_legacy(LEGACY.queue_pfn, queue.desc >> LEGACY_QUEUE_SHIFT)
        if vector is not None:
            yield _set_legacy(LEGACY_MSIX.queue_msix_vector, vector)
        return
    yield set_common(COMMON.queue_select, queue.number)
    yield set_common(COMMON.queue_size, queue.size)
    for name in ("desc", "driver", "device"):
        yield set_common(COMMON[f"queue_{name}"], getattr(queue, name))
    if vector is not None:
        yield set_common(COMMON.queue_msix_vector, vector)
    yield set_common(COMMON.queue_enable, 1)


def ready_status(legacy: bool) -> int:
    """The device status of a device that is ready."""
    return _STARTED | DeviceStatus.DRIVER_OK | (0 if legacy else DeviceStatus.FEATURES_OK)


def driver_ok(legacy: bool) -> Operation:
    """The last write."""
    if legacy:
        return _set_legacy(LEGACY.device_status, ready_status(legacy))
    return set_common(COMMON.device_status, ready_status(legacy))
