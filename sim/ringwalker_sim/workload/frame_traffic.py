"""Frames that a guest sends and gets, each compared with what it must be."""

import random
from collections import deque
from collections.abc import Callable, Sequence

from ringwalker.spec.net import NET_CONFIG, NetFeature, NetRxMode

from ..guest.errors import RequestTimeout
from ..guest.net import NetDevice
from ..guest.opening import OpenDevice
from ..guest.port import Port
from .figures import Traffic, difference
from .pcap import Frame

__all__ = ["Arrivals", "promiscuous", "random_frames", "send_frames"]

_IN_FLIGHT = 48
"""Frames sent and not arrived, at most."""

_PATIENCE_CYCLES = 2_000_000
"""How long nothing may arrive before what is missing counts as lost."""


def random_frames(count: int, sizes: Sequence[int], target: bytes, source: bytes, seed: int) -> list[bytes]:
    """Frames from ``source`` to ``target`` with random content, their lengths chosen from ``sizes``."""
    choose = random.Random(seed)
    frames = []
    for _ in range(count):
        size = choose.choice(sizes)
        frames.append((target + source + b"\x88\xb5" + choose.randbytes(max(0, size - 14)))[:size])
    return frames


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
    """Send all frames. ``paced``, for arrivals on the same port: no more are in flight than devices hold."""
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
