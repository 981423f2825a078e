"""Hand-made requests and invalid rings, and how a virtio block device reacts to them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringwalker.spec.blk import BlkRequestHeader, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.packed import available_flags
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE

from ..guest.blk import NO_STATUS, BlkDevice
from ..guest.packed_queue import PackedVirtqueue
from ..guest.pci import PciDevice
from ..guest.port import Port
from ..guest.ring_queue import RingVirtqueue
from ..guest.split_queue import SplitVirtqueue
from ..memory import Buffer, GuestMemory, dtype_of
from .cases import Case

__all__ = ["SETTLE_CYCLES", "Chain", "make_chain", "observe_broken_rings"]

HEADER_BYTES = dtype_of(BlkRequestHeader).itemsize

SETTLE_CYCLES = 200_000
"""Cycles within which an answer must arrive."""


@dataclass
class Chain:
    """A request in memory: ``pieces`` are (address, length); the first ``readable`` are device-readable."""

    pieces: list[tuple[int, int]]
    readable: int
    data: Buffer
    status: Buffer

    @property
    def writable(self) -> int:
        """The device-writable pieces."""
        return len(self.pieces) - self.readable


def make_chain(memory: GuestMemory, kind: int, sector: int, out: list[int], back: list[int]) -> Chain:
    """A request with readable data of lengths ``out`` and writable data of lengths ``back``, in bytes."""
    start = memory.allocate(HEADER_BYTES)
    view = memory.struct_view(start.address, BlkRequestHeader)
    view["type"], view["sector"] = kind, sector
    status = memory.allocate(1)
    status.array[0] = NO_STATUS
    data = memory.allocate(max(1, sum(out) + sum(back)))
    if out:
        data.array[:] = np.random.default_rng(sector + 1).integers(0, 256, len(data), np.uint8)
    pieces, at = [(start.address, HEADER_BYTES)], data.address
    for length in (*out, *back):
        pieces.append((at, length))
        at += length
    return Chain([*pieces, (status.address, 1)], 1 + len(out), data, status)


class _Exposed:
    """The only chain of ``vq``, which the device does not see yet.

    ``head`` is its first descriptor, in the ring; ``rows[first]`` is that of its first piece, in the ring or
    in an indirect table.
    """

    def __init__(self, vq: RingVirtqueue):
        self.vq = vq
        (chain,) = vq._chains.values()
        key = chain.place[0]
        assert isinstance(vq, SplitVirtqueue | PackedVirtqueue)
        self.rows, self.head = vq._rows, key if isinstance(vq, SplitVirtqueue) else 0
        self.first = self.head
        self.ring = self.rows
        if vq.indirect:
            assert vq._tables is not None
            self.rows, self.first, _address = vq._tables.take(key, len(chain.sg))

    def piece(self, number: int, set_flags: int = 0, clear_flags: int = 0, **fields: int) -> None:
        """Change the descriptor of a piece."""
        self._change(self.rows, self.first + number, set_flags, clear_flags, fields)

    def entry(self, **fields: int) -> None:
        """Change fields of the first descriptor in the ring."""
        self._change(self.ring, self.head, 0, 0, fields)

    def _change(self, rows: Any, at: int, set_flags: int, clear_flags: int, fields: dict[str, int]) -> None:
        for name, value in fields.items():
            rows[name][at] = value
        if isinstance(self.vq, PackedVirtqueue) and rows is self.ring and at == self.head:
            # The flags that make the chain available are written with the kick.
            self.vq._hidden = [(at, (self.vq._hidden[0][1] | set_flags) & ~clear_flags)]
        else:
            rows["flags"][at] = (int(rows["flags"][at]) | set_flags) & ~clear_flags


def _nothing_to_read(chain: _Exposed) -> None:
    chain.piece(0, DESC_F_WRITE)


def _readable_after_writable(chain: _Exposed) -> None:
    chain.piece(2, 0, DESC_F_WRITE)


def _short_header(chain: _Exposed) -> None:
    chain.piece(0, len=HEADER_BYTES - 1)


def _loop(chain: _Exposed) -> None:
    chain.piece(0, next=chain.head)


def _next_beyond(chain: _Exposed) -> None:
    chain.piece(0, next=chain.vq.size)


def _head_beyond(chain: _Exposed) -> None:
    assert isinstance(chain.vq, SplitVirtqueue)
    chain.vq._avail_ring[0] = chain.vq.size


def _index_ahead(chain: _Exposed) -> None:
    assert isinstance(chain.vq, SplitVirtqueue)
    chain.vq._added = (chain.vq._added + chain.vq.size) & 0xFFFF


def _longer_than_the_ring(chain: _Exposed) -> None:
    rows = chain.rows
    for at in range(1, chain.vq.size):
        for name in ("addr", "len", "id"):
            rows[name][at] = rows[name][0]
        rows["flags"][at] = available_flags(1) | DESC_F_NEXT


def _indirect_in_indirect(chain: _Exposed) -> None:
    chain.piece(1, DESC_F_INDIRECT)


def _half_a_descriptor(chain: _Exposed) -> None:
    chain.entry(len=3 * DESC_BYTES - DESC_BYTES // 2)


def _empty_table(chain: _Exposed) -> None:
    chain.entry(len=0)


def _next_beyond_its_table(chain: _Exposed) -> None:
    chain.piece(0, next=3)


_ALWAYS: dict[str, Callable[[_Exposed], None]] = {
    "no readable descriptor": _nothing_to_read,
    "readable after writable": _readable_after_writable,
    "header of 15 bytes": _short_header,
}
_SPLIT: dict[str, Callable[[_Exposed], None]] = {
    "chain that loops": _loop,
    "next beyond the table": _next_beyond,
    "head beyond the table": _head_beyond,
    "index ahead by the ring": _index_ahead,
}
_PACKED: dict[str, Callable[[_Exposed], None]] = {"chain longer than the ring": _longer_than_the_ring}
_INDIRECT: dict[str, Callable[[_Exposed], None]] = {
    "indirect in indirect": _indirect_in_indirect,
    "indirect table of two and a half descriptors": _half_a_descriptor,
    "indirect table of nothing": _empty_table,
}
_INDIRECT_SPLIT = {"next beyond the indirect table": _next_beyond_its_table}


async def observe_broken_rings(port: Port, pci: PciDevice, case: Case) -> dict[str, Any]:
    """Observations of the device on invalid rings, each after a new set-up."""
    packed = case.ring == "packed"
    seen: dict[str, Any] = {}
    for damages, more in (
        (_ALWAYS | (_PACKED if packed else _SPLIT), 0),
        (_INDIRECT | ({} if packed else _INDIRECT_SPLIT), 1 << Feature.INDIRECT_DESC),
    ):
        for name, damage in damages.items():
            seen |= await _observe_broken(port, pci, case, case.features | more, name, damage)
    return seen


async def _observe_broken(
    port: Port,
    pci: PciDevice,
    case: Case,
    features: int,
    name: str,
    damage: Callable[[_Exposed], None],
) -> dict[str, Any]:
    transport = await case.bind(pci)
    disk = BlkDevice(port, transport.device, ring_features=features)
    await disk.open()
    vq = transport.vqs[0]
    vq.callback = None
    chain = make_chain(port.memory, BlkRequestType.IN, 1, [], [512])
    vq.add_buf(chain.pieces, chain.readable, chain.writable, chain)
    damage(_Exposed(vq))
    await vq.kick()

    async def answered() -> bool:
        return vq.used_pending or await transport.needs_reset()

    await _settle(port, answered)
    seen = {
        f"{name}: needs reset": int(await transport.needs_reset()),
        f"{name}: used": int(vq.used_pending),
        f"{name}: status": int(chain.status.array[0]),
        f"{name}: config interrupts": transport.config_changes,
    }
    await transport._reset_device()
    seen[f"{name}: status after a reset"] = await transport.status()
    await transport.unbind()
    return seen


async def _settle(port: Port, condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for the condition, then a little longer for interrupts in flight."""
    for _ in range(20):
        if await condition():
            break
        await port.sleep(SETTLE_CYCLES // 20)
    await port.sleep(SETTLE_CYCLES // 20)
