"""What guests do with a network device or a console, always verified: frames around a loop or between two
guests, bytes echoed.

Ports, models and machines are made by :mod:`.traffic_run`; here are the coroutines that run on them.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringwalker.spec.net import NET_CONFIG, NetFeature, NetRxMode

from ..guest.console import ConsoleDevice
from ..guest.errors import RequestTimeout
from ..guest.net import NetDevice
from ..guest.opening import OpenDevice
from ..guest.port import Port
from .blk import percentiles
from .pcap import Frame

__all__ = ["Arrivals", "Traffic", "echo", "promiscuous", "random_frames", "send_frames", "summary"]

_IN_FLIGHT = 48
"""Frames sent and not arrived, at most."""

_PATIENCE_CYCLES = 2_000_000
"""How long nothing may arrive before what is missing counts as lost."""

_MESSAGES = 5

Progress = Callable[[str, int, int], None]
"""Called with the name of what is under way, how much is done, and of how much."""


def random_frames(count: int, sizes: Sequence[int], target: bytes, source: bytes, seed: int) -> list[bytes]:
    """Frames from ``source`` to ``target`` with random content, their lengths chosen from ``sizes``."""
    choose = random.Random(seed)
    frames = []
    for _ in range(count):
        size = choose.choice(sizes)
        frames.append((target + source + b"\x88\xb5" + choose.randbytes(max(0, size - 14)))[:size])
    return frames


@dataclass
class Traffic:
    """What came of one direction. ``cycles`` from the first one sent to the last one received."""

    name: str
    unit: str
    sent: int = 0
    received: int = 0
    bytes: int = 0
    errors: int = 0
    first_cycle: int = -1
    last_cycle: int = 0
    latencies: list[int] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def complain(self, message: str, count: int = 1) -> None:
        """Count errors, and keep the first few descriptions."""
        self.errors += count
        if len(self.messages) < _MESSAGES:
            self.messages.append(f"{self.name}: {message}")

    @property
    def cycles(self) -> int:
        """Cycles from the first sent to the last received."""
        return max(0, self.last_cycle - self.first_cycle) if self.first_cycle >= 0 else 0


def difference(got: bytes, wanted: bytes) -> str | None:
    """None when equal, else where the first difference is."""
    if got == wanted:
        return None
    if len(got) != len(wanted):
        return f"{len(got)} bytes came, it must be {len(wanted)}"
    at = next(n for n, (a, b) in enumerate(zip(got, wanted, strict=True)) if a != b)
    return f"byte {at} is {got[at]:#04x}, it must be {wanted[at]:#04x}"


class Arrivals:
    """Compares what arrives with what must, in order, and keeps it. Set it as ``on_frame`` of a device.

    ``port`` is the receiving guest's; ``tick`` is called for every frame.
    """

    def __init__(self, port: Port, expected: Sequence[bytes], traffic: Traffic, tick: Callable[[], None]):
        self.port = port
        self.expected = expected
        self.traffic = traffic
        self.frames: list[Frame] = []
        self.started: deque[int] = deque()
        self.changed = port.event()
        self._tick = tick

    def __call__(self, frame: bytes) -> None:
        """A frame has arrived."""
        traffic, number, now = self.traffic, len(self.frames), self.port.now()
        self.frames.append(Frame(frame, now * 1000 // self.port.clock_mhz))
        traffic.received += 1
        traffic.bytes += len(frame)
        traffic.last_cycle = now
        if self.started:
            traffic.latencies.append(now - self.started.popleft())
        if number >= len(self.expected):
            traffic.complain(f"frame {number + 1} of {len(frame)} bytes was never sent")
        elif (message := difference(frame, self.expected[number])) is not None:
            traffic.complain(f"frame {number + 1}: {message}")
        self.changed.set()
        self._tick()

    async def until(self, count: int) -> None:
        """Wait for ``count`` frames. Errors: :class:`RequestTimeout` when nothing comes any more."""
        while len(self.frames) < count:
            self.changed.clear()
            if not await self.changed.wait(_PATIENCE_CYCLES):
                raise RequestTimeout(
                    f"{len(self.frames)} of {len(self.expected)} frames arrived, then none in "
                    f"{_PATIENCE_CYCLES} cycles"
                )

    async def all(self) -> None:
        """Wait for all frames; those that do not come are errors."""
        try:
            await self.until(len(self.expected))
        except RequestTimeout as error:
            self.traffic.complain(str(error), len(self.expected) - len(self.frames))


async def promiscuous(opened: OpenDevice) -> None:
    """Let a device receive every frame; where the interface cannot say so, past it, as an operator would."""
    net: NetDevice = opened.driven
    if net.has(NetFeature.CTRL_RX):
        await net.set_promiscuous(True)
    else:
        await opened.device.config.set(NET_CONFIG.rx_mode, int(NetRxMode.PROMISCUOUS))


async def send_frames(
    net: NetDevice, frames: Sequence[bytes], traffic: Traffic, arrivals: Arrivals, paced: bool
) -> None:
    """Send all frames. ``paced``, for arrivals on the same port: no more are under way than devices hold."""
    port = net.port
    for number, frame in enumerate(frames):
        if paced:
            await arrivals.until(number + 1 - _IN_FLIGHT)
        arrivals.started.append(port.now())
        if traffic.first_cycle < 0:
            traffic.first_cycle = port.now()
        await net.send(frame)
        traffic.sent += 1
    await net.drain()


async def echo(console: ConsoleDevice, count: int, traffic: Traffic, tick: Callable[[], None]) -> None:
    """A guest program that writes ``count`` bytes back as they are typed."""
    port = console.port
    typed: deque[bytes] = deque()
    arrived = port.event()

    def take(content: bytes) -> None:
        typed.append(content)
        arrived.set()

    console.on_bytes = take
    traffic.first_cycle = port.now()
    while traffic.sent < count:
        if not typed:
            arrived.clear()
            if not await arrived.wait(_PATIENCE_CYCLES):
                traffic.complain(f"{traffic.sent} of {count} bytes were typed, then none came")
                return
        content = typed.popleft()
        traffic.sent += len(content)
        await console.write(content)
        traffic.last_cycle = port.now()
        tick()


def summary(traffic: Traffic, clock_mhz: int) -> dict[str, Any]:
    """The figures of a direction, as JSON can hold them; rates are at the device's clock."""
    seconds = traffic.cycles / (clock_mhz * 1e6)
    return {
        "name": traffic.name,
        "unit": traffic.unit,
        "sent": traffic.sent,
        "received": traffic.received,
        "bytes": traffic.bytes,
        "errors": traffic.errors,
        "cycles": traffic.cycles,
        "per_second": traffic.received / seconds if seconds else 0.0,
        "bits_per_second": 8 * traffic.bytes / seconds if seconds else 0.0,
        "latency_cycles": percentiles(traffic.latencies),
    }
