"""What surrounds a stage of the ring walker: the queue table and guest memory behind a read port."""

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from amaranth.lib import data
from cocotb.triggers import RisingEdge

from ringwalker.interfaces import QueueRow

from .cycles import Cycles
from .streams import Payload, StreamSink, StreamSource

__all__ = ["DmaReadModel", "QueueTableModel", "pulses", "until"]


class QueueTableModel:
    """Answers ``QueueRead`` ports of ``dut`` from ``rows``, a dict from queue to a dict of row fields.

    Fields that a row leaves out, and rows that are missing, read as 0.
    """

    def __init__(self, dut: Any, *names: str):
        self.dut = dut
        self.names = names or ("table",)
        self.rows: dict[int, dict[str, int]] = {}
        self.lookups = 0
        layout: Any = data.Layout.cast(QueueRow)
        fields = [str(key) for key, _field in layout]
        self._ports = []
        cycles = Cycles.of(dut)
        for name in self.names:
            handles = {key: getattr(dut, f"{name}_row_{key}") for key in fields}
            for handle in handles.values():
                handle.value = 0
            self._ports.append((cycles.mask(f"{name}_en"), getattr(dut, f"{name}_index"), handles))
        cycles.add(self._step)

    def _step(self, bits: int) -> None:
        for enable, index, handles in self._ports:
            if bits & enable:
                self.lookups += 1
                row = self.rows.get(int(index.value), {})
                for key, handle in handles.items():
                    handle.value = row.get(key, 0)


class DmaReadModel:
    """Answers a ``DmaReadPort`` of ``dut`` from ``memory``, in order.

    ``latency`` is the least and the greatest number of cycles between a request and its first beat;
    memory is looked at somewhere in between. ``fails(address)`` says which reads end with ``error``.
    ``requests`` keeps the (address, length) of all of them. A request that no TLP could carry fails the test.
    """

    def __init__(
        self,
        dut: Any,
        name: str,
        memory: bytearray,
        data_width: int,
        *,
        latency: tuple[int, int] = (1, 1),
        stalls: Iterator[bool] | None = None,
        data_stalls: Iterator[bool] | None = None,
        fails: Callable[[int], bool] = lambda address: False,
    ):
        self.dut = dut
        self.memory = memory
        self.latency = latency
        self.fails = fails
        self.requests: list[tuple[int, int]] = []
        self._bytes = data_width // 8
        self._waiting: deque[tuple[int, int, int, int]] = deque()
        self._cycle = 0
        self._sampled: dict[int, bytes] = {}
        self._sink = StreamSink(dut, f"{name}_requests", stalls, self._take)
        self._source = StreamSource(dut, f"{name}_data", data_stalls)
        Cycles.of(dut).add(self._step)

    @property
    def outstanding(self) -> int:
        """Requests that have no answer on its way yet."""
        return len(self._waiting)

    def _take(self, payload: Payload) -> None:
        address, length = payload["address"], payload["length"]
        assert 1 <= length <= 4096, f"read of {length} bytes"
        assert address % 4096 + length <= 4096, f"read of {length} bytes at {address:#x} crosses 4 KiB"
        self.requests.append((address, length))
        delay = random.randint(*self.latency)
        self._waiting.append((address, length, self._cycle + random.randint(0, delay), self._cycle + delay))

    def _beats(self, address: int, content: bytes, error: bool) -> Iterator[Payload]:
        content = bytes(address % 4) + content
        count = -(-len(content) // self._bytes)
        for n in range(count):
            piece = content[n * self._bytes : (n + 1) * self._bytes]
            value = random.getrandbits(8 * self._bytes) if error else int.from_bytes(piece, "little")
            yield {"data": value, "first": int(n == 0), "last": int(n == count - 1), "error": int(error)}

    def _step(self, _bits: int) -> None:
        self._cycle += 1
        for key, (address, length, sample, _deliver) in enumerate(self._waiting):
            if sample <= self._cycle and key not in self._sampled:
                self._sampled[key] = bytes(self.memory[address : address + length])
        while self._waiting and self._waiting[0][3] <= self._cycle:
            address, _length, _sample, _deliver = self._waiting.popleft()
            content = self._sampled[0]
            self._sampled = {key - 1: value for key, value in self._sampled.items() if key}
            for beat in self._beats(address, content, self.fails(address)):
                self._source.queue(beat)


class _Pulses:
    def __init__(self, dut: Any, name: str):
        self.count = 0
        cycles = Cycles.of(dut)
        self._mask = cycles.mask(name)
        cycles.add(self._step)

    def _step(self, bits: int) -> None:
        if bits & self._mask:
            self.count += 1


def pulses(dut: Any, name: str) -> _Pulses:
    """Counts the cycles in which output ``name`` is up, as ``.count``."""
    return _Pulses(dut, name)


async def until(dut: Any, condition: Callable[[], object], cycles: int = 20000) -> int:
    """Wait until ``condition()`` holds after a clock edge; gives the cycles it took.

    Errors: ``AssertionError`` after ``cycles``.
    """
    for n in range(cycles):
        await RisingEdge(dut.clk)
        if condition():
            return n + 1
    raise AssertionError(f"still waiting after {cycles} cycles")
