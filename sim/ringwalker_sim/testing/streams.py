"""Both ends of a stream for cocotb, and the rules of a stream checked in between.

A stream ``requests`` of a component under test is the ports ``requests_valid``, ``requests_ready`` and one
for each field of the payload (``requests_address``; a payload without fields is ``requests_payload``).
A payload is a plain dict from field name to integer here.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import Event, RisingEdge

from .bench_top import beat_name
from .cycles import Cycles

__all__ = ["StreamChecker", "StreamSink", "StreamSource", "random_stalls", "start", "stream_names"]

Payload = dict[str, int]


def random_stalls(probability: float) -> Iterator[bool]:
    """Endless: True with ``probability`` (stall this cycle). Uses the test's own seeded ``random``."""
    while True:
        yield random.random() < probability


def stream_names(dut: Any) -> list[str]:
    """Names of all streams among the ports of ``dut``."""
    return sorted(Cycles.of(dut).ports.streams)


class _Stream:
    """``fields`` leads from a field of the payload to its bits in the vector of a beat."""

    def __init__(self, dut: Any, name: str):
        self.dut = dut
        self.name = name
        self.cycles = Cycles.of(dut)
        self.fields = self.cycles.ports.streams[name]
        self._valid, self._ready = self.cycles.mask(f"{name}_valid"), self.cycles.mask(f"{name}_ready")
        self._parts = [(key, bits.start, (1 << len(bits)) - 1) for key, bits in self.fields.items()]

    def unpacked(self, beat: int) -> Payload:
        """The fields of the vector of a beat."""
        return {key: beat >> start & mask for key, start, mask in self._parts}


class StreamSource(_Stream):
    """Drives a stream into the component: ``await send(payload)`` or ``queue(payload)``.

    ``stalls`` decides each cycle whether to hold back; once ``valid`` is up it stays up.
    Fields that a payload leaves out are driven with 0.
    """

    def __init__(self, dut: Any, name: str, stalls: Iterator[bool] | None = None):
        super().__init__(dut, name)
        self.stalls = stalls
        self._queue: deque[tuple[Payload, Event | None]] = deque()
        self._idle = Event()
        self._idle.set()
        self._active = False
        self._port = getattr(dut, f"{name}_valid")
        self._port.value = 0
        self._beat = getattr(dut, beat_name(name)) if self.fields else None
        self._driven = 0
        if self._beat is not None:
            self._beat.value = 0
        self.cycles.add(self._step)

    def queue(self, payload: Payload) -> None:
        """Send ``payload`` when its turn comes."""
        unknown = set(payload) - set(self.fields)
        if unknown:
            raise ValueError(
                f"stream {self.name} has no field {sorted(unknown)}; it has {sorted(self.fields)}"
            )
        self._queue.append((payload, None))
        self._idle.clear()

    async def send(self, payload: Payload) -> None:
        """Send ``payload`` and return in the cycle after it was taken."""
        self.queue(payload)
        event = Event()
        self._queue[-1] = (payload, event)
        await event.wait()

    async def drained(self) -> None:
        """Wait until everything queued was taken."""
        await self._idle.wait()

    @property
    def pending(self) -> int:
        """Payloads not taken yet."""
        return len(self._queue)

    def _packed(self, payload: Payload) -> int:
        value = 0
        for key, start, mask in self._parts:
            part = payload.get(key, 0)
            if not 0 <= part <= mask:
                raise ValueError(f"field {key} of stream {self.name} cannot be {part:#x}")
            value |= part << start
        return value

    def _step(self, bits: int) -> None:
        was_active = self._active
        if was_active and bits & self._ready:
            self._active = False
            _payload, event = self._queue.popleft()
            if event:
                event.set()
            if not self._queue:
                self._idle.set()
        if self._active:
            return
        if self._queue and not (self.stalls and next(self.stalls)):
            value = self._packed(self._queue[0][0])
            if value != self._driven and self._beat is not None:
                self._beat.value = self._driven = value
            if not was_active:
                self._port.value = 1
            self._active = True
        elif was_active:
            self._port.value = 0


class StreamSink(_Stream):
    """Takes a stream from the component: ``await receive()``, or a ``callback`` for each payload."""

    def __init__(
        self,
        dut: Any,
        name: str,
        stalls: Iterator[bool] | None = None,
        callback: Callable[[Payload], None] | None = None,
    ):
        super().__init__(dut, name)
        self.stalls = stalls
        self.callback = callback
        self.received: deque[Payload] = deque()
        self._event = Event()
        self._port = getattr(dut, f"{name}_ready")
        self._port.value = 0
        self._up = False
        self.cycles.add(self._step)

    async def receive(self) -> Payload:
        """The next payload, waiting for it if need be."""
        while not self.received:
            self._event.clear()
            await self._event.wait()
        return self.received.popleft()

    async def receive_packet(self) -> list[Payload]:
        """The beats up to and including the next one with ``last``."""
        beats = [await self.receive()]
        while not beats[-1]["last"]:
            beats.append(await self.receive())
        return beats

    def _step(self, bits: int) -> None:
        if self._up and bits & self._valid:
            payload = self.unpacked(self.cycles.beat(self.name))
            if self.callback:
                self.callback(payload)
            else:
                self.received.append(payload)
                self._event.set()
        up = not (self.stalls and next(self.stalls))
        if up != self._up:
            self._up = up
            self._port.value = int(up)


class StreamChecker(_Stream):
    """Asserts the stream rules each cycle: ``valid`` is not withdrawn, the payload does not change while
    waiting, and ``first`` and ``last``, where the payload has both, frame packets.
    """

    def __init__(self, dut: Any, name: str):
        super().__init__(dut, name)
        self.transfers = 0
        self._reset = self.cycles.mask("rst")
        self._waiting: int | None = None
        self._inside = False
        self._framed = {"first", "last"} <= set(self.fields)
        self.cycles.add(self._step)

    def _step(self, bits: int) -> None:
        if bits & self._reset:
            self._waiting, self._inside = None, False
        elif bits & self._valid:
            beat = self.cycles.beat(self.name)
            if self._waiting is not None and beat != self._waiting:
                before, now = self.unpacked(self._waiting), self.unpacked(beat)
                changed = sorted(key for key in now if now[key] != before[key])
                raise AssertionError(f"{self.name}: {changed} changed while waiting for ready")
            if not bits & self._ready:
                self._waiting = beat
                return
            self.transfers += 1
            self._waiting = None
            if self._framed:
                first, last = (beat >> self.fields[key].start & 1 for key in ("first", "last"))
                assert first == (not self._inside), f"{self.name}: first is wrong: {self.unpacked(beat)}"
                self._inside = not last
        else:
            assert self._waiting is None, f"{self.name}: valid was withdrawn before ready"


async def start(dut: Any, period_ns: int = 4, check: bool = True) -> list[StreamChecker]:
    """Start the clock, hold ``rst`` for two cycles, and check the rules on every stream of ``dut``.

    Create sources and sinks before, so that their inputs have values during reset.
    """
    Clock(dut.clk, period_ns, unit="ns", impl="gpi").start(start_high=False)
    dut.rst.value = 1
    for _ in range(2):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    return [StreamChecker(dut, name) for name in stream_names(dut)] if check else []
