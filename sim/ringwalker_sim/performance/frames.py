"""Frames through one queue of a network device, as fast as it takes them, and a look at every one."""

from typing import Any

import numpy as np

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.net import NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE

from ..guest.bus import VirtioDevice, VirtioDriver
from ..guest.device_driver import device_driver
from ..guest.errors import DeviceError
from ..guest.net_header import net_header_bytes
from ..guest.port import Port
from ..guest.ring_queue import BufferSet, RingVirtqueue

__all__ = ["USUAL_FEATURES", "FrameLoad", "frame_bytes", "load_driver"]

USUAL_FEATURES = 1 << Feature.INDIRECT_DESC | 1 << Feature.EVENT_IDX
"""What the driver makes use of in every case."""

TIMEOUT_CYCLES = 1_000_000
"""How long nothing may come back."""

_SMALLEST = 64
_CHECK_SEQUENCE = 4
_PROBES = 4
"""Frames one after another, of which the last is measured: the device learns the pattern of the driver."""


def frame_bytes(size: int) -> int:
    """What a frame of ``size`` bytes has in memory: the smallest is counted with its check sequence."""
    return size - _CHECK_SEQUENCE if size == _SMALLEST else size


class FrameLoad:
    """A driver that keeps ``depth`` buffers with the device, added and made available ``batch`` at a time.

    Each buffer starts at a multiple of a power of two that it fits, so that no TLP has to be cut for its
    address.

    ``direction`` is ``"tx"`` or ``"rx"``. Frames have ``length`` random bytes; what the MAC gets is compared
    there, what it gives is compared in memory. With an event index the driver asks for an interrupt when
    ``batch`` buffers were used. ``features`` are what it makes use of. ``latencies`` (cycles) go from the
    kick of a batch to the moment that its use is seen.
    """

    def __init__(
        self,
        port: Any,
        device: VirtioDevice,
        direction: str,
        length: int,
        depth: int,
        batch: int,
        features: int = USUAL_FEATURES,
    ):
        self.port = port
        self.device = device
        self.direction = direction
        self.length = length
        self.depth = depth
        self.batch = batch
        self._features = features
        self.header_bytes = 0
        self.cycles = self.done = 0
        self.latencies: list[np.ndarray] = []
        self._woken = port.event()
        self._memory: Any = None
        self._vq: Any = None

    # --- life ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Negotiate, set up both queues and the buffers, and let the device start."""
        config = self.device.config
        self.header_bytes = net_header_bytes(await config.negotiate(self._features))
        queues = {}
        for direction, index in (("rx", NET_RECEIVE_QUEUE), ("tx", NET_TRANSMIT_QUEUE)):
            queues[direction] = await config.find_vq(
                index, self._used if direction == self.direction else None
            )
        self._vq = queues[self.direction]
        self._vq.interrupt_after = self.batch
        self._make_buffers()
        await config.driver_ok()

    async def close(self) -> None:
        """Stop the device and free everything."""
        config = self.device.config
        await config.reset()
        for vq in tuple(self.device.vqs):
            await config.del_vq(vq)
        self._memory.free()

    def _make_buffers(self) -> None:
        random = np.random.default_rng(self.length)
        size = self.header_bytes + self.length
        self._stride = stride = 1 << (size - 1).bit_length()
        self._memory = self.port.memory.allocate(self.depth * stride, stride)
        self._rows = self._memory.array.reshape(self.depth, stride)[:, :size]
        # One frame more than buffers, so that a buffer never gets the same frame twice in a row.
        receives = self.direction == "rx"
        self._frames = random.integers(0, 256, (self.depth + receives, self.length), np.uint8)
        self._frames[:, :6] = 0xFF
        self._rows[:, : self.header_bytes] = 0
        if not receives:
            self._rows[:, self.header_bytes :] = self._frames
        addresses = self._memory.address + stride * np.arange(self.depth)
        self._buffers = BufferSet(addresses, np.full(self.depth, size), receives)
        self._started = np.zeros(self.depth, np.int64)

    @property
    def vq(self) -> RingVirtqueue:
        """The queue that the frames go through."""
        return self._vq

    def _used(self, _vq: Any) -> bool:
        self._woken.set()
        return True

    # --- the load ------------------------------------------------------------------------------------------

    async def run(self, total: int) -> None:
        """Move ``total`` frames; ``cycles`` is from the first notification, or the first frame offered to the
        device, to the last use seen. Errors: :class:`DeviceError` for frames that are lost or wrong."""
        engine = self.port.engine
        before = engine.stats()["mac_tx_different"]
        free = list(range(self.depth))
        to_add = total
        begin = self.port.now()
        if self.direction == "tx":
            engine.ports.mac.expect(self._frames)
        self.done = 0
        supplied = self.direction == "tx"
        while self.done < total:
            while to_add and len(free) >= min(self.batch, to_add):
                count = min(self.batch, to_add)
                await self._add(free[:count])
                del free[:count]
                to_add -= count
            if not supplied:
                await self.port.sleep(2 * engine.host.latency * 4)
                begin, supplied = self.port.now(), True
                self._started[:] = begin
                engine.ports.mac.supply(self._frames, total)
            if (left := await self._elsewhere(free, to_add)) is None:
                free += await self._wait()
            else:
                to_add = left
        self.cycles = self.port.now() - begin
        different = engine.stats()["mac_tx_different"] - before
        if different:
            raise DeviceError(f"{different} of {total} frames came out of the MAC other than they were sent")

    async def _elsewhere(self, _free: list[int], _to_add: int) -> int | None:
        """Let somebody else go on with what is in flight, who keeps the free buffers and all counts up to
        date; how many frames are then still to be added. None: nobody does."""
        return None

    async def first_payload(self, rest: int) -> int:
        """Cycles from a notification to the first byte of a frame that moves; the device rests before."""
        receives = self.direction == "rx"
        cycles = 0
        for _ in range(_PROBES):
            if receives:
                self.port.engine.ports.mac.supply(self._frames, 1)
            await self.port.sleep(rest)
            size = self.header_bytes + self.length
            watch = self.port.memory.watch(self._memory.address, size, reads=not receives, writes=receives)
            begin = self.port.now()
            await self._add([0])
            self.done = 0
            await self._wait()
            cycles = watch.hits[0].cycle - begin
            self.port.memory.unwatch(watch)
        return cycles

    async def _add(self, numbers: list[int]) -> None:
        taken = self.vq.add_bufs(self._buffers, numbers)
        assert taken == len(numbers), (taken, len(numbers))
        self._started[numbers] = self.port.now()
        await self.vq.kick()

    async def _wait(self) -> list[int]:
        """The buffers that the device has used since, at least one; they are checked."""
        while True:
            self._woken.clear()
            numbers, lengths = self.vq.get_bufs()
            if numbers:
                break
            if not await self._woken.wait(TIMEOUT_CYCLES):
                raise self._lost()
        self.latencies.append(self.port.now() - self._started[numbers])
        message = self._wrong(lengths, self._rows[numbers, self.header_bytes :])
        if message is not None:
            raise DeviceError(message)
        self.done += len(numbers)
        return numbers

    def _lost(self) -> DeviceError:
        return DeviceError(f"no buffer came back in {TIMEOUT_CYCLES} cycles, after {self.done}")

    def _wrong(self, lengths: np.ndarray, rows: np.ndarray) -> str | None:
        """What is wrong with the next buffers that have come back, with so many bytes written, and what they
        hold behind the header."""
        wanted = self.header_bytes + self.length if self.direction == "rx" else 0
        if (lengths != wanted).any():
            return f"used lengths are {set(lengths.tolist())} after {self.done}, not {wanted}"
        if self.direction == "tx":
            return None
        which = (self.done + np.arange(len(rows))) % len(self._frames)
        if np.array_equal(rows, self._frames[which]):
            return None
        return f"frames {self.done} to {self.done + len(rows) - 1} were received wrong"


def load_driver(port: Port, kind: type[FrameLoad] = FrameLoad, **load: Any) -> VirtioDriver:
    """A network driver that is a :class:`FrameLoad` of ``kind``; ``load`` are its arguments."""
    return device_driver(DeviceType.NET, lambda device: kind(port, device, **load))
