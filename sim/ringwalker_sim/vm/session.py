"""A guest with disks: on the simulated device, or on QEMU's own for comparison."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.ids import OASIS_DEVICE_BASE, VENDOR_OASIS

from ..memory import DiskImage
from .boot import GuestJob, GuestResult, boot
from .machine import OwnDisk, VfioUserDevice
from .setup import GuestSetup

__all__ = ["LINUX_CONFIG", "Disk", "Session", "linux_config", "run_guest"]

LINUX_CONFIG = DeviceConfig(identity=Identity(preset="oasis"))
"""The device as today's Linux expects it."""

_LINUX_DEVICE_IDS = range(0x1000, 0x1080)
"""What Linux's virtio-pci takes, whatever the vendor."""


def linux_config(config: DeviceConfig) -> DeviceConfig:
    """``config`` with a device id that Linux's virtio-pci takes: OASIS_DEVICE_BASE and the type, if it has another
    one. The vendor stays.
    """
    if config.resolved_identity.device in _LINUX_DEVICE_IDS:
        return config
    identity = replace(config.identity, device=OASIS_DEVICE_BASE + config.device_type)
    return replace(config, identity=identity)
