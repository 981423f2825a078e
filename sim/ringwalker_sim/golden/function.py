"""The base of devices in Python, for every transport: features, status, configuration, requests.

A *server* (:mod:`.ring_server`, :mod:`.pipe_server`) passes it the driver's buffers as :class:`Request`.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.registers import Access, RegisterTable

__all__ = ["NO_CONFIG", "FunctionModel", "Request", "Schedule"]

NO_CONFIG = RegisterTable("no_config", "A device without configuration.", ())

_FREE = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FAILED
"""Bits of the status that a driver can set at any time."""

_STARTED = DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK
"""With one of these DEVICE_NEEDS_RESET is shown."""

Schedule = Callable[[int, Callable[[], None]], None]
"""``schedule(cycles, action)`` runs ``action`` in ``cycles`` cycles, as :meth:`.Loop.schedule` does."""


class Request(ABC):
    """A buffer of the driver. ``room`` is the number of device-writable bytes.

    ``live`` is False once the driver has taken it back. Its memory is then not accessed: :meth:`read` returns
    nothing, and :meth:`finish` has no effect.
    """

    room: int

    @property
    @abstractmethod
    def live(self) -> bool:
        """Whether the driver still waits for the buffer."""

    @abstractmethod
    def read(self) -> np.ndarray:
        """The readable bytes, shape (n,), uint8."""

    @abstractmethod
    def finish(self, data: Any = b"", tail: bytes = b"") -> None:
        """Write ``data`` to the start of the writable bytes and ``tail`` to their end, and use the buffer.

        The used length counts ``tail`` only when there is no gap before it.
        """


class FunctionModel(ABC):
    """A device. ``table`` describes its device configuration, ``content`` has the values.

    ``features`` is the mask of offered features; VERSION_1 is added, and RING_RESET unless ``ring_reset`` is
    False. ``legacy`` is set by a legacy face whose driver has begun: it may use the device before DRIVER_OK.
    ``latency`` is the time of a request in cycles.

    ``change()`` is set by the transport; it sends a configuration change notification. ``strict`` is set by
    a transport of virtio 1.x: DRIVER_OK then needs FEATURES_OK, and that the features in ``required``.
    """

    device_type: int
    table: RegisterTable = NO_CONFIG
    admin_queues = 0
    """So many of the last queues are administration queues."""
    strict = False
    required = 0
    only_legacy = False
    """There are no drivers but legacy ones."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        queues: int,
        queue_size: int = 256,
        features: int = 0,
        latency: int = 100,
        seed: int = 0,
        ring_reset: bool = True,
    ):
        self.schedule = schedule
        self.queue_count = queues
        self.queue_size = queue_size
        self.features = features | 1 << Feature.VERSION_1 | ring_reset << Feature.RING_RESET
        self.latency = latency
        self.random = random.Random(seed)
        self.content = bytearray(self.table.size if self.table.registers else 0)
        self.generation = self._seen = 0
        self.status = 0
        self.driver_features = 0
        self._foreign = [0, 0, 0]
        self.needs_reset = self.suspending = self.suspended = self._held_change = False
        self.legacy = False
        self.change: Callable[[], None] = lambda: None
        self.server: Any = None

    # --- requests ------------------------------------------------------------------------------------------

    @abstractmethod
    def take(self, queue: int, request: Request) -> None:
        """Take a buffer of ``queue``. Errors: ``ValueError`` for a buffer that breaks the rules of the
        device.
        """

    def stopped(self, queue: int) -> None:
        """The queue was stopped: drop its buffers."""
        return

    # --- configuration -------------------------------------------------------------------------------------

    def config_bytes(self) -> bytes:
        """The present device configuration."""
        return bytes(self.content)

    def read_config(self) -> bytes:
        """The present device configuration, of which the driver reads a part."""
        self._seen = self.generation
        return self.config_bytes()

    def put(self, name: str, value: int) -> None:
        """Set a field of the configuration, without a notification."""
        row = self.table[name]
        self.content[row.offset : row.offset + row.size] = value.to_bytes(row.size, "little")

    def get(self, name: str) -> int:
        """A field of the configuration."""
        row = self.table[name]
        return int.from_bytes(self.config_bytes()[row.offset : row.offset + row.size], "little")

    def altered(self) -> None:
        """The configuration is another: it gets a new generation, never that of the last read."""
        self.generation = self.generation + 1 & 0xFF
        if self.generation == self._seen:
            self.generation = self.generation + 1 & 0xFF

    def changed(self) -> None:
        """The configuration has changed: notify the driver, or do so when it resumes the device."""
        self.altered()
        if self.suspending or self.suspended:
            self._held_change = True
        else:
            self.change()

    def writable_bits(self, name: str) -> int:
        """The bits of a field that the driver can write."""
        return (1 << self.table[name].width) - 1

    def write_config(self, offset: int, data: bytes) -> None:
        """Write device configuration for the driver; read-only bytes keep their value."""
        for row in self.table if not self.suspended else ():
            low, high = max(offset, row.offset), min(offset + len(data), row.offset + row.size)
            if low < high and row.access in (Access.RW, Access.WO):
                self.content[low:high] = data[low - offset : high - offset]
                self.put(row.name, self.field(row.name) & self.writable_bits(row.name))
                self.written(row.name)

    def field(self, name: str) -> int:
        """What ``content`` has of a field."""
        row = self.table[name]
        return int.from_bytes(self.content[row.offset : row.offset + row.size], "little")

    def written(self, name: str) -> None:
        """The driver has written the field ``name``."""
        return

    # --- features and status -------------------------------------------------------------------------------

    def offered_features(self) -> int:
        """The mask of what the device offers."""
        return self.features

    def accept_word(self, word: int, value: int) -> None:
        """Write 32 feature bits that the driver accepts: those from bit ``32 * word`` on.

        No device offers a bit from 64 on; one that is written as 1 keeps FEATURES_OK from being set. Words
        from 4 on, which no version of virtio has, count until a reset. All are fixed by FEATURES_OK.
        """
        if self.status & DeviceStatus.FEATURES_OK and self.strict:
            return
        if word < 2:
            shift = 32 * word
            self.driver_features = self.driver_features & ~(0xFFFF_FFFF << shift) | value << shift
        elif word < 4:
            self._foreign[word - 2] = value
        else:
            self._foreign[2] |= value

    def features_acceptable(self) -> bool:
        """Whether the device can work with the features that the driver has accepted."""
        unknown = self.driver_features & ~self.offered_features()
        missing = self.required & ~self.driver_features
        return not (self.legacy or unknown or missing or any(self._foreign))

    def has(self, feature: int) -> bool:
        """Whether the driver has accepted a feature."""
        return bool(self.driver_features >> feature & 1)

    @property
    def running(self) -> bool:
        """Whether the driver may use the device, and the device has not failed."""
        started = self.status if self.legacy else self.status & DeviceStatus.DRIVER_OK
        return bool(started) and not self.needs_reset

    def read_status(self) -> int:
        """Read the device status byte."""
        started = not self.strict or self.status & _STARTED or self.legacy
        return self.status | (DeviceStatus.DEVICE_NEEDS_RESET if self.needs_reset and started else 0)

    def write_status(self, value: int) -> None:
        """Write the device status: sets bits; 0 resets."""
        if value == 0:
            self.reset()
            return
        self.status |= value & _FREE
        if value & DeviceStatus.FEATURES_OK and self.features_acceptable():
            self.status |= DeviceStatus.FEATURES_OK
        if self.suspended:
            if value & DeviceStatus.DRIVER_OK:
                self.end_suspension()
            return
        if value & DeviceStatus.DRIVER_OK and self.may_start():
            self.status |= DeviceStatus.DRIVER_OK
        if value & DeviceStatus.SUSPEND and self.may_suspend():
            self.begin_suspension()

    def may_start(self) -> bool:
        """Whether the driver can set DRIVER_OK."""
        return bool(not self.strict or self.legacy or self.status & DeviceStatus.FEATURES_OK)

    def reset(self) -> None:
        """Stop all queues and restore the reset values."""
        self.needs_reset = self.suspending = self.suspended = self._held_change = False
        self.legacy = self.only_legacy
        self.status = self.driver_features = 0
        self._foreign = [0, 0, 0]
        if self.server is not None:
            self.server.reset()

    def fail(self) -> None:
        """Stop, and set DEVICE_NEEDS_RESET; a driver that uses the device is notified."""
        if self.needs_reset:
            return
        used = self.running or self.suspended
        self.needs_reset, self.suspending = True, False
        if used:
            self.change()

    # --- suspension. Ref: virtio 1.4, 3.4 ------------------------------------------------------------------

    def may_suspend(self) -> bool:
        """Whether the driver can suspend the device now."""
        idle = not (self.suspending or self.suspended)
        return self.running and idle and not self.legacy and self.has(Feature.SUSPEND)

    def begin_suspension(self) -> None:
        """Finish the buffers that were taken, then rest."""
        self.suspending = True
        self.finish_waiting()
        self.settle()

    def finish_waiting(self) -> None:
        """Use the buffers that wait for the outside world, with nothing written."""
        return

    def settle(self) -> None:
        """If nothing is left to do of a suspension, it is complete."""
        if self.suspending and self.server.is_idle():
            self.suspending, self.suspended = False, True
            self.status = self.status & ~DeviceStatus.DRIVER_OK | DeviceStatus.SUSPEND

    def end_suspension(self) -> None:
        """Go on after a suspension."""
        self.suspended = False
        self.status = self.status & ~DeviceStatus.SUSPEND | DeviceStatus.DRIVER_OK
        self.server.resume()
        if self._held_change:
            self._held_change = False
            self.change()
