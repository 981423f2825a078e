"""Hand-made requests and invalid rings, and how a virtio block device reacts to them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ringwalker.spec.blk import BlkRequestHeader, BlkRequestType
from ringwalker.spec.ring import DESC_F_NEXT, DESC_F_WRITE

from ..guest.blk import NO_STATUS, BlkDevice
from ..guest.pci import PciDevice
from ..guest.port import Port
from ..guest.split_queue import SplitVirtqueue
from ..guest.transport.virtio_pci import VirtioPciTransport
from ..memory import Buffer, GuestMemory, dtype_of

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


def _break_nothing_to_read(vq: SplitVirtqueue, head: int) -> None:
    vq._flags[head] |= DESC_F_WRITE


def _break_loop(vq: SplitVirtqueue, head: int) -> None:
    vq._next[head], vq._flags[head] = head, DESC_F_NEXT


def _break_next(vq: SplitVirtqueue, head: int) -> None:
    vq._next[head] = vq.size


def _break_head(vq: SplitVirtqueue, head: int) -> None:
    vq._avail_ring[0] = vq.size


def _break_index(vq: SplitVirtqueue, head: int) -> None:
    vq._added = (vq._added + vq.size) & 0xFFFF


def _break_order(vq: SplitVirtqueue, head: int) -> None:
    """Put a readable piece behind the writable status."""
    last = int(vq._next[int(vq._next[head])])
    vq._flags[int(vq._next[head])] = DESC_F_NEXT | DESC_F_WRITE
    vq._flags[last] = 0


def _break_header(vq: SplitVirtqueue, head: int) -> None:
    vq._len[head] = HEADER_BYTES - 1


_BROKEN: dict[str, Callable[[SplitVirtqueue, int], None]] = {
    "no readable descriptor": _break_nothing_to_read,
    "chain that loops": _break_loop,
    "next beyond the table": _break_next,
    "head beyond the table": _break_head,
    "index ahead by the ring": _break_index,
    "readable after writable": _break_order,
    "header of 15 bytes": _break_header,
}


async def observe_broken_rings(port: Port, pci: PciDevice, interrupt: str) -> dict[str, Any]:
    """Observations of the device on invalid rings, each after a new set-up."""
    seen: dict[str, Any] = {}
    for name, damage in _BROKEN.items():
        transport = await VirtioPciTransport.bind(pci, interrupt)
        disk = BlkDevice(port, transport.device)
        await disk.open()
        vq = transport.vqs[0]
        assert isinstance(vq, SplitVirtqueue)
        vq.callback = None
        chain = make_chain(port.memory, BlkRequestType.IN, 1, [], [512])
        vq.add_buf(chain.pieces, chain.readable, chain.writable, chain)
        damage(vq, next(iter(vq._chains)))
        await vq.kick()

        async def answered(vq: SplitVirtqueue = vq, transport: VirtioPciTransport = transport) -> bool:
            return bool(int(vq._used_idx[0])) or await transport.needs_reset()

        await _settle(port, answered)
        seen[f"{name}: needs reset"] = int(await transport.needs_reset())
        seen[f"{name}: used"] = int(vq._used_idx[0])
        seen[f"{name}: status"] = int(chain.status.array[0])
        seen[f"{name}: config interrupts"] = transport.config_changes
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
