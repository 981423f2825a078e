"""A console in plain Python. Ref: virtio 1.4, 5.3."""

from collections import deque
from collections.abc import Callable
from typing import Any

from ringwalker.spec.console import (
    CONSOLE_CONFIG,
    CONSOLE_RECEIVE_QUEUE,
    CONSOLE_TRANSMIT_QUEUE,
    ConsoleFeature,
)
from ringwalker.spec.ids import DeviceType

from .function import FunctionModel, Request, Schedule

__all__ = ["ConsoleModel"]


class ConsoleModel(FunctionModel):
    """A terminal of ``cols`` columns and ``rows`` rows.

    ``output`` collects the bytes that the driver sends, ``on_bytes(data)`` runs for them, and :meth:`type`
    sends bytes to the driver. With ``loopback`` sent bytes come back.
    """

    device_type = DeviceType.CONSOLE
    table = CONSOLE_CONFIG

    def __init__(
        self, schedule: Schedule, *, cols: int = 80, rows: int = 25, loopback: bool = False, **common: Any
    ):
        features = 1 << ConsoleFeature.SIZE | 1 << ConsoleFeature.EMERG_WRITE
        self._free: deque[Request] = deque()
        super().__init__(schedule, queues=2, features=features, **common)
        self.loopback = loopback
        self.output = bytearray()
        self.on_bytes: Callable[[bytes], None] = lambda _data: None
        self._typed = bytearray()
        self.put("cols", cols)
        self.put("rows", rows)

    def set_size(self, cols: int, rows: int) -> None:
        """Change the size of the terminal, with a configuration change notification."""
        self.put("cols", cols)
        self.put("rows", rows)
        self.changed()

    def stopped(self, queue: int) -> None:
        """Drop the receive buffers."""
        if queue == CONSOLE_RECEIVE_QUEUE:
            self._free.clear()

    def finish_waiting(self) -> None:
        """Give the receive buffers back."""
        while self._free:
            self._free.popleft().finish()

    def written(self, name: str) -> None:
        """Put out an emergency write at once."""
        if name == "emerg_wr":
            self._out(bytes([self.get("emerg_wr") & 0xFF]))

    def _out(self, data: bytes) -> None:
        self.output += data
        self.on_bytes(data)
        if self.loopback:
            self.type(data)

    def type(self, data: bytes) -> None:
        """Send bytes to the driver."""
        self._typed += data
        self._deliver()

    def _deliver(self) -> None:
        while self._free and self._typed:
            request = self._free.popleft()
            if request.live and request.room:
                data = bytes(self._typed[: request.room])
                del self._typed[: len(data)]
                request.finish(data)

    def take(self, queue: int, request: Request) -> None:
        """Take a receive buffer, or a buffer of bytes to put out."""
        if queue == CONSOLE_RECEIVE_QUEUE:
            self._free.append(request)
            self.schedule(self.latency, self._deliver)
        elif queue == CONSOLE_TRANSMIT_QUEUE:
            self.schedule(self.latency, lambda: self._write(request))

    def _write(self, request: Request) -> None:
        if request.live:
            data = request.read().tobytes()
            request.finish()
            self._out(data)
