"""The virtio PCI transport, modern face: configuration operations and queues over a PCI function.

Ref: virtio 1.4, 3.1 (initialization), 4.1.4 (structures), 4.1.5 (operation).
"""

from collections.abc import Callable
from dataclasses import dataclass

from ringwalker.spec.common import COMMON, ISR, NO_VECTOR, CapabilityType, DeviceStatus, IsrBit
from ringwalker.spec.features import Feature
from ringwalker.spec.pci import VIRTIO_CAPABILITY, VIRTIO_NOTIFY_CAPABILITY, CapabilityId
from ringwalker.spec.registers import Register, RegisterTable

from .bus import VirtioDevice
from .errors import BindError, DeviceError, RequestTimeout
from .pci import PciDevice
from .port import Task
from .virtqueue import Virtqueue

__all__ = ["VirtioPciTransport"]

_POLLS = 10_000
"""How often a register is read again before a reset counts as hung."""
_POLL_CYCLES = 64


@dataclass(frozen=True)
class _Structure:
    """Where a virtio structure lies."""

    bar: int
    offset: int
    size: int
    multiplier: int = 0


class VirtioPciTransport:
    """Drives one PCI function with virtio capabilities; it is the ``config`` of its :class:`VirtioDevice`.

    ``interrupt`` is ``"msix"`` (vector 0 for configuration changes, one a queue as far as they reach) or
    ``"intx"``. ``features`` is what was negotiated. Errors: :class:`BindError` from :meth:`bind` when the
    function has not what it takes, :class:`DeviceError` when the device breaks the rules.
    """

    def __init__(self, pci: PciDevice, interrupt: str = "msix"):
        if interrupt not in ("msix", "intx"):
            raise ValueError(f"interrupt is {interrupt!r}; it must be 'msix' or 'intx'")
        self.pci = pci
        self.port = pci.port
        self.interrupt = interrupt
        self.features = 0
        self.vqs: dict[int, Virtqueue] = {}
        self.config_changes = 0
        self.device = VirtioDevice(None, pci.id, self)
        self._structures: dict[int, _Structure] = {}
        self._doorbells: dict[int, int] = {}
        self._vectors = 0
        self._changed: Callable[[], None] | None = None
        self._intx_event = self.port.event()
        self._intx_task: Task | None = None

    # --- binding -------------------------------------------------------------------------------------------

    @classmethod
    async def bind(cls, pci: PciDevice, interrupt: str = "msix") -> "VirtioPciTransport":
        """Find the structures, reset the device, set up interrupts, acknowledge the device."""
        transport = cls(pci, interrupt)
        await transport._find_structures()
        await transport.reset()
        await transport._setup_interrupts()
        return transport

    async def _find_structures(self) -> None:
        for capability in self.pci.find_capabilities(CapabilityId.VENDOR):
            at = capability.offset
            kind = await self.pci.read(VIRTIO_CAPABILITY.type, at)
            bar = await self.pci.read(VIRTIO_CAPABILITY.bar, at)
            # The driver uses the first of each kind that it can, and skips reserved BAR values.
            if kind in self._structures or kind == CapabilityType.PCI or bar not in self.pci.bars:
                continue
            offset = await self.pci.read(VIRTIO_CAPABILITY.offset, at)
            size = await self.pci.read(VIRTIO_CAPABILITY["size"], at)
            multiplier = 0
            if kind == CapabilityType.NOTIFY:
                multiplier = await self.pci.read(VIRTIO_NOTIFY_CAPABILITY.multiplier, at)
            self.pci.bar(bar, offset, size)
            self._structures[kind] = _Structure(bar, offset, size, multiplier)
        for kind in (CapabilityType.COMMON, CapabilityType.NOTIFY, CapabilityType.ISR):
            if kind not in self._structures:
                raise BindError(f"{self.pci.name}: no usable virtio capability of type {kind.name}")

    async def unbind(self) -> None:
        """Reset the device and stop listening to its interrupts."""
        await self._reset_device()
        if self._intx_task is not None:
            self._intx_task.cancel()
            self._intx_task = None
        elif self._vectors:
            await self.pci.disable_msix()
            self._vectors = 0

    # --- register access -----------------------------------------------------------------------------------

    async def _read(self, kind: CapabilityType, register: Register) -> int:
        """Fields of 64 bits are read as halves."""
        place = self._structures[kind]
        at = place.offset + register.offset
        if register.size <= 4:
            return await self.pci.bar_read(place.bar, at, register.size)
        low = await self.pci.bar_read(place.bar, at, 4)
        return low | await self.pci.bar_read(place.bar, at + 4, 4) << 32

    async def _write(self, kind: CapabilityType, register: Register, value: int) -> None:
        place = self._structures[kind]
        at = place.offset + register.offset
        if register.size <= 4:
            await self.pci.bar_write(place.bar, at, register.size, value)
            return
        await self.pci.bar_write(place.bar, at, 4, value & 0xFFFF_FFFF)
        await self.pci.bar_write(place.bar, at + 4, 4, value >> 32)

    async def read_common(self, name: str) -> int:
        """Read a field of the common configuration."""
        return await self._read(CapabilityType.COMMON, COMMON[name])

    async def write_common(self, name: str, value: int) -> None:
        """Write a field of the common configuration."""
        await self._write(CapabilityType.COMMON, COMMON[name], value)

    # --- status and features -------------------------------------------------------------------------------

    async def status(self) -> int:
        """The device status byte."""
        return await self.read_common("device_status")

    async def add_status(self, bits: int) -> None:
        """Set bits of the device status."""
        await self.write_common("device_status", await self.status() | bits)

    async def reset(self) -> None:
        """Reset the device and wait until it says so; then acknowledge it and say that there is a driver.

        All queues become unusable. Errors: :class:`RequestTimeout`.
        """
        await self._reset_device()
        if self._vectors:
            await self._set_config_vector()
        await self.add_status(DeviceStatus.ACKNOWLEDGE)
        await self.add_status(DeviceStatus.DRIVER)

    async def _reset_device(self) -> None:
        await self.write_common("device_status", 0)
        await self._poll("device_status", 0, "the device")
        self.features = 0
        self._doorbells.clear()
        for vq in self.vqs.values():
            vq.broken = True

    async def _poll(self, name: str, wanted: int, what: str) -> None:
        for _ in range(_POLLS):
            if await self.read_common(name) == wanted:
                return
            await self.port.sleep(_POLL_CYCLES)
        raise RequestTimeout(
            f"{self.pci.name}: the reset of {what} does not end: {name} does not become {wanted}"
        )

    async def device_features(self) -> int:
        """The feature bits offered, as a mask."""
        offered = 0
        for word in range(2):
            await self.write_common("device_feature_select", word)
            offered |= await self.read_common("device_feature") << 32 * word
        return offered

    async def negotiate(self, wanted: int) -> int:
        """Accept those bits of ``wanted`` that are offered, and always VERSION_1; what was agreed on.

        RING_RESET belongs to the transport, and is accepted where it is offered.
        Errors: :class:`BindError` when the device is not a modern one or refuses.
        """
        offered = await self.device_features()
        if not offered >> Feature.VERSION_1 & 1:
            raise BindError(f"{self.pci.name}: the device does not offer VIRTIO_F_VERSION_1")
        accepted = offered & (wanted | 1 << Feature.VERSION_1 | 1 << Feature.RING_RESET)
        for word in range(2):
            await self.write_common("driver_feature_select", word)
            await self.write_common("driver_feature", accepted >> 32 * word & 0xFFFF_FFFF)
        await self.add_status(DeviceStatus.FEATURES_OK)
        if not await self.status() & DeviceStatus.FEATURES_OK:
            raise BindError(f"{self.pci.name}: the device refuses the features {accepted:#x} of {offered:#x}")
        self.features = accepted
        return accepted

    async def driver_ok(self) -> None:
        """Let the device start. Errors: :class:`DeviceError` when it failed at once."""
        await self.add_status(DeviceStatus.DRIVER_OK)
        if await self.needs_reset():
            raise DeviceError(f"{self.pci.name}: the device needs a reset right after DRIVER_OK")

    async def fail(self) -> None:
        """Say that the driver gave up."""
        await self.add_status(DeviceStatus.FAILED)

    async def needs_reset(self) -> bool:
        """Whether the device has failed."""
        return bool(await self.status() & DeviceStatus.DEVICE_NEEDS_RESET)

    # --- device configuration ------------------------------------------------------------------------------

    def find(self, table: RegisterTable, name: str) -> Register | None:
        """The field ``name`` of ``table``, if the device's structure reaches that far."""
        place = self._structures.get(CapabilityType.DEVICE)
        register = table[name]
        if place is None or register.offset + register.size > place.size:
            return None
        return register

    async def get(self, register: Register) -> int:
        """Read a field of device configuration; again if it changed meanwhile."""
        self._check_device_field(register)
        for _ in range(_POLLS):
            before = await self.read_common("config_generation")
            value = await self._read(CapabilityType.DEVICE, register)
            if await self.read_common("config_generation") == before:
                return value
        raise DeviceError(f"{self.pci.name}: {register.name} changes faster than it can be read")

    async def set(self, register: Register, value: int) -> None:
        """Write a field of device configuration."""
        self._check_device_field(register)
        await self._write(CapabilityType.DEVICE, register, value)

    def _check_device_field(self, register: Register) -> None:
        place = self._structures.get(CapabilityType.DEVICE)
        if place is None or register.offset + register.size > place.size:
            raise BindError(f"{self.pci.name}: device configuration has no field {register.name}")

    def on_change(self, callback: Callable[[], None] | None) -> None:
        """Run ``callback`` on every configuration change notification."""
        self._changed = callback

    # --- queues --------------------------------------------------------------------------------------------

    async def num_queues(self) -> int:
        """How many queues the device has."""
        return await self.read_common("num_queues")

    async def find_vq(
        self, index: int, callback: Callable[[Virtqueue], bool] | None = None, size: int | None = None
    ) -> Virtqueue:
        """Set up queue ``index``, with ``size`` entries or as many as the device offers.

        Errors: :class:`BindError` when there is no such queue, ``ValueError`` for a size that is too large.
        """
        await self.write_common("queue_select", index)
        limit = await self.read_common("queue_size")
        if limit == 0:
            raise BindError(f"{self.pci.name}: the device has no queue {index}")
        if await self.read_common("queue_enable"):
            raise BindError(f"{self.pci.name}: queue {index} is in use")
        if size is not None and size > limit:
            raise ValueError(f"queue {index}: size is {size}; the device allows at most {limit}")
        vq = Virtqueue(
            self.port.memory,
            size or limit,
            index=index,
            callback=callback,
            notify=self._notify,
            stop=self._stop_queue,
            vdev=self.device,
        )
        if index in self.vqs:
            await self.del_vq(self.vqs[index])
        self.vqs[index] = vq
        self.device.vqs.append(vq)
        await self._enable_queue(vq)
        return vq

    async def _enable_queue(self, vq: Virtqueue) -> None:
        await self.write_common("queue_select", vq.index)
        await self.write_common("queue_size", vq.size)
        if self._vectors:
            await self._set_vector("queue_msix_vector", self._queue_vector(vq.index))
        await self.write_common("queue_desc", vq.desc_address)
        await self.write_common("queue_driver", vq.driver_address)
        await self.write_common("queue_device", vq.device_address)
        place = self._structures[CapabilityType.NOTIFY]
        at = await self.read_common("queue_notify_off") * place.multiplier
        if at + 2 > place.size:
            raise DeviceError(
                f"queue {vq.index}: its doorbell at {at:#x} is outside the {place.size} bytes given"
            )
        self._doorbells[vq.index] = place.offset + at
        await self.write_common("queue_enable", 1)

    async def del_vq(self, vq: Virtqueue) -> None:
        """Forget a queue that was shut down, and free its rings."""
        self.vqs.pop(vq.index, None)
        if vq in self.device.vqs:
            self.device.vqs.remove(vq)
        vq.free()

    async def _notify(self, vq: Virtqueue) -> None:
        place = self._structures[CapabilityType.NOTIFY]
        await self.pci.bar_write(place.bar, self._doorbells[vq.index], 2, vq.index)

    async def _stop_queue(self, vq: Virtqueue) -> bool:
        """A queue reset where it was negotiated, then the queue is set up again; else a device reset."""
        if vq.index not in self._doorbells:
            return False
        if not self.features >> Feature.RING_RESET & 1:
            await self.reset()
            return False
        await self.write_common("queue_select", vq.index)
        await self.write_common("queue_reset", 1)
        await self._poll("queue_reset", 0, f"queue {vq.index}")
        if await self.read_common("queue_enable"):
            raise DeviceError(f"queue {vq.index} is still enabled after its reset")
        vq.reset()
        await self._enable_queue(vq)
        return True

    # --- interrupts ----------------------------------------------------------------------------------------

    async def _setup_interrupts(self) -> None:
        if self.interrupt == "intx":
            await self.pci.enable_intx(self._intx_event.set)
            self._intx_task = self.port.start(self._serve_intx())
            return
        available = await self.pci.msix_vectors()
        vectors = min(available, 1 + await self.num_queues())
        if vectors == 0:
            raise BindError(f"{self.pci.name}: the function has no MSI-X")
        await self.pci.enable_msix([self._vector_callback(vector) for vector in range(vectors)])
        self._vectors = vectors
        await self._set_config_vector()

    async def _set_config_vector(self) -> None:
        await self._set_vector("config_msix_vector", 0)

    async def _set_vector(self, name: str, vector: int) -> None:
        await self.write_common(name, vector)
        if await self.read_common(name) == NO_VECTOR:
            raise DeviceError(f"{self.pci.name}: the device has no room for vector {vector} in {name}")

    def _queue_vector(self, index: int) -> int:
        return 1 + index % (self._vectors - 1) if self._vectors > 1 else 0

    def _vector_callback(self, vector: int) -> Callable[[], None]:
        def arrived() -> None:
            mine = [vq for vq in self.vqs.values() if self._queue_vector(vq.index) == vector]
            if len(mine) == 1 and vector:
                mine[0].interrupt()
                return
            for vq in mine:
                if vq.used_pending:
                    vq.interrupt()
            if vector == 0:
                self._config_interrupt()

        return arrived

    def _config_interrupt(self) -> None:
        self.config_changes += 1
        if self._changed is not None:
            self._changed()

    async def _serve_intx(self) -> None:
        """The line may stay up from one cause to the next, so the status is read until it is 0."""
        while True:
            await self._intx_event.wait()
            self._intx_event.clear()
            while causes := await self._read(CapabilityType.ISR, ISR.isr_status):
                if causes & IsrBit.QUEUE:
                    for vq in tuple(self.vqs.values()):
                        if vq.used_pending:
                            vq.interrupt()
                if causes & IsrBit.CONFIG:
                    self._config_interrupt()
