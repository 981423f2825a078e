"""The initiator of a RegisterPort: reads and writes of dwords, bytes and registers of a table."""

from collections.abc import Iterator
from typing import Any

from ringwalker.spec.registers import Register, RegisterTable

from .streams import StreamSink, StreamSource

__all__ = ["RegisterInitiator"]


class RegisterInitiator:
    """Drives the port ``name`` of ``dut``, one access at a time.

    Registers of ``table`` are accessed in their own width, 64-bit ones as two halves, low half first.
    ``base`` (bytes) is added to every offset.
    """

    def __init__(
        self,
        dut: Any,
        name: str,
        table: RegisterTable,
        *,
        base: int = 0,
        request_stalls: Iterator[bool] | None = None,
        response_stalls: Iterator[bool] | None = None,
    ):
        self.table = table
        self.base = base
        self.requests = StreamSource(dut, f"{name}_requests", request_stalls)
        self.responses = StreamSink(dut, f"{name}_responses", response_stalls)

    async def read(self, offset: int, strobe: int = 0b1111) -> int:
        """The dword at byte ``offset``, a multiple of 4."""
        self.requests.queue({"offset": self.base + offset, "strobe": strobe})
        return (await self.responses.receive())["data"]

    async def write(self, offset: int, value: int, strobe: int = 0b1111) -> None:
        """Write the bytes of ``strobe`` of the dword at byte ``offset``; returns when the write was taken."""
        await self.requests.send(
            {"offset": self.base + offset, "write": 1, "strobe": strobe, "data": value & 0xFFFF_FFFF}
        )

    async def get(self, name: str) -> int:
        """The value of register ``name``."""
        register, value = self.table[name], 0
        for shift, offset, size in _accesses(register):
            lane = offset % 4
            dword = await self.read(offset - lane, (1 << size) - 1 << lane)
            value |= (dword >> (8 * lane) & ((1 << 8 * size) - 1)) << shift
        return value

    async def set(self, name: str, value: int) -> None:
        """Write ``value`` to register ``name``; the other bytes of the dword carry garbage."""
        register = self.table[name]
        for shift, offset, size in _accesses(register):
            lane = offset % 4
            part = value >> shift & ((1 << 8 * size) - 1)
            mask = (1 << 8 * size) - 1 << 8 * lane
            data = part << 8 * lane | ~mask & 0xA5A5_A5A5
            await self.write(offset - lane, data, (1 << size) - 1 << lane)


def _accesses(register: Register) -> list[tuple[int, int, int]]:
    """Shift in bits, offset and size in bytes of each access that makes up ``register``."""
    if register.size <= 4:
        return [(0, register.offset, register.size)]
    return [(8 * n, register.offset + n, 4) for n in range(0, register.size, 4)]
