"""Both ends of a stream for cocotb, and the rules of a stream checked in between.

A stream ``requests`` of a component under test is the ports ``requests_valid``, ``requests_ready`` and one
for each field of the payload (``requests_address``; a payload without fields is ``requests_payload``).
A payload is a plain dict from field name to integer here.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Event, RisingEdge

__all__ = ["StreamChecker", "StreamSink", "StreamSource", "random_stalls", "start", "stream_names"]

Payload = dict[str, int]


def random_stalls(probability: float) -> Iterator[bool]:
    """Endless: True with ``probability`` (stall this cycle). Uses the test's own seeded ``random``."""
    while True:
        yield random.random() < probability


def _ports(dut: Any) -> list[str]:
    # Names with two underscores in a row are wires inside the top, which repeat the ports.
    return [handle._name for handle in dut if "__" not in handle._name]


def stream_names(dut: Any) -> list[str]:
    """Names of all streams among the ports of ``dut``."""
    names = set(_ports(dut))
    return sorted(n[: -len("_valid")] for n in names if n.endswith("_valid") and f"{n[:-6]}_ready" in names)


def _fields(dut: Any, name: str) -> dict[str, Any]:
    """Handles of the payload fields of stream ``name``."""
    others = [n for n in stream_names(dut) if n != name and n.startswith(f"{name}_")]
    fields = {}
    for port in _ports(dut):
        if not port.startswith(f"{name}_") or port in (f"{name}_valid", f"{name}_ready"):
            continue
        if any(port.startswith(f"{other}_") for other in others):
            continue
        fields[port[len(name) + 1 :]] = getattr(dut, port)
    return fields


class _Stream:
    def __init__(self, dut: Any, name: str):
        self.dut = dut
        self.name = name
        self.valid = getattr(dut, f"{name}_valid")
        self.ready = getattr(dut, f"{name}_ready")
        self.fields = _fields(dut, name)

    def sample(self) -> Payload:
        return {key: int(handle.value) for key, handle in self.fields.items()}


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
        self.valid.value = 0
        for handle in self.fields.values():
            handle.value = 0
        self._task = cocotb.start_soon(self._run())

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

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        active = False
        while True:
            await edge
            if active and int(self.ready.value):
                active = False
                _payload, event = self._queue.popleft()
                if event:
                    event.set()
                if not self._queue:
                    self._idle.set()
            if not active:
                if self._queue and not (self.stalls and next(self.stalls)):
                    payload = self._queue[0][0]
                    for key, handle in self.fields.items():
                        handle.value = payload.get(key, 0)
                    self.valid.value = 1
                    active = True
                else:
                    self.valid.value = 0


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
        self.ready.value = 0
        self._task = cocotb.start_soon(self._run())

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

    async def _run(self) -> None:
        edge = RisingEdge(self.dut.clk)
        ready = False
        while True:
            await edge
            if ready and int(self.valid.value):
                payload = self.sample()
                if self.callback:
                    self.callback(payload)
                else:
                    self.received.append(payload)
                    self._event.set()
            ready = not (self.stalls and next(self.stalls))
            self.ready.value = int(ready)


class StreamChecker(_Stream):
    """Asserts the stream rules each cycle: ``valid`` is not withdrawn, the payload does not change while
    waiting, and ``first`` and ``last``, where the payload has both, frame packets.
    """

    def __init__(self, dut: Any, name: str):
        super().__init__(dut, name)
        self.transfers = 0
        self._task = cocotb.start_soon(self._run())

    async def _run(self) -> None:
        waiting: Payload | None = None
        inside = False
        edge = RisingEdge(self.dut.clk)
        reset = getattr(self.dut, "rst", None)
        framed = {"first", "last"} <= set(self.fields)
        while True:
            await edge
            # Values sampled at the edge are those that the flip-flops see.
            valid, ready = int(self.valid.value), int(self.ready.value)
            if reset is not None and int(reset.value):
                waiting, inside = None, False
                continue
            if not valid:
                assert waiting is None, f"{self.name}: valid was withdrawn before ready"
                continue
            payload = self.sample()
            if waiting is not None:
                changed = {k for k in payload if payload[k] != waiting[k]}
                assert not changed, f"{self.name}: {sorted(changed)} changed while waiting for ready"
            if ready:
                self.transfers += 1
                waiting = None
                if framed:
                    assert payload["first"] == (not inside), f"{self.name}: first is wrong: {payload}"
                    inside = not payload["last"]
            else:
                waiting = payload


async def start(dut: Any, period_ns: int = 4, check: bool = True) -> list[StreamChecker]:
    """Start the clock, hold ``rst`` for two cycles, and check the rules on every stream of ``dut``.

    Create sources and sinks before, so that their inputs have values during reset.
    """
    cocotb.start_soon(Clock(dut.clk, period_ns, unit="ns").start())
    dut.rst.value = 1
    for _ in range(2):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    return [StreamChecker(dut, name) for name in stream_names(dut)] if check else []
