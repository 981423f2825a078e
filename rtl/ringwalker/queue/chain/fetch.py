"""Descriptor chains, walked several at a time.

Ref: virtio 1.4, 2.7.5 (The Virtqueue Descriptor Table), 2.7.5.3 (Indirect Descriptors).
"""

from functools import partial
from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ...component import Component
from ...interfaces import DmaReadPort, QueueRead
from ...streams import SEGMENT_BITS, Chain, Head, SegmentList, stream_of
from ..ring.brought import BroughtPort
from .check import ChainProgress, DescriptorCheck
from .descriptor import DescriptorTable
from .expected_length import ExpectedLength
from .lines import SLOT_BITS, DescriptorLines, line_of
from .pending_fetches import LineSharing, PendingFetches
from .retire import ChainRetire, WalkedChain
from .source import DescriptorSource, brought_with
from .store import SegmentLink, SegmentWrite

__all__ = ["DescriptorFetch"]


class DescriptorFetch(Component):
    """Walks the chains of heads, several at a time, and passes them on in the order of the heads.

    Parameters: ``data_width`` in bits; ``queue_size``, the most descriptors that a chain can have;
    ``chains`` (a power of two), how many are walked at once; ``segments``, the depth of the segment store, at
    least ``queue_size``; ``reads``, how many reads of descriptors are in flight at most; ``decoder``, what a
    descriptor means, a component with the members of :class:`~.descriptor.DescriptorDecoder`; ``brings``:
    heads may bring descriptors along.

    Members (W is ``data_width``):

    - ``heads`` In stream of Head: the chains to walk; each must begin below the size of its queue. One with
      ``guess`` comes only while no chain is in flight, and is a chain only after ``confirm``.
    - ``brought`` Out(BroughtPort()): those that come with heads, if ``brings``.
    - ``confirm``, ``withdraw`` In 1: as :func:`~..ring_format.ring_members` has them.
    - ``table`` Out(QueueRead()).
    - ``read`` Out(DmaReadPort(W)): reads of descriptors, of at most ``max_read_request`` In 13 bytes.
    - ``indirect`` In 1: indirect tables were negotiated.
    - ``allocate`` In stream of segment numbers, ``write`` Out(SegmentWrite()), ``link`` Out(SegmentLink()),
      ``drops`` Out stream of SegmentList, ``available`` In: to the segment store.
    - ``chains`` Out stream of Chain: the result.
    - ``fail`` Out 1, a pulse for each chain that is bad (see :class:`~.check.DescriptorCheck`). It is
      dropped, and its segments go back to the store. All else goes on.
    - ``idle`` Out 1: no chain is in flight.

    A head is a read request six cycles after it was taken. A chain comes out nine cycles after the last
    beat of its last descriptor. A chain of one descriptor is taken every two cycles; a further
    descriptor in the same line takes three.

    A line of descriptors that was read serves the chains for which it was asked for, and is then forgotten.
    Those are the chain whose descriptor it is, as far as it goes on in the line, and, for the line of a
    head, those that follow it directly, have their head in the same line, and were made available with it.
    The ring format knew that before any of these heads came, so no descriptor is older than what it saw. A
    chain that is expected to be longer (:class:`~.expected_length.ExpectedLength`) is read by itself.

    A descriptor takes a segment when it is looked at. All chains but the oldest may take one only while more
    than ``queue_size`` are free; otherwise the chain is put back, and its descriptor is read again later.
    The oldest may as long as there is one. So there is no deadlock: suppose that the oldest finds none,
    and that all chains that were passed on have given back theirs. When another chain last took one,
    ``queue_size`` were left; since then only oldest chains took any, and those of them that are finished have
    given theirs back. So the oldest has taken ``queue_size``, and needs no more.
    """

    def __init__(
        self,
        data_width: int,
        queue_size: int,
        chains: int,
        segments: int,
        reads: int = 16,
        *,
        decoder: Component,
        brings: bool = False,
    ):
        if chains not in (1 << n for n in range(SLOT_BITS + 1)):
            raise ValueError(f"chains is {chains!r}; it must be a power of two from 1 to {1 << SLOT_BITS}")
        if segments < max(queue_size, 2):
            raise ValueError(f"segments is {segments!r}; it must be at least queue_size, {queue_size!r}")
        self._width = data_width
        self._queue_size = queue_size
        self._slots = chains
        self._reads = reads
        self._brings = brings
        super().__init__(
            {
                **({"brought": Out(BroughtPort())} if brings else {}),
                "heads": In(stream_of(Head)),
                "table": Out(QueueRead()),
                "read": Out(DmaReadPort(data_width)),
                "max_read_request": In(13),
                "indirect": In(1),
                "confirm": In(1),
                "withdraw": In(1),
                "allocate": In(stream_of(unsigned(SEGMENT_BITS))),
                "write": Out(SegmentWrite()),
                "link": Out(SegmentLink()),
                "drops": Out(stream_of(SegmentList)),
                "available": In(range(segments + 1)),
                "chains": Out(stream_of(Chain)),
                "fail": Out(1),
                "idle": Out(1, init=1),
            }
        )
        # Chains stand in slots, from the oldest to before the newest. Nothing is known of a fresh one yet; a
        # joined one is served by the line of the slot before; a nested one is in an indirect table.
        slots = max(chains, 2)
        self._oldest, self._newest = Signal(range(slots)), Signal(range(slots))
        self._taken = Signal(range(chains + 1))
        # Changes when the newest comes round to the first slot again.
        self._lap = Signal()
        # A bit for each slot.
        self._fresh: Any = Signal(slots)
        self._done: Any = Signal(slots)
        self._failed: Any = Signal(slots)
        self._joined: Any = Signal(slots)
        self._nested: Any = Signal(slots)
        # A guess is alone when it comes, so it is the oldest until it is decided and, if withdrawn, dropped.
        self._undecided, self._withdrawn = Signal(), Signal()
        self._decoder: Any = decoder
        self._expected = ExpectedLength()
        # What is being checked.
        self._step_slot, self._step_index = Signal.like(self._oldest), Signal(16)
        self._descends, self._given_up = Signal(), Signal()
        # As it was a cycle ago: what is being checked is of the oldest chain, and it may take a segment.
        # Two descriptors that are stored are two cycles apart.
        self._step_oldest, self._may_take = Signal(), Signal()

    def _next_slot(self, slot):
        return Mux(slot == self._slots - 1, 0, slot + 1)

    def elaborate(self, platform):
        m: Any = Module()
        depth = len(self._done)
        owners: Any = Memory(shape=WalkedChain, depth=depth, init=[])
        tables: Any = Memory(shape=DescriptorTable, depth=depth, init=[])
        progress: Any = Memory(shape=ChainProgress, depth=depth, init=[])
        m.submodules.owners, m.submodules.tables, m.submodules.progress = owners, tables, progress
        lines = DescriptorLines if not self._brings else partial(DescriptorSource, chains=self._slots)
        m.submodules.lines = source = lines(self._width, self._reads)
        if self._brings:
            connect(m, source.brought, flipped(self.brought))
        m.submodules.check = step = DescriptorCheck(self._queue_size)
        m.submodules.decoder = self._decoder
        connect(m, source.read, flipped(self.read))
        roomy, oldest = self.available > self._queue_size, self._step_slot == self._oldest
        m.submodules.pending = wanted = PendingFetches(self._slots)
        m.submodules.expected = self._expected
        m.d.sync += [self._step_oldest.eq(oldest), self._may_take.eq(oldest | roomy), wanted.roomy.eq(roomy)]
        m.d.comb += source.max_read_request.eq(self.max_read_request), step.indirect.eq(self.indirect)
        release = Signal()
        self._take(m, source, step, owners, tables, progress, wanted)
        self._emit(m, owners, progress, release)
        self._request(m, source, tables, wanted)
        looked, head, accept = self._accept(m, source, wanted)
        row = self.table.row
        new, new_table = owners.write_port(), self._table_writer(m, tables, step, accept)
        m.d.comb += [
            new.addr.eq(self._newest),
            new.data.owner.queue.eq(head.queue),
            new.data.owner.id.eq(head.id),
            new.data.owner.span.eq(head.span),
            new.data.at.eq(head.at),
            new.data.limit.eq(row.size),
            new.en.eq(accept),
            new_table.address.eq(row.desc),
            new_table.size.eq(row.size),
            self.idle.eq((self._taken == 0) & ~looked & ~self.chains.valid),
        ]
        m.d.sync += self._taken.eq(self._taken + accept - release)
        with m.If(accept & head.guess):
            m.d.sync += self._undecided.eq(1)
        with m.Elif(self.confirm | self.withdraw):
            m.d.sync += [self._undecided.eq(0), self._withdrawn.eq(self.withdraw)]
        return m

    def _accept(self, m: Any, source, wanted) -> tuple[Signal, Any, Signal]:
        """A head: one cycle to look up its queue, one to give it a slot."""
        m.submodules.sharing = sharing = LineSharing()
        looked, accept = Signal(), Signal()
        head: Any = Signal(Head)
        shown = source.ranges.payload
        brought = brought_with(m, source, head, self._newest, self._lap, accept)
        m.d.comb += [
            # From a register: chains are not taken any faster than every two cycles.
            self.heads.ready.eq(~looked),
            self.table.en.eq(self.heads.valid & self.heads.ready),
            self.table.index.eq(self.heads.payload.queue),
            accept.eq(looked & ~self._undecided & (self._taken != self._slots) & ~wanted.busy),
            sharing.line.eq(line_of(self.table.row.desc, head.at)),
            sharing.first.eq(head.first),
            sharing.accept.eq(accept),
            sharing.slot.eq(self._newest),
            sharing.lap.eq(self._lap),
            sharing.shown.eq(source.ranges.valid & shown.group),
            sharing.leader.eq(shown.slot),
            sharing.leader_lap.eq(shown.lap),
            sharing.withdrawn.eq(self._withdrawn),
            wanted.adds.eq(accept & ~sharing.joins & ~brought),
            wanted.added.slot.eq(self._newest),
            wanted.added.lap.eq(self._lap),
            wanted.added.index.eq(head.at),
            wanted.added.group.eq(1),
            wanted.added.length.eq(self._expected.length),
            sharing.alone.eq(self._expected.length != 0),
        ]
        with m.If(self.heads.ready):
            m.d.sync += [looked.eq(self.heads.valid), head.eq(self.heads.payload)]
        with m.Elif(accept):
            m.d.sync += looked.eq(0)
        with m.If(accept):
            m.d.sync += [
                self._newest.eq(self._next_slot(self._newest)),
                self._lap.eq(self._lap ^ (self._newest == self._slots - 1)),
                self._fresh.bit_select(self._newest, 1).eq(1),
                self._done.bit_select(self._newest, 1).eq(0),
                self._failed.bit_select(self._newest, 1).eq(0),
                self._nested.bit_select(self._newest, 1).eq(0),
                self._joined.bit_select(self._newest, 1).eq(sharing.joins),
            ]
        return looked, head, accept

    def _request(self, m: Any, source, tables, wanted) -> None:
        """The front of the queue is asked for: of a chain that is not the oldest while there is room."""
        front, request = wanted.o.payload, source.requests.payload
        table = tables.read_port(domain="comb")
        m.d.comb += [
            wanted.oldest.eq(self._oldest),
            table.addr.eq(front.slot),
            source.requests.valid.eq(wanted.o.valid),
            *(request[name].eq(front[name]) for name in ("slot", "lap", "group", "length", "index")),
            request.nested.eq(self._nested.bit_select(front.slot[: len(self._newest)], 1)),
            request.table.eq(table.data),
            wanted.o.ready.eq(source.requests.ready),
        ]

    def _table_writer(self, m: Any, tables, step, accept) -> Any:
        """Where a chain is: at first in its queue's table, which goes into the result, then in ``step``'s."""
        write = tables.write_port()
        first: Any = Signal(DescriptorTable)
        m.d.comb += [
            write.addr.eq(Mux(accept, self._newest, self._step_slot)),
            write.data.eq(Mux(accept, first.as_value(), step.table.as_value())),
            write.en.eq(accept | self._descends),
        ]
        return first

    def _take(self, m: Any, source, step, owners, tables, progress, wanted) -> None:
        """The range that is offered: each chain that it is for takes its descriptors, one after the other.

        A descriptor is found, in the next cycle checked, and in the one after that stored, when the next may
        be found. As long as one with NEXT is not stored its chain is not known to leave the range.
        """
        shown = source.ranges.payload
        bits = len(self._newest)
        active, waiting, busy, finish, left = (Signal() for _ in range(5))
        member: Any = Signal(bits)
        index: Any = Signal(16)
        position: Any = Signal.like(source.position)
        after: Any = Signal(bits)
        found, following = progress.read_port(domain="comb"), owners.read_port(domain="comb")
        mine, table = owners.read_port(domain="comb"), tables.read_port(domain="comb")
        look, leaves, stays, more, next_index = Signal(), Signal(), Signal(), Signal(), Signal(16)
        decoder = self._decoder
        m.d.comb += [
            decoder.raw.eq(source.raw),
            decoder.index.eq(index),
            decoder.size.eq(table.data.size),
            decoder.nested.eq(self._nested.bit_select(member, 1)),
            after.eq(self._next_slot(member)),
            following.addr.eq(after),
            found.addr.eq(member),
            mine.addr.eq(member),
            table.addr.eq(member),
            source.position.eq(position),
            leaves.eq((look & (~decoder.descriptor.follows | shown.error)) | left),
            more.eq(shown.group & (after != self._newest) & self._joined.bit_select(after, 1)),
            source.ranges.ready.eq(leaves & ~more),
            self._expected.ends.eq(look & ~decoder.descriptor.follows & ~shown.error),
            self._expected.nested.eq(decoder.nested),
            self._expected.first.eq(mine.data.at),
            self._expected.last.eq(index),
        ]
        with m.If(~active & source.ranges.valid):
            m.d.sync += [
                active.eq(1),
                member.eq(shown.slot),
                index.eq(shown.index),
                position.eq(shown.index - shown.first),
            ]
        with m.If(leaves):
            m.d.sync += [
                active.eq(more),
                member.eq(after),
                index.eq(following.data.at),
                position.eq(following.data.at - shown.first),
                waiting.eq(0),
            ]
        with m.Elif(look):
            m.d.sync += waiting.eq(1)
        with m.Elif(finish & stays):
            m.d.sync += [waiting.eq(0), index.eq(next_index), position.eq(next_index - shown.first)]
        with m.If(look):
            m.d.sync += [
                busy.eq(1),
                self._step_slot.eq(member),
                self._step_index.eq(index),
                step.found.descriptor.eq(decoder.descriptor),
                step.found.error.eq(shown.error),
                step.found.size.eq(table.data.size),
                step.found.nested.eq(decoder.nested),
                step.found.limit.eq(mine.data.limit),
                step.before.eq(found.data),
            ]
        with m.Elif(finish):
            m.d.sync += busy.eq(0)
        # Apart from the above it is the reset of the register, in place of a gate for each bit.
        with m.If(look & self._fresh.bit_select(member, 1)):
            m.d.sync += step.before.eq(0)
        in_range = Signal()
        m.d.sync += in_range.eq((next_index >= shown.first) & (next_index - shown.first < shown.count))
        put_back, free = self._check(m, step, progress, busy, finish)
        m.d.sync += left.eq(waiting & finish & ~stays)
        m.d.comb += [
            look.eq(active & ~waiting & free),
            next_index.eq(step.found.descriptor.next),
            stays.eq(waiting & step.follow & ~put_back & in_range & ~self._given_up),
            wanted.returns.eq(
                finish & (put_back | ((self._descends | (step.follow & ~stays)) & ~self._given_up)),
            ),
            wanted.returned.slot.eq(self._step_slot),
            wanted.returned.index.eq(Mux(put_back, self._step_index, Mux(step.descends, 0, next_index))),
        ]

    def _check(self, m: Any, step, progress, busy, finish) -> tuple[Signal, Signal]:
        """Store a descriptor and what became of its chain; gives whether it was put back for want of room,
        and whether the next may be found in this cycle."""
        slot, descriptor = self._step_slot, step.found.descriptor
        store = progress.write_port()
        put_back, stored, checked, stocked, free = (Signal() for _ in range(5))
        m.d.sync += [checked.eq(busy & ~finish), stocked.eq(self.allocate.valid & ~self.allocate.ready)]
        m.d.comb += [
            free.eq(~busy | (checked & stocked)),
            put_back.eq(step.stores & ~self._may_take),
            step.segment.eq(self.allocate.payload),
            finish.eq(checked & (put_back | ~step.stores | stocked)),
            stored.eq(checked & stocked & step.stores & ~put_back),
            *(signal.eq(stored) for signal in (self.allocate.ready, self.write.en)),
            self.write.index.eq(step.segment),
            self.write.address.eq(descriptor.address),
            self.write.length.eq(descriptor.length),
            self.link.en.eq(stored & step.joins),
            self.link.index.eq(step.before.tail),
            self.link.next.eq(step.segment),
            store.addr.eq(slot),
            store.data.eq(step.after),
            store.en.eq(finish & ~put_back),
            self._descends.eq(finish & step.descends),
        ]
        oldest = self._step_oldest
        m.d.comb += self._given_up.eq(self._withdrawn & oldest)
        unproved = oldest & ((self._undecided & ~self.confirm) | self._withdrawn)
        proved_bad = self.confirm & self._failed.bit_select(self._oldest, 1)
        m.d.sync += self.fail.eq((finish & step.bad & ~unproved) | proved_bad)
        with m.If(finish & ~put_back):
            m.d.sync += [
                self._fresh.bit_select(slot, 1).eq(0),
                self._done.bit_select(slot, 1).eq((~step.follow & ~step.descends) | self._given_up),
                self._failed.bit_select(slot, 1).eq(step.bad),
            ]
        with m.If(self._descends):
            m.d.sync += self._nested.bit_select(slot, 1).eq(1)
        return put_back, free

    def _emit(self, m: Any, owners, progress, release) -> None:
        """The oldest chain leaves when it is done."""
        oldest = self._oldest
        m.submodules.retire = leaving = ChainRetire()
        owner, totals = owners.read_port(domain="comb"), progress.read_port(domain="comb")
        connect(m, leaving.chains, flipped(self.chains))
        connect(m, leaving.drops, flipped(self.drops))
        done = (self._taken != 0) & self._done.bit_select(oldest, 1)
        m.d.comb += [
            owner.addr.eq(oldest),
            totals.addr.eq(oldest),
            leaving.owner.eq(owner.data.owner),
            leaving.totals.eq(totals.data),
            leaving.done.eq(done & ~self._undecided),
            leaving.failed.eq(self._failed.bit_select(oldest, 1) | self._withdrawn),
            release.eq(leaving.release),
        ]
        with m.If(release):
            m.d.sync += [oldest.eq(self._next_slot(oldest)), self._withdrawn.eq(0)]
