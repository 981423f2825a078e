"""The blocks behind a register port, for cocotb."""

from collections.abc import Callable, Iterator
from typing import Any

from .streams import Payload, StreamSink, StreamSource

__all__ = ["RegisterTarget"]


class RegisterTarget:
    """Answers register accesses on the port ``name``; ``log`` has every request in order.

    ``read`` gives the dword for a request; without it reads give 0. ``on_request`` sees every request.
    ``stalls`` is used for both streams.
    """

    def __init__(
        self,
        dut: Any,
        name: str,
        read: Callable[[Payload], int] | None = None,
        stalls: Iterator[bool] | None = None,
        on_request: Callable[[Payload], None] | None = None,
    ):
        self.log: list[Payload] = []
        self.read = read
        self.on_request = on_request
        self.responses = StreamSource(dut, f"{name}_responses", stalls)
        self.requests = StreamSink(dut, f"{name}_requests", stalls, callback=self._take)

    def _take(self, request: Payload) -> None:
        self.log.append(request)
        if self.on_request:
            self.on_request(request)
        if not request["write"]:
            self.responses.queue({"data": self.read(request) if self.read else 0})
