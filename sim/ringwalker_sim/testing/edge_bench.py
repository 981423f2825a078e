"""The edge in Amaranth's simulator, and a host that sends requests to it."""

from typing import Any

from ringwalker.spec.tlp import RequestKind

from .inprocess import Bench

__all__ = ["EdgeBench"]


class EdgeBench(Bench):
    """A bench of :class:`~ringwalker.pci.edge.PciEdge`, whose ``component`` the test gives.

    ``accesses`` are the requests that reached the core's registers; reads of them are answered.
    """

    def __init__(self):
        super().__init__()
        self.tag = 0
        self.accesses: list[dict[str, int]] = []
        self.on("core.registers.requests", self._access)

    def _access(self, request: dict[str, int]) -> None:
        self.accesses.append(request)
        if not request["write"]:
            self.put("core.registers.responses", {"data": 0x1234_5678})

    def send(self, kind: RequestKind, address: int, value: int | None = None, **more: int) -> None:
        """Send a request of one dword; ``more`` are fields of its header."""
        self.tag = (self.tag + 1) % 256
        header: dict[str, Any] = {"kind": kind.value, "address": address, "length": 1, "first_be": 0xF}
        header |= {"tag": self.tag, "requester_id": 0x0008, **more}
        data = {} if value is None else {"data": value, "dwords": 1}
        beat = {f"header_{key}": item for key, item in header.items()} | data
        self.put("completer_request", beat | {"first": 1, "last": 1})
