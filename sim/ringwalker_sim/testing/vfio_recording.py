"""A recorded conversation of QEMU with a vfio-user server, for replaying it.

A recording is JSON lines: direction (``"C"`` from QEMU, ``"S"`` from the server), number of file descriptors
that came along, and the message in hexadecimal.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from ..vfio_user.protocol import HEADER_BYTES, Header

__all__ = ["Exchange", "read_recording"]


@dataclass(frozen=True)
class Exchange:
    """A message of QEMU, how many descriptors it brought, and the answer (empty if none was wanted)."""

    request: bytes
    fds: int
    answer: bytes

    @property
    def header(self) -> Header:
        """The header of the request."""
        return Header.unpack(self.request[:HEADER_BYTES])

    @property
    def body(self) -> bytes:
        """The body of the request."""
        return self.request[HEADER_BYTES:]


def read_recording(path: Path) -> list[Exchange]:
    """The exchanges in order. Errors: ``ValueError`` when an answer has no request."""
    exchanges: list[Exchange] = []
    for line in path.read_text().splitlines():
        direction, fds, text = json.loads(line)
        raw = bytes.fromhex(text)
        if direction == "C":
            exchanges.append(Exchange(raw, fds, b""))
            continue
        if not exchanges or exchanges[-1].answer:
            raise ValueError(f"{path}: an answer without a request: {text[:32]}")
        exchanges[-1] = Exchange(exchanges[-1].request, exchanges[-1].fds, raw)
    return exchanges
