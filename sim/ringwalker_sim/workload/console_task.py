"""What a guest does with its console: everything that is typed is written back."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ringwalker.config import DeviceConfig

from ..guest.console import ConsoleDevice
from ..guest.opening import OpenDevice
from .figures import Traffic, difference, result_of_traffic
from .job import DeviceTask, Progress, model_behind

__all__ = ["ConsoleTask"]

_SLICE = 4096
"""Bytes typed at once, at most."""

_PATIENCE_CYCLES = 2_000_000
"""How long nothing may arrive before what is missing counts as lost."""


async def _echo(console: ConsoleDevice, count: int, traffic: Traffic, tick: Callable[[], None]) -> None:
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


async def _type(port: Any, enter: Callable[[bytes], Any], content: bytes, shown: bytearray) -> None:
    """Bring bytes in, never far ahead of what has come out."""
    for start in range(0, len(content), _SLICE):
        enter(content[start : start + _SLICE])
        for _ in range(10_000):
            if len(shown) >= start:
                break
            await port.sleep(1000)


@dataclass(frozen=True)
class ConsoleTask(DeviceTask):
    """Types ``content`` at a terminal whose guest echoes.

    The result is that of :func:`~.figures.result_of_traffic`, and ``shown``: what the terminal shows, a
    character for each byte (Latin-1).
    """

    content: bytes

    async def work(
        self, opened: OpenDevice, config: DeviceConfig, progress: Progress | None
    ) -> dict[str, Any]:
        """Type, echo, compare."""
        port: Any = opened.machine.port
        content, shown = self.content, bytearray()
        if (model := model_behind(opened)) is None:
            port.engine.ports.uart.on_bytes = shown.extend
            enter: Callable[[bytes], Any] = port.engine.ports.uart.send
        else:
            model.on_bytes = shown.extend
            enter = model.type
        traffic = Traffic("echo", "bytes")

        def tick() -> None:
            if progress is not None:
                progress("bytes", len(shown), len(content))

        begin = time.perf_counter()
        typing = port.start(_type(port, enter, content, shown))
        await _echo(opened.driven, len(content), traffic, tick)
        await typing.join()
        wall_s = time.perf_counter() - begin
        # The device has all bytes; the terminal may not.
        for _ in range(1000):
            if len(shown) >= len(content):
                break
            await port.sleep(len(content) + 100)
        traffic.received = traffic.bytes = len(shown)
        if (message := difference(bytes(shown), content)) is not None:
            traffic.complain(message)
        result = result_of_traffic([traffic], [port], config.clock_mhz, wall_s)
        return {**result, "shown": shown.decode("latin-1")}
