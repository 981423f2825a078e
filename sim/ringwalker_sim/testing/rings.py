"""Split virtqueues in guest memory, seen from a driver, and a function that answers chains: for benches."""

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ringwalker.spec.ring import (
    AVAIL_ENTRY_BYTES,
    AVAIL_FLAGS_OFFSET,
    AVAIL_IDX_OFFSET,
    AVAIL_RING_OFFSET,
    DESC_ALIGN,
    DESC_BYTES,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    DEVICE_ALIGN,
    DRIVER_ALIGN,
    USED_ENTRY_BYTES,
    USED_IDX_OFFSET,
    USED_RING_OFFSET,
    avail_event_offset,
    used_event_offset,
)

from .dma import bytes_of, packet_beats
from .streams import Payload, StreamSink, StreamSource

__all__ = ["EchoFunction", "OfferedChain", "Ring", "inverted"]

_EVENT_BYTES = 2


def inverted(content: bytes, length: int) -> bytes:
    """What an echo answers: ``content`` with all bits inverted, repeated or cut to ``length``."""
    pattern = bytes(byte ^ 0xFF for byte in content) or b"\x5a"
    return (pattern * (length // len(pattern) + 1))[:length]


@dataclass
class OfferedChain:
    """A chain that a driver made available: its buffers as (address, length), and what it said."""

    head: int
    readable: list[tuple[int, int]]
    writable: list[tuple[int, int]]
    content: bytes
    indices: list[int] = field(default_factory=list)


class Ring:
    """One virtqueue of ``size`` entries at three random places between ``low`` and ``high`` of ``memory``.

    ``area`` gives a free area of so many bytes, aligned to so many.
    """

    def __init__(self, memory: bytearray, size: int, area: Callable[[int, int], int]):
        self.memory = memory
        self.size = size
        self.desc = area(DESC_BYTES * size, DESC_ALIGN)
        self.driver = area(used_event_offset(size) + _EVENT_BYTES, DRIVER_ALIGN)
        self.device = area(avail_event_offset(size) + _EVENT_BYTES, DEVICE_ALIGN)
        self.reset()

    def reset(self) -> None:
        """As when the driver sets the queue up: nothing is available, nothing used."""
        self.avail_idx = 0
        self.used_idx = 0
        self.free = random.sample(range(self.size), self.size)
        self.under_way: deque[OfferedChain] = deque()
        for base in (self.driver, self.device):
            self.memory[base : base + 4] = bytes(4)
        self.put(self.driver + used_event_offset(self.size), 0, _EVENT_BYTES)
        self.put(self.device + avail_event_offset(self.size), 0, _EVENT_BYTES)
        self.seen_avail = 0

    @property
    def row(self) -> dict[str, int]:
        """The row of the queue table that describes this queue, without its vector."""
        return {
            "desc": self.desc,
            "driver": self.driver,
            "device": self.device,
            "size": self.size,
            "enable": 1,
        }

    def number(self, at: int, size: int) -> int:
        """The little-endian number of ``size`` bytes at ``at``."""
        return int.from_bytes(self.memory[at : at + size], "little")

    def put(self, at: int, value: int, size: int) -> None:
        """Write a little-endian number of ``size`` bytes."""
        self.memory[at : at + size] = value.to_bytes(size, "little")

    def set_flags(self, flags: int) -> None:
        """Write ``avail.flags``."""
        self.put(self.driver + AVAIL_FLAGS_OFFSET, flags, 2)

    def set_used_event(self, idx: int) -> None:
        """Ask for an interrupt when entry ``idx`` of the used ring is written (VIRTIO_F_EVENT_IDX)."""
        self.put(self.driver + used_event_offset(self.size), idx & 0xFFFF, _EVENT_BYTES)

    def wants_doorbell(self) -> bool:
        """Whether ``avail_event`` is among the entries made available since the last call."""
        event = self.number(self.device + avail_event_offset(self.size), _EVENT_BYTES)
        old, self.seen_avail = self.seen_avail, self.avail_idx
        return (event - old) & 0xFFFF < (self.avail_idx - old) & 0xFFFF

    def describe(self, index: int, address: int, length: int, flags: int, after: int) -> None:
        """Write descriptor ``index`` of the queue's table."""
        self.describe_at(self.desc + DESC_BYTES * index, address, length, flags, after)

    def describe_at(self, at: int, address: int, length: int, flags: int, after: int) -> None:
        """Write a descriptor at an address."""
        for offset, value, size in ((0, address, 8), (8, length, 4), (12, flags, 2), (14, after, 2)):
            self.put(at + offset, value, size)

    def publish(self, head: int) -> None:
        """Make a head available, whatever it is."""
        entry = self.driver + AVAIL_RING_OFFSET + AVAIL_ENTRY_BYTES * (self.avail_idx % self.size)
        self.put(entry, head, 2)
        self.avail_idx = (self.avail_idx + 1) & 0xFFFF
        self.put(self.driver + AVAIL_IDX_OFFSET, self.avail_idx, 2)

    def offer(
        self,
        readable: list[tuple[int, int]],
        writable: list[tuple[int, int]],
        nested: int = 0,
        table: int = 0,
    ) -> OfferedChain:
        """Describe a chain of these buffers and make it available. There must be enough free descriptors.

        The last ``nested`` buffers are described by an indirect table at address ``table``.
        """
        parts = [(part, 0) for part in readable] + [(part, DESC_F_WRITE) for part in writable]
        direct = len(parts) - nested
        indices = [self.free.pop() for _ in range(direct + (nested > 0))]
        places = [self.desc + DESC_BYTES * index for index in indices]
        follows = indices[1:] + list(range(1, nested))
        if nested:
            self.describe_at(places.pop(), table, DESC_BYTES * nested, DESC_F_INDIRECT, 0)
            places += [table + DESC_BYTES * n for n in range(nested)]
        for n, ((address, length), flags) in enumerate(parts):
            last = n == len(parts) - 1
            after = random.getrandbits(16) if last else follows[n]
            self.describe_at(places[n], address, length, flags | (0 if last else DESC_F_NEXT), after)
        content = b"".join(bytes(self.memory[at : at + length]) for at, length in readable)
        chain = OfferedChain(indices[0], readable, writable, content, indices)
        self.under_way.append(chain)
        self.publish(indices[0])
        return chain

    def used(self) -> Iterator[tuple[OfferedChain, int]]:
        """The chains used since the last call, and how many bytes each says were written.

        Errors: ``AssertionError`` for a used element that is not that of the oldest chain in flight.
        """
        while self.used_idx != self.number(self.device + USED_IDX_OFFSET, 2):
            assert self.under_way, "the used index runs ahead of the available one"
            chain = self.under_way.popleft()
            at = self.device + USED_RING_OFFSET + USED_ENTRY_BYTES * (self.used_idx % self.size)
            assert self.number(at, 4) == chain.head, "the used element is of another chain"
            self.used_idx = (self.used_idx + 1) & 0xFFFF
            self.free += chain.indices
            random.shuffle(self.free)
            yield chain, self.number(at + 4, 4)


class EchoFunction:
    """Answers every chain of a ``ChainPort`` with what it read, inverted; see :func:`inverted`.

    ``written(writable)`` says how many bytes; they go out as several packets of random length. A chain
    whose data ended with ``error`` is answered with nothing. ``errors`` counts those.
    """

    def __init__(
        self,
        dut: Any,
        data_width: int,
        port: str = "function",
        *,
        stalls: Callable[[], Iterator[bool] | None] = lambda: None,
        written: Callable[[int], int] = lambda writable: writable,
        pieces: Callable[[int], int] = lambda length: length,
    ):
        self.data_width = data_width
        self.written = written
        self.pieces = pieces
        self.errors = 0
        self.chains = 0
        self._infos: deque[Payload] = deque()
        self._packets: deque[list[Payload]] = deque()
        self._beats: list[Payload] = []
        self._sinks = (
            StreamSink(dut, f"{port}_chains", stalls(), self._chain),
            StreamSink(dut, f"{port}_readable", stalls(), self._beat),
        )
        self._replies = StreamSource(dut, f"{port}_replies", stalls())

    @property
    def idle(self) -> bool:
        """Nothing waits for data, and every answer was taken."""
        return not self._infos and not self._replies.pending

    def _chain(self, payload: Payload) -> None:
        self._infos.append(payload)
        self._answer()

    def _beat(self, payload: Payload) -> None:
        self._beats.append(payload)
        if payload["last"]:
            self._packets.append(self._beats)
            self._beats = []
            self._answer()

    def _answer(self) -> None:
        while self._infos and (not self._infos[0]["readable"] or self._packets):
            info = self._infos.popleft()
            beats = self._packets.popleft() if info["readable"] else []
            content = bytes_of(beats, self.data_width)
            assert len(content) == info["readable"], "the packet is not as long as the chain said"
            failed = bool(beats and beats[-1]["error"])
            self.errors += failed
            self.chains += 1
            self._reply(inverted(content, 0 if failed else self.written(info["writable"])))

    def _reply(self, content: bytes) -> None:
        at = 0
        while True:
            length = min(len(content) - at, self.pieces(len(content)))
            done = at + length == len(content)
            common = {"offset": at, "length": length, "written": len(content), "done": int(done)}
            for beat in packet_beats(content[at : at + length], self.data_width):
                self._replies.queue(beat | common)
            at += length
            if done:
                return
