"""The transport of a virtio device on a memory-mapped bus. Ref: virtio 1.4, 4.2."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.mmio import MMIO, MMIO_CONFIG_BASE, MMIO_MAGIC, MMIO_VERSION
from ringwalker.spec.modern import DeviceStatus, IsrBit
from ringwalker.spec.registers import Register, RegisterTable

from ..bus import VirtioDevice, VirtioDeviceId
from ..errors import BindError, DeviceError, RequestTimeout
from ..port import Port, Task
from ..ring_queue import RingVirtqueue
from .queue_registers import QueueRegisters, QueueSelection
from .ring_transport import RingTransport

__all__ = ["MmioRegisters", "MmioTransport"]

_POLLS = 10_000
_POLL_CYCLES = 64
_HALVES = ("desc", "driver", "device")
_ROWS = {"size": "queue_size", "enable": "queue_ready", "reset": "queue_reset"}


class MmioRegisters(ABC):
    """The registers of a device: ``offset`` in bytes, ``size`` 1, 2 or 4 and naturally aligned."""

    @abstractmethod
    async def read(self, offset: int, size: int) -> int:
        """Read a register."""

    @abstractmethod
    async def write(self, offset: int, size: int, value: int) -> None:
        """Write a register; returns when the device has it."""

    @abstractmethod
    def on_interrupt(self, callback: Callable[[], None]) -> None:
        """``callback`` runs whenever the interrupt is asserted."""


class _MmioQueue(QueueRegisters):
    """The registers of queue ``index``, behind ``queue_sel``."""

    def __init__(self, transport: "MmioTransport", index: int):
        self._transport = transport
        self._index = index

    async def read(self, name: str) -> int:
        """Read a register; ``size`` is the most that the device allows."""
        transport = self._transport
        async with transport.selection.of(self._index):
            return await transport.read(MMIO["queue_size_max" if name == "size" else _ROWS[name]])

    async def write(self, name: str, value: int) -> None:
        """Write a register."""
        transport = self._transport
        async with transport.selection.of(self._index):
            if name not in _HALVES:
                await transport.write(MMIO[_ROWS[name]], value)
                return
            await transport.write(MMIO[f"queue_{name}_low"], value & 0xFFFF_FFFF)
            await transport.write(MMIO[f"queue_{name}_high"], value >> 32)

    async def ring(self, index: int, shown: int | None = None) -> None:
        """Write the doorbell."""
        value = index if shown is None else index | shown << 16
        await self._transport.write(MMIO.queue_notify, value)


class MmioTransport(RingTransport):
    """Configuration operations and queues of the device behind ``registers``; ``port`` has RAM and time.

    ``device`` has the identity of the device type, once :meth:`bind` has read it. Errors: those of
    :meth:`bind`, and :class:`DeviceError` when the device breaks the rules.
    """

    def __init__(self, port: Port, registers: MmioRegisters, name: str = "mmio"):
        self.port = port
        self.memory = port.memory
        self.registers = registers
        self.name = name
        self.vqs: dict[int, RingVirtqueue] = {}
        self.config_changes = 0
        self.device = VirtioDevice(None, VirtioDeviceId(0, 0), self)
        self.selection = QueueSelection(port, lambda index: self.write(MMIO.queue_sel, index))
        self._registers: dict[int, QueueRegisters] = {}
        self._changed: Callable[[], None] | None = None
        self._event = port.event()
        self._task: Task | None = None

    @property
    def recorder(self):
        """See :class:`~..ring_queue.QueueControl`."""
        return self.port.recorder

    async def read(self, register: Register) -> int:
        """Read a control register."""
        return await self.registers.read(register.offset, register.size)

    async def write(self, register: Register, value: int) -> None:
        """Write a control register."""
        await self.registers.write(register.offset, register.size, value)

    # --- binding -------------------------------------------------------------------------------------------

    async def bind(self, identity: Callable[[int], VirtioDeviceId]) -> None:
        """Find the device, reset it, listen to its interrupt, and set ACKNOWLEDGE and DRIVER.

        ``identity`` makes that of a device type. Errors: :class:`BindError` where there is no device.
        """
        magic = await self.read(MMIO.magic_value)
        if magic != MMIO_MAGIC:
            raise BindError(
                f"{self.name}: no virtio device: magic_value reads {magic:#x}, and must be {MMIO_MAGIC:#x}"
            )
        version = await self.read(MMIO.version)
        if version != MMIO_VERSION:
            raise BindError(f"{self.name}: version is {version}; a device here must have {MMIO_VERSION}")
        kind = await self.read(MMIO.device_id)
        if kind == 0:
            raise BindError(f"{self.name}: device_id is 0, so there is no device")
        self.device.id = identity(kind)
        known = kind in tuple(DeviceType)
        self.name = f"{self.name} {DeviceType(kind).name.lower() if known else f'type {kind}'}"
        self.registers.on_interrupt(self._event.set)
        self._task = self.port.start(self._serve())
        await self.reset()

    async def unbind(self) -> None:
        """Reset the device, and listen no more."""
        await self._reset_device()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _serve(self) -> None:
        """Acknowledge events until none is left: the line may stay asserted from one to the next."""
        while True:
            await self._event.wait()
            self._event.clear()
            while causes := await self.read(MMIO.interrupt_status) & (IsrBit.QUEUE | IsrBit.CONFIG):
                await self.write(MMIO.interrupt_ack, causes)
                if causes & IsrBit.QUEUE:
                    for vq in tuple(self.vqs.values()):
                        if vq.used_pending:
                            vq.interrupt()
                if causes & IsrBit.CONFIG:
                    self.config_changes += 1
                    if self._changed is not None:
                        self._changed()

    # --- status and features -------------------------------------------------------------------------------

    async def reset(self) -> None:
        """Reset the device and set ACKNOWLEDGE and DRIVER. Errors: :class:`RequestTimeout`."""
        await self._reset_device()
        await self.add_status(DeviceStatus.ACKNOWLEDGE)
        await self.add_status(DeviceStatus.DRIVER)

    async def _reset_device(self) -> None:
        await self.write_status(0)
        for _ in range(_POLLS):
            if await self.status() == 0:
                self._forget()
                return
            await self.port.sleep(_POLL_CYCLES)
        raise RequestTimeout(f"{self.name}: the reset of the device does not end")

    async def status(self) -> int:
        """Read the device status."""
        return await self.read(MMIO.status)

    async def write_status(self, value: int) -> None:
        """Write the device status."""
        await self.write(MMIO.status, value)

    async def device_features(self) -> int:
        """The feature bits offered, as a mask."""
        offered = 0
        for word in range(2):
            await self.write(MMIO.device_features_sel, word)
            offered |= await self.read(MMIO.device_features) << 32 * word
        return offered

    async def accept_features(self, features: int) -> None:
        """Write the features that the driver accepts, as a mask."""
        for word in range(2):
            await self.write(MMIO.driver_features_sel, word)
            await self.write(MMIO.driver_features, features >> 32 * word & 0xFFFF_FFFF)

    # --- device configuration ------------------------------------------------------------------------------

    def find(self, table: RegisterTable, name: str) -> Register | None:
        """The field ``name`` of ``table``. How long the configuration is, this transport cannot tell."""
        return table[name]

    async def get(self, register: Register) -> int:
        """Read a field of device configuration, by accesses of its width; again if it changed meanwhile."""
        for _ in range(_POLLS):
            before = await self.read(MMIO.config_generation)
            value = 0
            for at, size in _accesses(register):
                value |= await self.registers.read(MMIO_CONFIG_BASE + register.offset + at, size) << 8 * at
            if await self.read(MMIO.config_generation) == before:
                return value
        raise DeviceError(f"{self.name}: {register.name} changes faster than it can be read")

    async def set(self, register: Register, value: int) -> None:
        """Write a field of device configuration, by accesses of its width."""
        for at, size in _accesses(register):
            part = value >> 8 * at & (1 << 8 * size) - 1
            await self.registers.write(MMIO_CONFIG_BASE + register.offset + at, size, part)

    def on_change(self, callback: Callable[[], None] | None) -> None:
        """Run ``callback`` on every configuration change notification."""
        self._changed = callback

    # --- queues --------------------------------------------------------------------------------------------

    async def num_queues(self) -> int:
        """Number of queues of the device: those before the first that is not there."""
        count = 0
        while await _MmioQueue(self, count).read("size"):
            count += 1
        return count

    def queue_registers(self, index: int) -> QueueRegisters:
        """The registers of queue ``index``, behind ``queue_sel``."""
        return _MmioQueue(self, index)

    def usual_size(self, limit: int) -> int:
        """All entries; of a split ring a power of two."""
        return limit if self.features >> Feature.RING_PACKED & 1 else 1 << limit.bit_length() - 1

    async def resume(self, vq: RingVirtqueue) -> None:
        """Write size and rings of a queue to the device, and enable it. Errors: :class:`DeviceError`."""
        await super().resume(vq)
        if not await self._registers[vq.index].read("enable"):
            raise DeviceError(f"{self.name}: queue {vq.index} does not become ready")

    async def _queue_reset_ends(self, vq: RingVirtqueue) -> None:
        assert self.features >> Feature.RING_RESET & 1
        registers = self._registers[vq.index]
        for _ in range(_POLLS):
            if not await registers.read("reset"):
                return
            await self.port.sleep(_POLL_CYCLES)
        raise RequestTimeout(f"{self.name}: the reset of queue {vq.index} does not end")


def _accesses(register: Register) -> list[tuple[int, int]]:
    """The accesses of a field by its width: offset in it and bytes of each. Ref: virtio 1.4, 4.2.2.2."""
    step = 4 if register.size % 4 == 0 else register.size if register.size == 2 else 1
    return [(at, step) for at in range(0, register.size, step)]
