"""The ring walker: from a doorbell to a finished chain and its notification. Wiring only."""

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Const, Module
from amaranth.lib.wiring import In, Out, connect, flipped

from ..buffers import ElasticBuffer
from ..component import Component
from ..config import DeviceConfig
from ..dma.gather import Gather
from ..dma.posted import PacketBuffer, PostedGate, PostedMux
from ..dma.reader import DmaReader
from ..dma.scatter import Scatter
from ..dma.shared_reads import SharedReads
from ..interfaces import ChainPort, QueueClear, QueueRead
from ..spec.features import Feature
from ..spec.ring import DESC_BYTES
from ..streams import Doorbell, completion_beat, request_beat, stream_of
from ..tlp.arbiter import PacketArbiter
from ..tlp.completion_router import CompletionRouter
from ..tlp.tags import TagRange, allocate_tags
from .chain.dispatch import ChainDispatch
from .chain.fetch import DescriptorFetch
from .chain.lines import RANGE_BYTES
from .chain.store import SegmentStore
from .scheduler import Scheduler
from .split.avail_entries import LINE_BYTES
from .split.avail_event import AvailEvent
from .split.avail_index import AvailIndexFetch
from .split.avail_ring import AvailRingFetch
from .split.used_notification import InterruptStage
from .split.used_writer import UsedWriter

__all__ = ["PAYLOAD_READER", "RingWalker", "reader_tags"]

_FEWEST, _MOST = 4, 16
"""Reads of indices, of ring entries and of the driver's wishes under way: bounds."""


def _visits(config: DeviceConfig) -> int:
    """How many visits are under way at most: each is worth one read of each of those kinds."""
    return min(max(_FEWEST, config.queues), _MOST)


PAYLOAD_READER = 3
"""The place of the reader of payload among those of a walker."""


def reader_tags(config: DeviceConfig) -> tuple[int, ...]:
    """How many tags each reader of a walker wants, in the order of its readers."""
    visits = _visits(config)
    return visits, visits, config.ring_tags, config.read_tags, visits


class RingWalker(Component):
    """Walks the rings of all queues that it gets doorbells of, for one function.

    ``ranges`` are the tags of its readers, in the order of :func:`reader_tags`; by default all there are.

    Members (W is ``config.data_width``): ``doorbells`` In stream of Doorbell; ``table0`` to ``table5``
    Out(QueueRead()), one for each stage that looks at the queue table; ``clear`` In(QueueClear()); ``halt``
    In 1: no queue is visited, all else finishes; ``abort`` In 1: reads end with an error and writes are
    swallowed; ``features`` In 64: what was negotiated; ``reads`` and ``posted`` Out streams of
    request_beat(W): memory reads, and what must stay in order; ``completions`` In stream of
    completion_beat(W), ready always 1; ``function`` Out(ChainPort(W)); ``interrupts`` Out stream of 16-bit
    vectors; ``msix_enable``, ``max_payload``, ``max_read_request``, ``extended_tags`` In; ``fail`` Out 1, a
    pulse: something in the rings, or the host, is broken; ``unexpected``, ``unsupported``, ``aborted`` Out 1,
    pulses for completions that were not asked for or had such a status; ``idle`` Out 1: nothing is under way;
    ``reading`` Out 1: a read of the host is; ``moves`` Out 1: a chain is being walked or taken apart;
    ``waiting`` Out 1: a queue waits for a visit.
    """

    TABLE_READS = 6

    def __init__(self, config: DeviceConfig, ranges: Sequence[TagRange] | None = None):
        self._config = config
        self._ranges = allocate_tags(reader_tags(config)) if ranges is None else list(ranges)
        width = config.data_width
        super().__init__(
            {
                "doorbells": In(stream_of(Doorbell)),
                **{f"table{n}": Out(QueueRead()) for n in range(self.TABLE_READS)},
                "clear": In(QueueClear()),
                "halt": In(1),
                "abort": In(1),
                "features": In(64),
                "reads": Out(stream_of(request_beat(width))),
                "posted": Out(stream_of(request_beat(width))),
                "completions": In(stream_of(completion_beat(width))),
                "function": Out(ChainPort(width)),
                "interrupts": Out(stream_of(16)),
                "msix_enable": In(1),
                "max_payload": In(13),
                "max_read_request": In(13),
                "extended_tags": In(1),
                "fail": Out(1),
                "unexpected": Out(1),
                "unsupported": Out(1),
                "aborted": Out(1),
                "idle": Out(1),
                "reading": Out(1),
                "moves": Out(1),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        config, width = self._config, self._config.data_width
        visits = _visits(config)
        depth = 2 * config.queue_size + 2 * config.chains
        m.submodules.scheduler = scheduler = Scheduler(config.queues)
        m.submodules.index = index = AvailIndexFetch(width, visits)
        m.submodules.entries = entries = AvailRingFetch(width, config.queues, visits)
        m.submodules.descriptors = descriptors = DescriptorFetch(
            width, config.queue_size, config.chains, depth, config.ring_tags
        )
        m.submodules.segments = segments = SegmentStore(depth)
        m.submodules.dispatch = dispatch = ChainDispatch(config.chains)
        m.submodules.gather = gather = Gather(width, config.max_read_request, config.read_tags)
        m.submodules.scatter = scatter = Scatter(width)
        m.submodules.used = used = UsedWriter(width, config.queues)
        m.submodules.interrupt = interrupt = InterruptStage(width, config.queues, visits)
        m.submodules.event = event = AvailEvent(width, visits)
        m.submodules.shared_reads = shared = SharedReads(width, 2 * visits)
        function = self.function

        self._doorbells(m, scheduler, entries, event)
        connect(m, scheduler.visits, index.visits)
        connect(m, index.snapshots, entries.snapshots)
        connect(m, index.ahead, entries.ahead)
        connect(m, index.early, entries.early)
        connect(m, entries.heads, descriptors.heads)
        connect(m, entries.polls, event.polls)
        connect(m, interrupt.read, shared.port0)
        connect(m, event.read, shared.port1)
        connect(m, descriptors.chains, dispatch.chains)
        connect(m, dispatch.gather, gather.chains)
        connect(m, dispatch.scatter, scatter.chains)
        connect(m, dispatch.function, flipped(function.chains))
        connect(m, gather.readable, flipped(function.readable))
        connect(m, flipped(function.replies), scatter.replies)
        connect(m, scatter.completed, used.completed)
        connect(m, used.used, interrupt.used)
        connect(m, interrupt.interrupts, flipped(self.interrupts))

        connect(m, segments.allocate, descriptors.allocate)
        connect(m, descriptors.write, segments.write)
        connect(m, descriptors.link, segments.link)
        connect(m, descriptors.drops, segments.drops)
        connect(m, gather.segments, segments.read0)
        connect(m, gather.frees, segments.free0)
        connect(m, scatter.segments, segments.read1)
        connect(m, scatter.frees, segments.free1)

        walks = (entries, descriptors, dispatch, gather, scatter)
        lookers = (index, entries, descriptors, used, interrupt, event)
        for n, stage in enumerate(lookers):
            connect(m, stage.table, flipped(getattr(self, f"table{n}")))
        for stage in (scheduler, entries, used, interrupt):
            connect(m, flipped(self.clear), stage.clear)
        m.d.comb += [
            scheduler.halt.eq(self.halt),
            index.told.eq(scheduler.told),
            index.idx.eq(scheduler.idx),
            index.quiet.eq(reduce(and_, (stage.idle for stage in walks))),
            entries.eager.eq(index.eager),
            entries.eager_queue.eq(index.eager_queue),
            descriptors.doubt.eq(entries.doubt),
            function.halt.eq(self.halt),
            descriptors.available.eq(segments.available),
            descriptors.indirect.eq(self.features[Feature.INDIRECT_DESC]),
            descriptors.max_read_request.eq(self.max_read_request),
            gather.max_read_request.eq(self.max_read_request),
            scatter.max_payload.eq(self.max_payload),
            interrupt.msix_enable.eq(self.msix_enable),
            interrupt.event_idx.eq(self.features[Feature.EVENT_IDX]),
            entries.event_idx.eq(self.features[Feature.EVENT_IDX]),
        ]
        # Used elements are gathered while payload waits for the same link, and while the driver cannot hear
        # of them yet: what it wants to know of the batch before is still being looked up.
        m.d.sync += used.hold.eq(scatter.writes.valid | ~interrupt.idle)
        readers, arbiter = self._readers(m, (index, entries, descriptors, gather, shared))
        posted = self._posted(m, (scatter.writes, used.writes, event.writes, readers[-1].requests))
        stages = (*lookers, scheduler, dispatch, gather, scatter, shared, arbiter, *readers, *posted)
        blocks = (entries, descriptors, interrupt, event)
        failures = (*(block.fail for block in blocks), *(reader.failed for reader in readers))
        m.d.comb += [
            # The segment store is ready some cycles after a reset; until then no chain can have begun.
            self.idle.eq(reduce(and_, (stage.idle for stage in stages)) & function.idle),
            self.reading.eq(~reduce(and_, (reader.idle for reader in readers))),
            self.moves.eq(segments.moves),
            self.waiting.eq(scheduler.waiting),
            self.fail.eq(reduce(or_, failures)),
        ]
        return m

    def _doorbells(self, m, scheduler, entries, event):
        """Doorbells of the driver, and those that take their place; a visit of the latter kind goes first."""
        rung, blocked = scheduler.doorbells, Const(0)
        for source in (event.again, entries.again, self.doorbells):
            m.d.comb += source.ready.eq(rung.ready & ~blocked)
            with m.If(source.valid & ~blocked):
                m.d.comb += [rung.valid.eq(1), rung.payload.eq(source.payload)]
            blocked = blocked | source.valid

    def _readers(self, m, clients):
        """A reader for each client, the router of their completions, and the arbiter of their requests."""
        config, width = self._config, self._config.data_width
        line, description = max(LINE_BYTES, width // 8), max(DESC_BYTES, width // 8)
        slot_bytes = (description, line, RANGE_BYTES, config.max_read_request, description)
        ranges = self._ranges
        names = ("index_reader", "entry_reader", "descriptor_reader", "payload_reader", "flags_reader")
        m.submodules.completion_router = router = CompletionRouter(width, ranges)
        m.submodules.read_arbiter = arbiter = PacketArbiter(request_beat(width), len(clients) - 1)
        connect(m, flipped(self.completions), router.i)
        readers = []
        for n, client in enumerate(clients):
            reader = DmaReader(width, ranges[n], slot_bytes[n], config.completion_timeout)
            m.submodules[names[n]] = reader
            readers.append(reader)
            connect(m, client.read, reader.port)
            connect(m, getattr(router, f"o{n}"), reader.completions)
            m.d.comb += [reader.abort.eq(self.abort), reader.extended_tags.eq(self.extended_tags)]
            if n == PAYLOAD_READER:
                # While others have their turn at the link, payload is asked for without a pause.
                m.submodules.payload_requests = waiting = ElasticBuffer(request_beat(width))
                connect(m, reader.requests, waiting.i)
                connect(m, waiting.o, getattr(arbiter, f"i{n}"))
            elif n < arbiter.inputs:
                connect(m, reader.requests, getattr(arbiter, f"i{n}"))
        connect(m, arbiter.o, flipped(self.reads))
        m.d.comb += [
            self.unexpected.eq(router.unexpected | reduce(or_, (reader.unexpected for reader in readers))),
            self.unsupported.eq(reduce(or_, (reader.unsupported for reader in readers))),
            self.aborted.eq(reduce(or_, (reader.aborted for reader in readers))),
        ]
        return readers, arbiter

    def _posted(self, m, sources):
        """Everything that must stay in order, in whole packets."""
        width = self._config.data_width
        beats = 2 * self._config.max_payload * 8 // width
        m.submodules.posted_mux = mux = PostedMux(width, len(sources))
        m.submodules.posted_buffer = buffer = PacketBuffer(width, max(beats, 4))
        m.submodules.posted_gate = gate = PostedGate(width)
        for n, source in enumerate(sources):
            connect(m, source, getattr(mux, f"i{n}"))
        connect(m, mux.o, buffer.i)
        connect(m, buffer.o, gate.i)
        connect(m, gate.o, flipped(self.posted))
        m.d.comb += gate.abort.eq(self.abort)
        return mux, buffer, gate
