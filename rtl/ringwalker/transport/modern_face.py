"""The register face of virtio 1.x: four structures, a page each.

Ref: virtio 1.4, 4.1.4.
"""

from ..config import DeviceConfig
from ..spec.modern import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    FACE_BAR,
    ISR,
    ISR_BASE,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
    CapabilityType,
)
from .face import RegisterFace, Window

__all__ = ["MODERN_FACE"]


def _windows(config: DeviceConfig) -> tuple[Window, ...]:
    structures = [
        ("common", COMMON_BASE, COMMON.size, CapabilityType.COMMON),
        ("notify", NOTIFY_BASE, config.queues * NOTIFY_MULTIPLIER, CapabilityType.NOTIFY),
        ("isr", ISR_BASE, ISR.size, CapabilityType.ISR),
    ]
    table = config.kind.device_config
    if table is not None:
        structures.append(("device", DEVICE_BASE, table.size, CapabilityType.DEVICE))
    return tuple(Window(name, FACE_BAR, base, size, kind) for name, base, size, kind in structures)


MODERN_FACE = RegisterFace("modern", lambda config: config.has_modern, _windows)
"""The registers themselves. Every device has them, since other faces are views of them; its windows are in a
BAR unless the device is a legacy one."""
