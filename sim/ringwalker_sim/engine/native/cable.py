"""Two devices whose MAC ports are connected, each with a guest of its own, on one time."""

from collections.abc import Coroutine
from typing import Any

from ...guest.loop import StuckError
from .port import NativePort

__all__ = ["MacCable"]


class MacCable:
    """Carries frames between the devices of ``ports``, both ways, ``latency`` cycles (at least 1) each.

    A frame whose last beat left one device in cycle n is offered to the other from cycle n + ``latency`` on.
    The clocks of both count alike from the start, so a run depends on nothing but its inputs. ``carried`` is
    how many frames went from the first port to the second, and back. Frames are lost while the link
    (:meth:`~.mac.MacPeripheral.set_link`) of either side is down.
    """

    def __init__(self, first: NativePort, second: NativePort, latency: int = 200):
        if latency < 1:
            raise ValueError(f"latency is {latency!r}; it must be at least 1 cycle")
        self.ports = (first, second)
        self.latency = latency
        self.carried = [0, 0]

    def run(
        self, first: Coroutine[Any, Any, Any], second: Coroutine[Any, Any, Any], max_cycles: int = 20_000_000
    ) -> tuple[Any, Any]:
        """Run a coroutine on each port to its end; their results.

        The other one goes on when one has ended. What they started and left running is ended. Errors: the
        first exception of either; :class:`StuckError` after ``max_cycles``.
        """
        now = begin = max(port.now() for port in self.ports)
        before = [port.running() for port in self.ports]
        results: dict[int, Any] = {}

        async def keep(number: int, job: Coroutine[Any, Any, Any]) -> None:
            results[number] = await job

        for number, job in enumerate((first, second)):
            self.ports[number].start(keep(number, job))
        try:
            while len(results) < len(self.ports):
                if now - begin >= max_cycles:
                    waiting = " and ".join(str(n) for n in range(len(self.ports)) if n not in results)
                    raise StuckError(f"guest {waiting} is not done after {max_cycles} cycles (now {now})")
                for port in self.ports:
                    port.run_until(now)
                self._carry()
                now += self.latency
        finally:
            for port, old in zip(self.ports, before, strict=True):
                for task in port.running() - old:
                    task.cancel()
        return results[0], results[1]

    def _carry(self) -> None:
        """What was sent since the last call arrives after the coming slice has begun, in its own cycle."""
        for side, port in enumerate(self.ports):
            for frame in port.engine.ports.mac.frames():
                if self.ports[1 - side].engine.ports.mac.send(frame.data, at=frame.cycle + self.latency):
                    self.carried[side] += 1
