"""Configuration operations of today's drivers over the typed fields of a stage."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from ringwalker.spec.fields import CommonField
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.net import NetFeature
from ringwalker.spec.registers import Register, RegisterTable

from ..errors import BindError, DeviceError
from ..transport.device_fields import DEVICE_FIELDS, locate
from .device import device

__all__ = ["FieldAdapter"]

_CONTROL = sum(1 << bit for bit in (NetFeature.CTRL_VQ, NetFeature.CTRL_RX, NetFeature.CTRL_MAC_ADDR))
"""Features that are not accepted: address and receive mode are writable fields."""

_TRIES = 1000


class FieldAdapter(ABC):
    """The ``config`` of a driver. ``present`` are the types of the fields of the device."""

    def __init__(self, dev: device, table: RegisterTable | None = None):
        self._dev = dev
        self._table = table
        self.present: frozenset[int] = frozenset()
        self.queues: list[Any] = []

    @abstractmethod
    async def read_field(self, kind: int) -> bytes:
        """Read the field of a type."""

    @abstractmethod
    async def write_field(self, kind: int, data: bytes) -> None:
        """Write the field of a type, or its first bytes."""

    @abstractmethod
    async def read_status(self) -> int:
        """Read the device status byte."""

    @abstractmethod
    async def write_status(self, value: int) -> None:
        """Write the device status byte."""

    # --- fields --------------------------------------------------------------------------------------------

    def find(self, table: RegisterTable, name: str) -> Register | None:
        """The register ``name`` of ``table``, if one of the device's fields holds it."""
        place = locate(table, name)
        self._table = table
        return None if place is None or place[0] not in self.present else table[name]

    def _place(self, register: Register) -> tuple[int, int]:
        tables = [self._table, *_KNOWN]
        for table in tables:
            if table is not None and any(row is register for row in table):
                place = locate(table, register.name)
                if place is not None and place[0] in self.present:
                    return place
        raise BindError(f"the device has no field for {register.name}")

    async def get(self, register: Register) -> int:
        """Read a field of device configuration; again if it changed meanwhile."""
        kind, offset = self._place(register)
        for _ in range(_TRIES):
            before = await self.read_field(CommonField.GENERATION)
            content = await self.read_field(kind)
            if await self.read_field(CommonField.GENERATION) == before:
                return int.from_bytes(content[offset : offset + register.size], "little")
        raise DeviceError(f"{register.name} changes faster than it can be read")

    async def set(self, register: Register, value: int) -> None:
        """Write a field of device configuration."""
        kind, offset = self._place(register)
        if offset:
            raise BindError(f"{register.name} is not a field of its own")
        await self.write_field(kind, value.to_bytes(register.size, "little"))

    # --- status and features -------------------------------------------------------------------------------

    async def negotiate(self, wanted: int) -> int:
        """Accept the offered bits of ``wanted`` and of the transport; the negotiated mask."""
        if self._dev.core.id.type == DeviceType.NET:
            wanted &= ~_CONTROL
        offered = int.from_bytes(await self.read_field(CommonField.DEVICE_FEATURES), "little")
        transport = self._dev.transport
        accepted = transport.choose_features(offered, wanted)
        await self.write_field(CommonField.DRIVER_FEATURES, accepted.to_bytes(8, "little"))
        if transport.legacy:
            return accepted
        await self.add_status(DeviceStatus.FEATURES_OK)
        if not await self.read_status() & DeviceStatus.FEATURES_OK:
            raise BindError(f"the device refuses the features {accepted:#x} of {offered:#x}")
        return accepted

    async def add_status(self, bits: int) -> None:
        """Set bits of the device status."""
        await self.write_status(await self.read_status() | bits)

    async def driver_ok(self) -> None:
        """Set DRIVER_OK: the device may use its queues."""
        await self.add_status(DeviceStatus.DRIVER_OK)

    async def fail(self) -> None:
        """Set FAILED: the driver has given up on the device."""
        await self.add_status(DeviceStatus.FAILED)

    async def reset(self) -> None:
        """Take back all buffers. The stage resets the device when the driver is removed."""
        for queue in self.queues:
            await queue.shutdown()

    async def needs_reset(self) -> bool:
        """Whether the device has set DEVICE_NEEDS_RESET."""
        return bool(await self.read_status() & DeviceStatus.DEVICE_NEEDS_RESET)

    def on_change(self, callback: Callable[[], None] | None) -> None:
        """Run ``callback`` on every configuration change notification."""
        self._dev.on_change(callback)


def _tables() -> tuple[RegisterTable, ...]:
    from ringwalker.spec.blk import BLK_CONFIG
    from ringwalker.spec.console import CONSOLE_CONFIG
    from ringwalker.spec.net import NET_CONFIG

    tables = (BLK_CONFIG, NET_CONFIG, CONSOLE_CONFIG)
    assert {table.name for table in tables} == set(DEVICE_FIELDS)
    return tables


_KNOWN = _tables()
