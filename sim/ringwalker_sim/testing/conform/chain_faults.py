"""Faults of chains, indirect tables and what a device writes, for the golden model: a check finds each."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.ring import DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, Descriptor

from ...conform.check import Way
from ...golden.rings import RingFault, TakenChain
from ...memory import dtype_of
from .fault import Fault, around
from .ring_patch import drops, of_method, rings

__all__ = ["CHAIN_FAULTS"]


_DESCRIPTOR = dtype_of(Descriptor)


def _descriptor(ring: Any, at: int) -> tuple[int, ...]:
    """Address, length, flags and next of a descriptor of a split ring."""
    return ring.read_descriptor(ring.queue.desc, at, _DESCRIPTOR)


def _consecutive(_port: Any, ring: Any) -> None:
    def chain(_method: Callable[[int], TakenChain], head: int) -> TakenChain:
        made = TakenChain(head)
        for at in range(head, head + ring.queue.size):
            address, length, flags, _next = _descriptor(ring, at % ring.queue.size)
            made.add(address, length, bool(flags & DESC_F_WRITE))
            if not flags & DESC_F_NEXT:
                break
        return made

    around(ring, "walk_chain", chain)


def _refuses(port: Any) -> None:
    """A header that shares its descriptor, or has several, is an error."""

    def take(method: Callable[..., None], queue: int, request: Any) -> None:
        if request.chain.readable[0][1] == 16:
            method(queue, request)
        else:
            request.finish(b"", b"\1")

    around(port.model, "take", take)


def _short_tables(method: Callable[..., int], address: int, length: int, flags: int) -> int:
    if length > 4 * 16:
        raise RingFault("a table of more than 4 entries")
    return method(address, length, flags)


def _tables_in_sequence(_port: Any, ring: Any) -> None:
    def read(method: Callable[..., tuple[int, ...]], table: int, at: int, layout: Any) -> tuple[int, ...]:
        row = method(table, at, layout)
        return row if table == ring.queue.desc else (*row[:-1], at + 1)

    around(ring, "read_descriptor", read)


def _heads(wrong: Callable[[int, int], bool]) -> Callable[[Any], None]:
    """A chain fails whose first descriptor has flags, or next flags, that are ``wrong``."""

    def change(_port: Any, ring: Any) -> None:
        def chain(method: Callable[[int], TakenChain], head: int) -> TakenChain:
            *_place, flags, following = _descriptor(ring, head)
            behind = _descriptor(ring, following)[2] if flags & DESC_F_NEXT else 0
            if wrong(flags, behind):
                raise RingFault("a wrong chain")
            return method(head)

        around(ring, "walk_chain", chain)

    return rings(change)


def _wide_tables(method: Callable[[], TakenChain]) -> TakenChain:
    made = method()
    made.span = max(made.span, made.pieces)
    return made


# --- what is written ---------------------------------------------------------------------------------------


def _writes(place: Callable[[Any, TakenChain], int]) -> Callable[[Any], None]:
    """The device changes a byte at ``place(ring, chain)`` when it uses a chain."""

    def patch(port: Any) -> None:
        def use(method: Callable[..., None], index: int, batch: Any) -> None:
            ring, chain = port.rings._ring(index), batch[-1][0].chain
            port.memory.view(place(ring, chain), 1)[0] ^= 0xFF
            method(index, batch)

        around(port.rings, "_use", use)

    return patch


def _reads_writable(port: Any) -> None:
    def take(method: Callable[..., None], queue: int, request: Any) -> None:
        port.dma.read(*request.chain.writable[0])
        method(queue, request)

    around(port.model, "take", take)


_PACKED = Way.PACKED

CHAIN_FAULTS = [
    Fault("a header of one descriptor", "any_cut_of_buffers", "core-06.01", _refuses),
    Fault("descriptors in sequence", "descriptors_in_any_order", "core-06.01", rings(_consecutive)),
    Fault(
        "a long chain is lost",
        "long_chains",
        "core-06.01",
        drops(lambda request: request.chain.pieces > 8),
    ),
    Fault(
        "a stray write",
        "nothing_else_is_written",
        "core-07.01",
        _writes(lambda ring, _chain: ring.dma.memory.base + ring.dma.memory.size - 1),
    ),
    Fault(
        "a descriptor is written",
        "mixture",
        "core-07.04",
        _writes(lambda ring, _chain: ring.queue.desc + 8),
    ),
    Fault(
        "a readable buffer is written",
        "any_cut_of_buffers",
        "core-07.01",
        _writes(lambda _ring, chain: chain.readable[0][0]),
    ),
    Fault(
        "a write beside a packed buffer",
        "any_cut_of_buffers",
        "core-13.01",
        _writes(lambda _ring, chain: sum(chain.writable[-1])),
        _PACKED,
    ),
    Fault("a read of a writable buffer", "writable_buffers_are_not_read", "core-07.02", _reads_writable),
    Fault("short tables", "indirect_tables", "core-08.02", of_method("indirect_entries", _short_tables)),
    Fault(
        "a table's WRITE flag counts",
        "write_flag_of_indirect_descriptor",
        "core-08.01",
        _heads(lambda flags, _behind: bool(flags & DESC_F_INDIRECT and flags & DESC_F_WRITE)),
    ),
    Fault(
        "no table behind a chain",
        "chain_before_indirect_table",
        "core-08.02",
        _heads(lambda _flags, behind: bool(behind & DESC_F_INDIRECT)),
    ),
    Fault(
        "tables in sequence",
        "entries_of_table_in_any_order",
        "core-06.01",
        rings(_tables_in_sequence),
    ),
    Fault("wide tables", "tables_among_chains", "core-08.02", of_method("walk_chain", _wide_tables), _PACKED),
]
"""For each check of chains at least one, in a disk."""
