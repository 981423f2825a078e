"""The ring walker's end of a function's chain port, for cocotb."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .runner import parameters
from .streams import StreamSink, StreamSource

__all__ = ["ChainAnswer", "ChainInitiator"]


class ChainAnswer(NamedTuple):
    """A chain that came back: what was written from its start on, its used length, and how many packets."""

    content: bytes
    written: int
    packets: int


class ChainInitiator:
    """Gives chains to the ``ChainPort`` ``name`` of ``dut`` and checks the answers.

    The parameter ``data_width`` of the bench says how wide the port is. ``stalls()`` gives the stalls of a
    stream. A packet is checked when it comes: its fields stay, its beats are full but for the last, its
    length is as said, and packets of a chain follow each other without a gap.
    """

    def __init__(self, dut: Any, name: str, stalls: Callable[[], Iterator[bool] | None] = lambda: None):
        self.beat_bytes = parameters()["data_width"] // 8
        self._idle, self._halt = getattr(dut, f"{name}_idle"), getattr(dut, f"{name}_halt")
        self.chains = StreamSource(dut, f"{name}_chains", stalls())
        self.readable = StreamSource(dut, f"{name}_readable", stalls())
        self.replies = StreamSink(dut, f"{name}_replies", stalls())
        self.halt(False)

    def halt(self, up: bool) -> None:
        """Drive ``halt``."""
        self._halt.value = int(up)

    @property
    def idle(self) -> bool:
        """The port's ``idle``."""
        return bool(int(self._idle.value))

    def submit(
        self, readable: bytes = b"", writable: int = 0, *, queue: int = 0, error_at: int | None = None
    ) -> None:
        """A chain with ``readable`` bytes, bad from beat ``error_at`` on, and room for ``writable`` ones."""
        self.chains.queue({"queue": queue, "readable": len(readable), "writable": writable})
        for at in range(0, len(readable), self.beat_bytes):
            piece = readable[at : at + self.beat_bytes]
            self.readable.queue(
                {
                    "data": int.from_bytes(piece.ljust(self.beat_bytes, b"\xee"), "little"),
                    "count": len(piece),
                    "first": int(at == 0),
                    "last": int(at + self.beat_bytes >= len(readable)),
                    "error": int(error_at is not None and at >= error_at * self.beat_bytes),
                }
            )

    async def answer(self) -> ChainAnswer:
        """The whole answer to the oldest chain."""
        content, packets = b"", 0
        while True:
            packet = await self.replies.receive_packet()
            first = packet[0]
            for beat in packet:
                assert all(beat[key] == first[key] for key in ("offset", "length", "written", "done"))
                assert beat["last"] or beat["count"] == self.beat_bytes
                assert beat["first"] == (beat is first)
            assert first["offset"] == len(content)
            content += b"".join(
                beat["data"].to_bytes(self.beat_bytes, "little")[: beat["count"]] for beat in packet
            )
            assert len(content) - first["offset"] == first["length"]
            packets += 1
            if first["done"]:
                return ChainAnswer(content, first["written"], packets)
