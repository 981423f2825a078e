"""The pipe transport: buffers over a byte stream without shared memory, as in the read-write scheme of May
2007.

A kick writes the device-readable bytes of buffers to the stream. An answer of the device is copied into its
buffer on arrival. This transport makes the copies: watches of the guest's memory see them as accesses of the
device.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.registers import Register, RegisterTable

from ...memory import Access
from ..bus import VirtioDevice, VirtioDeviceId
from ..errors import BindError, DeviceError, RequestTimeout
from ..port import Event, Port
from ..virtqueue import Chain, Virtqueue
from .field_space import FieldSpace
from .pipe_records import PIPE_COMMON, PipeEnd, PipeError, PipeSpace, Record, RecordKind
from .queue_registers import QueueRegisters
from .status_ops import StatusOps

__all__ = ["PipeTransport", "PipeVirtqueue"]

_TIMEOUT_CYCLES = 5_000_000


class PipeVirtqueue(Virtqueue):
    """A queue whose buffers are records on the stream of ``transport``."""

    def __init__(self, transport: "PipeTransport", size: int, **arguments: Any):
        super().__init__(size, vdev=transport.device, **arguments)
        self._transport = transport
        self._in_use = 0
        self._fresh: list[int] = []

    @property
    def num_free(self) -> int:
        """Free descriptors. They are only counted: the queue has the capacity of a ring of ``size``."""
        return self.size - self._in_use

    def _expose(self, chain: Chain) -> None:
        self._in_use += len(chain.sg)
        self._chains[chain.number] = chain
        self._fresh.append(chain.number)

    def _pending(self) -> int:
        return 0  # Used buffers are in _done on arrival.

    def _take(self) -> None:
        return None

    def _drop(self, number: int) -> Chain:
        chain = self._chains.pop(number)
        self._in_use -= len(chain.sg)
        return chain

    def publish(self) -> None:
        """Write the added buffers to the stream. Unlike :meth:`kick` it is no coroutine."""
        fresh, self._fresh = self._fresh, []
        for number in fresh:
            chain = self._chains[number]
            content = b"".join(self._transport.fetch(piece) for piece in chain.sg[: chain.out_num])
            self._transport.end.send(Record(RecordKind.OFFER, self.index, number, chain.writable, content))

    async def kick(self) -> None:
        """Write the added buffers to the stream."""
        if not self.broken:
            self.kicks += 1
            self.publish()

    def used(self, record: Record) -> None:
        """A buffer is used. For the transport. Errors: :class:`PipeError` if it is not outstanding."""
        chain = self._chains.get(record.id)
        start, tail = len(record.payload) - record.tail, record.payload[len(record.payload) - record.tail :]
        if chain is None or record.id in self._fresh:
            raise PipeError(f"queue {self.index}: buffer {record.id} is used, which is not outstanding")
        room = chain.writable
        if len(record.payload) > room or record.value > room:
            raise PipeError(
                f"queue {self.index}: {len(record.payload)} bytes for buffer {record.id} of {room}"
            )
        self._drop(record.id)
        self._scatter(chain, 0, record.payload[:start])
        self._scatter(chain, room - len(tail), tail)
        self._done.append((chain.data, record.value))
        self.interrupt()

    def _scatter(self, chain: Chain, offset: int, content: bytes) -> None:
        position = 0
        for address, length in chain.sg[chain.out_num :]:
            low, high = max(offset, position), min(offset + len(content), position + length)
            if low < high:
                self._transport.store(address + low - position, content[low - offset : high - offset])
            position += length

    async def shutdown(self) -> list[Any]:
        """See :meth:`Virtqueue.shutdown`."""
        last = self._number
        if not self.broken:
            self.publish()
            await self._transport.call(Record(RecordKind.STOP, self.index))
        left = [chain for chain in self._in_order() if chain.number <= last]
        for chain in left:
            self._drop(chain.number)
        self._fresh = [number for number in self._fresh if number in self._chains]
        return [chain.data for chain in left]

    async def detach(self, data: Any) -> bool:
        """See :meth:`Virtqueue.detach`. Other buffers are not affected."""
        number = self._find(data)
        if number is None:
            return False
        if number in self._fresh:
            self._fresh.remove(number)
        elif self.broken:
            raise BindError(f"queue {self.index}: the queue is broken and holds no buffers")
        else:
            taken = await self._transport.call(Record(RecordKind.CANCEL, self.index, number))
            if number not in self._chains:
                return False
            if not taken.value:
                raise DeviceError(f"queue {self.index}: the device has lost buffer {number}")
        self._drop(number)
        return True

    def free(self) -> None:
        """Mark the queue as broken. It has no memory of its own."""
        self.broken = True


class _PipeFields(FieldSpace):
    def __init__(self, transport: "PipeTransport", size: int):
        super().__init__()
        self.size = size
        self._transport = transport

    async def read_bytes(self, offset: int, length: int) -> bytes:
        return await self._transport.read_space(PipeSpace.FIELDS, offset, length)

    async def write_bytes(self, offset: int, data: bytes) -> None:
        await self._transport.write_space(PipeSpace.FIELDS, offset, data)


class PipeTransport(StatusOps):
    """Configuration operations and queues through ``end``; the device's id on the bus is ``identity``.

    After an invalid record of the device, ``failure`` is the :class:`DeviceError` that every further
    operation raises, except :meth:`reset`, which then has no effect on the device.
    """

    def __init__(self, port: Port, end: PipeEnd, identity: VirtioDeviceId):
        self.port = port
        self.end = end
        self.name = f"pipe device {identity.device:#x}"
        self.vqs: dict[int, PipeVirtqueue] = {}
        self.device = VirtioDevice(None, identity, self)
        self.failure: DeviceError | None = None
        self._common: dict[str, int] = {}
        self._waiting: deque[tuple[RecordKind, Event, list[Record]]] = deque()
        self._changed: Callable[[], None] | None = None
        end.handle = self._handle
        end.failed = self._failed

    async def connect(self) -> None:
        """Read the sizes of the device. Errors: :class:`DeviceError`, :class:`RequestTimeout`."""
        for row in PIPE_COMMON:
            content = await self.read_space(PipeSpace.COMMON, row.offset, row.size)
            self._common[row.name] = int.from_bytes(content, "little")

    # --- memory --------------------------------------------------------------------------------------------

    def fetch(self, piece: tuple[int, int]) -> bytes:
        """Read a piece of a buffer for the device."""
        if self.port.memory.watches:
            self.port.memory.note_access(Access(self.port.now(), *piece, False))
        return self.port.memory.read(*piece)

    def store(self, address: int, content: bytes) -> None:
        """Write a piece of a buffer for the device."""
        if self.port.memory.watches:
            self.port.memory.note_access(Access(self.port.now(), address, len(content), True))
        self.port.memory.write(address, content)

    # --- records -------------------------------------------------------------------------------------------

    async def call(self, record: Record) -> Record:
        """Send a record and wait for its answer. Errors: ``failure``, :class:`RequestTimeout`."""
        if self.failure is not None:
            raise self.failure
        event = self.port.event()
        answers: list[Record] = []
        self._waiting.append((record.kind, event, answers))
        self.end.send(record)
        if not await event.wait(_TIMEOUT_CYCLES):
            raise RequestTimeout(f"{self.name}: no answer to {record.kind.name} in {_TIMEOUT_CYCLES} cycles")
        if self.failure is not None and not answers:
            raise self.failure
        return answers[0]

    def _handle(self, record: Record) -> None:
        if record.kind is RecordKind.ANSWER:
            if not self._waiting or self._waiting[0][0] != record.id:
                raise PipeError(f"an answer to {record.id}, which was not asked")
            _, event, answers = self._waiting.popleft()
            answers.append(record)
            event.set()
        elif record.kind is RecordKind.USED:
            vq = self.vqs.get(record.queue)
            if vq is None:
                raise PipeError(f"a buffer of queue {record.queue} is used, which is not set up")
            if not vq.broken:
                vq.used(record)
        elif record.kind is RecordKind.CHANGED:
            if self._changed is not None:
                self._changed()
        else:
            raise PipeError(f"the device sends {record.kind.name}")

    def _failed(self, error: PipeError) -> None:
        self.failure = DeviceError(f"{self.name}: {error}")
        self._forget()
        waiting, self._waiting = self._waiting, deque()
        for _, event, _ in waiting:
            event.set()
        if self._changed is not None:
            self._changed()

    async def read_space(self, space: PipeSpace, offset: int, length: int) -> bytes:
        """Read bytes of a space of the device."""
        answer = await self.call(Record(RecordKind.READ, space, offset, length))
        if len(answer.payload) != length:
            raise DeviceError(f"{self.name}: {len(answer.payload)} bytes for a read of {length}")
        return answer.payload

    async def write_space(self, space: PipeSpace, offset: int, content: bytes) -> None:
        """Write bytes of a space of the device."""
        await self.call(Record(RecordKind.WRITE, space, offset, payload=content))

    async def _read(self, name: str) -> int:
        row = PIPE_COMMON[name]
        return int.from_bytes(await self.read_space(PipeSpace.COMMON, row.offset, row.size), "little")

    async def _write(self, name: str, value: int) -> None:
        row = PIPE_COMMON[name]
        await self.write_space(PipeSpace.COMMON, row.offset, value.to_bytes(row.size, "little"))

    # --- status and features -------------------------------------------------------------------------------

    async def status(self) -> int:
        """Read the device status byte."""
        return await self._read("status")

    async def write_status(self, value: int) -> None:
        """Write the device status byte."""
        await self._write("status", value)

    async def device_features(self) -> int:
        """The feature bits offered, as a mask."""
        return await self._read("device_features")

    async def accept_features(self, features: int) -> None:
        """Write the features that the driver accepts, as a mask."""
        await self._write("driver_features", features)

    async def reset(self) -> None:
        """Reset the device and set ACKNOWLEDGE and DRIVER. All queues become unusable."""
        await self.unbind()
        if self.failure is None:
            await self.write_status(DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER)

    async def unbind(self) -> None:
        """Reset the device."""
        if self.failure is None:
            await self.write_status(0)
        self._forget()

    def _forget(self) -> None:
        self.features = 0
        for vq in self.vqs.values():
            vq.broken = True

    # --- device configuration ------------------------------------------------------------------------------

    def find(self, table: RegisterTable, name: str) -> Register | None:
        """The field ``name`` of ``table``, if the device's structure holds it."""
        register = table[name]
        return register if register.offset + register.size <= self._common["config_bytes"] else None

    async def get(self, register: Register) -> int:
        """Read a field of device configuration."""
        content = await self.read_space(PipeSpace.DEVICE, register.offset, register.size)
        return int.from_bytes(content, "little")

    async def set(self, register: Register, value: int) -> None:
        """Write a field of device configuration."""
        content = value.to_bytes(register.size, "little")
        await self.write_space(PipeSpace.DEVICE, register.offset, content)

    def on_change(self, callback: Callable[[], None] | None) -> None:
        """Run ``callback`` when the configuration changes, and when the device fails."""
        self._changed = callback

    async def fields(self) -> FieldSpace:
        """The field list of 2007, a string of bytes at the other end."""
        return _PipeFields(self, self._common["field_bytes"])

    # --- queues --------------------------------------------------------------------------------------------

    async def num_queues(self) -> int:
        """Number of queues of the device."""
        return self._common["num_queues"]

    async def find_vq(
        self, index: int, callback: Callable[[Virtqueue], bool] | None = None, size: int | None = None
    ) -> PipeVirtqueue:
        """Set up queue ``index``. Errors: :class:`BindError` when it does not exist or is in use."""
        if index >= self._common["num_queues"]:
            raise BindError(f"{self.name}: the device has no queue {index}")
        if index in self.vqs and not self.vqs[index].broken:
            raise BindError(f"{self.name}: queue {index} is in use")
        if index in self.vqs:
            await self.del_vq(self.vqs[index])
        vq = PipeVirtqueue(self, size or self._common["queue_size"], index=index, callback=callback)
        self.vqs[index] = vq
        self.device.vqs.append(vq)
        return vq

    async def create_vq(
        self,
        index: int,
        registers: QueueRegisters,
        callback: Callable[[Virtqueue], bool] | None = None,
        size: int | None = None,
    ) -> PipeVirtqueue:
        """Set up queue ``index``; of its registers only ``enable`` has an effect here."""
        vq = await self.find_vq(index, callback, size)
        await registers.write("enable", 1)
        return vq

    async def del_vq(self, vq: Virtqueue) -> None:
        """Free a queue that was shut down."""
        self.vqs.pop(vq.index, None)
        if vq in self.device.vqs:
            self.device.vqs.remove(vq)
        vq.free()

    async def retire_vq(self, vq: PipeVirtqueue) -> None:
        """Stop a queue in use, and free it."""
        await vq.shutdown()
        await self.del_vq(vq)
