"""The streams between the stages of a ring walker of which a timeline has every item: one table.

A row says in which block the stream is, and what of it names the chain. Both ring formats are in it; of the
blocks that a device does not have nothing is ever recorded. The host takes the items from one stream of the
device with probes (:mod:`.probes`), a word of flags and two words a stage for each lane (:mod:`.words`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ringwalker.dma.scatter import Scatter
from ringwalker.queue.chain.fetch import DescriptorFetch
from ringwalker.queue.packed.scan import ChainScan
from ringwalker.queue.packed.used_notification import PackedNotification
from ringwalker.queue.packed.used_writer import PackedUsedWriter
from ringwalker.queue.scheduler import Scheduler
from ringwalker.queue.split.avail_index import AvailIndexFetch
from ringwalker.queue.split.used_notification import UsedNotification
from ringwalker.queue.split.used_writer import UsedWriter
from ringwalker.queue.walker import RingWalker

from .words import StageKind

__all__ = ["STAGES", "Item", "Stage"]


@dataclass(frozen=True)
class Item:
    """What a probe sees in a cycle: whether something ``fires``, of which queue, which chain, and a number.

    ``later``: the values are those of the next cycle.
    """

    fires: Any
    queue: Any = 0
    id: Any = 0
    number: Any = 0
    later: bool = False


@dataclass(frozen=True)
class Stage:
    """A row: ``see(block)`` for the one ``block`` of that class in each walker, if it has one."""

    kind: StageKind
    block: type
    see: Callable[[Any], Item]


def _moves(stream: Any) -> Any:
    return stream.valid & stream.ready


def _stream(name: str, queue: str = "queue", chain: str | None = None, number: str | None = None) -> Any:
    """An item for each transfer on a stream, with these fields of its payload."""

    def see(block: Any) -> Item:
        stream = getattr(block, name)
        p = stream.payload
        return Item(
            _moves(stream),
            getattr(p, queue),
            0 if chain is None else getattr(p, chain),
            0 if number is None else getattr(p, number),
        )

    return see


def _head(block: Any) -> Item:
    head = block.heads.payload
    return Item(_moves(block.heads), head.queue, head.id, head.span << 1 | head.guess)


def _poll(block: Any) -> Item:
    read, data = block.reads.payload, block.data
    return Item(_moves(data) & data.payload.first, read.queue, read.place.offset)


def _look(block: Any) -> Item:
    return Item(block.table.en, block.table.index, block.table.row.vector, later=True)


def _dispatch(block: Any) -> Item:
    chains = block.function.chains
    return Item(_moves(chains), chains.payload.queue, number=chains.payload.writable)


def _payload(block: Any) -> Item:
    readable = block.function.readable
    return Item(_moves(readable) & readable.payload.last)


def _answer(block: Any) -> Item:
    replies = block.function.replies
    return Item(_moves(replies) & replies.payload.last & replies.payload.done)


def _clear(block: Any) -> Item:
    return Item(block.clear.en, block.clear.index)


STAGES: Sequence[Stage] = (
    Stage(StageKind.DOORBELL, RingWalker, _stream("doorbells")),
    Stage(StageKind.VISIT, Scheduler, _stream("visits")),
    Stage(StageKind.INDEX, AvailIndexFetch, _stream("snapshots", chain="idx")),
    Stage(StageKind.POLL, ChainScan, _poll),
    Stage(StageKind.HEAD, DescriptorFetch, _head),
    Stage(StageKind.CONFIRM, DescriptorFetch, lambda block: Item(block.confirm)),
    Stage(StageKind.WITHDRAW, DescriptorFetch, lambda block: Item(block.withdraw)),
    Stage(StageKind.CHAIN, DescriptorFetch, _stream("chains", chain="id", number="readable")),
    Stage(StageKind.DISPATCH, RingWalker, _dispatch),
    Stage(StageKind.PAYLOAD, RingWalker, _payload),
    Stage(StageKind.ANSWER, RingWalker, _answer),
    Stage(StageKind.COMPLETE, Scatter, _stream("completed", chain="id", number="written")),
    Stage(StageKind.USED, UsedWriter, _stream("used", chain="idx")),
    Stage(StageKind.USED_PACKED, PackedUsedWriter, _stream("used", chain="total")),
    Stage(StageKind.LOOK, UsedNotification, _look),
    Stage(StageKind.LOOK, PackedNotification, _look),
    Stage(
        StageKind.INTERRUPT,
        RingWalker,
        lambda block: Item(_moves(block.interrupts), id=block.interrupts.payload),
    ),
    Stage(StageKind.FLUSH, RingWalker, lambda block: Item(block.flush)),
    Stage(StageKind.CLEAR, RingWalker, _clear),
)
"""All stages. A kind has two rows where both ring formats have a block for it."""
