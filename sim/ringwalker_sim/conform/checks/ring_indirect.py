"""Indirect tables. Ref: virtio 1.4, 2.7.5.3 and 2.8.7."""

from ringwalker.spec.features import Feature
from ringwalker.spec.ring import DESC_F_NEXT, DESC_F_WRITE, Descriptor

from ..check import WAYS, Way, check
from ..conditions import offers
from ..rings.exchange import Exchange, started
from ..subject import Subject

__all__: list[str] = []

_NEEDS = (offers(Feature.INDIRECT_DESC),)
_SPLIT = (Way.SPLIT, Way.LEGACY)


async def _wait(exchange: Exchange, clause: str = "core-08.02") -> None:
    exchange.publish()
    await exchange.kick()
    await exchange.wait(clause=clause)


@check("core-08.02", "core-14.01", ways=WAYS, needs=_NEEDS)
async def indirect_tables(subject: Subject) -> None:
    """Describes whole buffers in indirect tables, from the shortest to those with as many entries as the
    queue.

    Wrong: a buffer that is used with a wrong result, or not at all.
    """
    exchange = await started(subject, Feature.INDIRECT_DESC)
    size = exchange.queue.size
    for count in (1, 2, 3, 5, size // 2, size):
        exchange.offer(exchange.finest_cut(count), indirect=0)
        await _wait(exchange)
    for _ in range(4):
        exchange.offer(exchange.finest_cut(3), indirect=0)
    await _wait(exchange)


@check("core-08.01", ways=WAYS, needs=_NEEDS)
async def write_flag_of_indirect_descriptor(subject: Subject) -> None:
    """Sets WRITE in the descriptor that refers to an indirect table, which is to be ignored.

    Wrong: a device that takes the table for a buffer that it may write, or all that is in it, or that fails.
    """
    exchange = await started(subject, Feature.INDIRECT_DESC)
    for count in (1, 4):
        exchange.offer(exchange.finest_cut(count), indirect=0, table_flags=DESC_F_WRITE)
        await _wait(exchange, "core-08.01")


@check("core-08.02", ways=_SPLIT, needs=_NEEDS)
async def chain_before_indirect_table(subject: Subject) -> None:
    """Chains descriptors in front of one that refers to a table with the rest of the buffer, at each place.

    Wrong: a device that knows tables only at the start of a chain.
    """
    exchange = await started(subject, Feature.INDIRECT_DESC)
    pieces = exchange.finest_cut(5)
    count = len(exchange.new_work(pieces).pieces)
    for rest in range(1, count):
        exchange.offer(pieces, indirect=rest)
        await _wait(exchange)


@check("core-06.01", ways=_SPLIT, needs=_NEEDS)
async def entries_of_table_in_any_order(subject: Subject) -> None:
    """Chains the entries of an indirect table in random order, by their next fields.

    Wrong: a device that reads a table from its start to its end.
    """
    exchange = await started(subject, Feature.INDIRECT_DESC)
    for _ in range(4):
        made = exchange.offer(exchange.finest_cut(6), indirect=0)
        count = len(made.pieces)
        order = [0, *subject.random.sample(range(1, count), count - 1)]
        rows = subject.memory.struct_view(made.tables[0].address, Descriptor, count)
        for at, piece in enumerate(made.pieces):
            row, last = rows[order[at]], at + 1 == count
            row["addr"], row["len"] = piece.address, piece.length
            row["flags"] = DESC_F_WRITE * piece.writable | (0 if last else DESC_F_NEXT)
            row["next"] = 0 if last else order[at + 1]
        await _wait(exchange, "core-06.01")


@check("core-08.02", "core-14.01", ways=WAYS, needs=_NEEDS)
async def tables_among_chains(subject: Subject) -> None:
    """Makes buffers with and without indirect tables available at once, so often that the ring begins again.

    Wrong: a buffer that is used with a wrong result, or not at all, or a ring that gets out of step.
    """
    exchange = await started(subject, Feature.INDIRECT_DESC, size=16)
    most = (exchange.queue.size - 1) // 2
    for number in range(12):
        for indirect in (None, 0, None) if number % 2 else (0, None, 0):
            exchange.offer(exchange.finest_cut(min(2 + number % 3, most)), indirect=indirect)
        await _wait(exchange)


@check("core-15.05", "core-08.02", ways=(Way.SPLIT, Way.PACKED), needs=(*_NEEDS, offers(Feature.IN_ORDER)))
async def tables_in_order(subject: Subject) -> None:
    """With IN_ORDER, makes buffers with indirect tables and without available at once.

    Wrong: buffers that are not used in the order in which they were made available.
    """
    exchange = await started(subject, Feature.INDIRECT_DESC, Feature.IN_ORDER, size=16)
    for number in range(6):
        for place in range(4):
            exchange.offer(exchange.finest_cut(2), indirect=0 if (place + number) % 2 else None)
        await _wait(exchange, "core-15.05")
