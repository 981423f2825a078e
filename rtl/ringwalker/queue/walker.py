"""The ring walker: from a doorbell to a finished chain and its notification. Wiring only.

```
  doorbells ──► Scheduler ──► ring format ──► DescriptorFetch ──► ChainDispatch ──► function
                   ▲            │    ▲                                │    │           │
                   └─ revisits ─┘    │                           Gather    Scatter ◄───┘ replies
                                     └───────────── completed ────────────────┘
```
"""

from collections.abc import Mapping
from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ..apart import ResetInserter
from ..buffers import ElasticBuffer
from ..component import Component
from ..config import DeviceConfig
from ..dma.gather import Gather
from ..dma.posted import PacketBuffer, PostedGate, PostedMux
from ..dma.read_window import ReadWindow
from ..dma.reader import DmaReader
from ..dma.scatter import Scatter
from ..interfaces import ChainPort, QueueClear, QueueRead, QueueRestore
from ..merge import StreamMerge
from ..spec.features import Feature
from ..streams import Doorbell, completion_beat, request_beat, stream_of
from ..tlp.arbiter import PacketArbiter
from ..tlp.completion_router import CompletionRouter
from ..tlp.tags import TagRange, allocate_tags
from .chain.dispatch import ChainDispatch
from .chain.fetch import DescriptorFetch
from .chain.lines import RANGE_BYTES
from .chain.store import SegmentStore
from .formats import FORMATS
from .pace import VisitPace
from .ring.ring_format import ReaderKind, RingFormat
from .scheduler import Scheduler

__all__ = ["PAYLOAD", "RingWalker", "walker_readers", "walker_tables"]

_MOST_BESIDE = 2048
"""Segments of chains beside the oldest one are no more than this; what a chain alone can have comes to it."""

_LARGE_BYTES = 2048
"""With so much to be read for a chain, what is read of the rings for it is little."""

PAYLOAD = "payload"
"""The reader whose tags are those of ``config.read_tags``."""


def walker_readers(config: DeviceConfig, ring: RingFormat) -> tuple[ReaderKind, ...]:
    """The readers of a walker in the order in which their requests go; last those whose reads are ordered."""
    kinds = (
        *ring.readers(config),
        ReaderKind("descriptor", config.ring_tags, RANGE_BYTES),
        ReaderKind(PAYLOAD, config.read_tags, config.max_read_request),
    )
    return tuple(sorted(kinds, key=lambda kind: kind.ordered))


def walker_tables(ring: RingFormat) -> tuple[str, ...]:
    """The ports of a walker that read the queue table."""
    return tuple(f"{name}_table" for name in (*ring.tables, "descriptor"))


class RingWalker(Component):
    """Walks the rings of all queues that it gets doorbells of, for one function.

    Parameters: ``tags``, those of each reader of :func:`walker_readers`, by default all there are; ``ring``,
    the format of the rings; ``paced``: it has many queues, so under load visits wait for batches.

    Members (W is ``config.data_width``):

    - ``doorbells`` In stream of Doorbell.
    - Out(QueueRead()) by the names of :func:`walker_tables`. ``clear`` In(QueueClear()).
    - ``restore`` In(QueueRestore()): as :func:`~.ring.ring_format.ring_members` has it.
    - ``halt`` In 1: no queue is visited, all else finishes.
    - ``abort`` In 1: reads end with an error and writes are swallowed, of which each is a ``fail``.
    - ``stop`` In 1: reads end with an error, which is no ``fail``, and no write begins. Writes that had begun
      leave, unless ``abort`` is up as well.
    - ``flush`` In 1: everything in flight is forgotten, also by the function, and the walker is as after a
      reset, whatever was in the rings. Only with ``stop`` and ``halt``, and some cycles after all has
      ``departed``. Reads that are not ``answered`` keep their tags.
    - ``features`` In 64: what was negotiated.
    - ``reads``, ``posted`` Out streams of request_beat(W): memory reads, and what must stay in order.
    - ``completions`` In stream of completion_beat(W), ready always 1.
    - ``function`` Out(ChainPort(W)).
    - ``interrupts`` Out stream of 16-bit vectors.
    - ``msix_enable`` In 1, ``max_payload`` In 13, ``max_read_request`` In 13, ``extended_tags`` In 1.
    - ``timeout_step`` In 1, if ``config.pci.timeout_ranges``: see :class:`~..dma.reader.DmaReader`.
    - ``fail`` Out 1, a pulse: something in the rings, or the host, is broken.
    - ``unsupported``, ``aborted`` Out 1, pulses: a completion had such a status.
    - ``timed_out`` Out 1, a pulse: completions did not come in time.
    - ``unexpected`` Out 1, a pulse: a completion had one of our tags, and none was waited for.
    - ``unclaimed`` Out 1, a pulse two cycles after a completion began whose tag is none of ours.
    - ``idle`` Out 1: nothing is in flight.
    - ``departed`` Out 1: no request is on its way to ``reads`` or ``posted`` that would leave under ``stop``.
    - ``answered`` Out 1: no answer of the host is to come.
    - ``reading`` Out 1: a read of the host is in flight, or would wait for the end of a quarantine.
    - ``moves`` Out 1: a chain is being walked or taken apart.
    - ``waiting`` Out 1: a queue waits for a visit.

    Errors: ``ValueError`` when there are not tags enough.
    """

    def __init__(
        self,
        config: DeviceConfig,
        tags: Mapping[str, TagRange] | None = None,
        ring: RingFormat = FORMATS["split"],
        paced: bool = False,
    ):
        self._config = config
        self._paced = paced
        self._format = ring
        self._kinds = walker_readers(config, ring)
        self._tables = walker_tables(ring)
        if tags is None:
            ranges = allocate_tags([kind.tags for kind in self._kinds])
            tags = {kind.name: given for kind, given in zip(self._kinds, ranges, strict=True)}
        self._tags = tags
        width = config.data_width
        super().__init__(
            {
                "doorbells": In(stream_of(Doorbell)),
                **{name: Out(QueueRead()) for name in self._tables},
                "clear": In(QueueClear()),
                "restore": In(QueueRestore()),
                "halt": In(1),
                "abort": In(1),
                "stop": In(1),
                "flush": In(1),
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
                **({"timeout_step": In(1)} if config.pci.timeout_ranges else {}),
                "fail": Out(1),
                "unexpected": Out(1),
                "unclaimed": Out(1),
                "unsupported": Out(1),
                "aborted": Out(1),
                "timed_out": Out(1),
                "idle": Out(1),
                "departed": Out(1),
                "answered": Out(1),
                "reading": Out(1),
                "moves": Out(1),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        config, width = self._config, self._config.data_width
        # A chain that is as long as its queue, and others beside it.
        depth = config.queue_size + min(config.queue_size, _MOST_BESIDE) + 2 * config.chains
        # What a flush resets. The readers forget their clients then, but not the tags that are in use.
        flushed = ResetInserter(self.flush)
        m.submodules.scheduler = flushed(scheduler := Scheduler(config.queues))
        m.submodules.doorbells = flushed(doorbells := StreamMerge(Doorbell, 2))
        m.submodules.ring = flushed(ring := self._format.component(config))
        decoder = self._format.decoder()
        descriptors = DescriptorFetch(
            width,
            config.queue_size,
            config.chains,
            depth,
            config.ring_tags,
            decoder=decoder,
            brings=self._format.brings,
        )
        m.submodules.descriptors = flushed(descriptors)
        m.submodules.segments = flushed(segments := SegmentStore(depth))
        m.submodules.dispatch = flushed(dispatch := ChainDispatch(config.chains))
        m.submodules.gather = flushed(gather := Gather(width, config.max_read_request, config.read_tags))
        m.submodules.scatter = flushed(scatter := Scatter(width))
        function = self.function

        # A queue that the format wants to be visited again goes before the driver's doorbells.
        connect(m, ring.revisits, doorbells.i0)
        connect(m, flipped(self.doorbells), doorbells.i1)
        connect(m, doorbells.o, scheduler.doorbells)
        connect(m, scheduler.visits, ring.visits)
        connect(m, ring.heads, descriptors.heads)
        if self._format.brings:
            connect(m, descriptors.brought, ring.brought)
        connect(m, descriptors.chains, dispatch.chains)
        connect(m, dispatch.gather, gather.chains)
        connect(m, dispatch.scatter, scatter.chains)
        connect(m, dispatch.function, flipped(function.chains))
        connect(m, gather.readable, flipped(function.readable))
        connect(m, flipped(function.replies), scatter.replies)
        connect(m, scatter.completed, ring.completed)
        connect(m, ring.interrupts, flipped(self.interrupts))

        self._segments(m, segments, descriptors, gather, scatter)
        tables = [*(getattr(ring, f"{name}_table") for name in self._format.tables), descriptors.table]
        for name, table in zip(self._tables, tables, strict=True):
            connect(m, table, flipped(getattr(self, name)))
        for stage in (scheduler, ring):
            connect(m, flipped(self.clear), stage.clear)
        connect(m, flipped(self.restore), ring.restore)
        clients = {kind.name: getattr(ring, f"{kind.name}_read") for kind in self._format.readers(config)}
        clients |= {"descriptor": descriptors.read, PAYLOAD: gather.read}
        held = Signal()
        if self._paced:
            held = self._pace(m, flushed, clients, scheduler, dispatch, scatter)
        readers, ordered, arbiter = self._readers(m, clients)
        writes = (getattr(ring, f"{name}_writes") for name in self._format.writes)
        posted = self._posted(m, (scatter.writes, *writes, *ordered), ring.bound)

        self._settings(m, scheduler, ring, decoder, descriptors, gather, scatter)
        behind = (descriptors, dispatch, gather, scatter)
        stages = (scheduler, ring, *behind, arbiter, *readers, *posted)
        failures = (ring.fail, descriptors.fail, *(reader.failed for reader in readers))
        m.d.comb += [
            scheduler.halt.eq(self.halt | held),
            function.halt.eq(self.halt),
            function.forget.eq(self.flush),
            ring.quiet.eq(reduce(and_, (stage.idle for stage in behind))),
            ring.hold.eq(scatter.writes.valid),
            descriptors.available.eq(segments.available),
            # The segment store is ready some cycles after a reset; until then no chain can have begun.
            self.idle.eq(reduce(and_, (stage.idle for stage in stages)) & function.idle),
            self.reading.eq(reduce(or_, (~reader.idle | reader.quarantined for reader in readers))),
            self.moves.eq(segments.moves),
            self.waiting.eq(scheduler.waiting),
            self.fail.eq((reduce(or_, failures) & ~self.stop) | posted[-1].dropped),
        ]
        self._rest(m, readers, arbiter, posted)
        return m

    def _settings(
        self,
        m: Any,
        scheduler: Any,
        ring: Any,
        decoder: Any,
        descriptors: Any,
        gather: Any,
        scatter: Any,
    ) -> None:
        """What the driver and the host have chosen, and what the ring says of its visits and guesses."""
        m.d.comb += [
            ring.halt.eq(self.halt),
            ring.max_read_request.eq(self.max_read_request),
            ring.carried.eq(scheduler.carried),
            ring.next.eq(scheduler.next),
            ring.features.eq(self.features),
            ring.msix_enable.eq(self.msix_enable),
            decoder.features.eq(self.features),
            descriptors.confirm.eq(ring.confirm),
            descriptors.withdraw.eq(ring.withdraw),
            descriptors.indirect.eq(self.features[Feature.INDIRECT_DESC]),
            descriptors.max_read_request.eq(self.max_read_request),
            gather.max_read_request.eq(self.max_read_request),
            scatter.max_payload.eq(self.max_payload),
        ]

    def _pace(self, m: Any, flushed: Any, clients: dict[str, Any], *stages: Any) -> Any:
        """Of many queues: payload leaves room for reads of rings, and visits wait for batches, which the
        result says."""
        scheduler, dispatch, scatter = stages
        config, read = self._config, clients[PAYLOAD]
        window = ReadWindow(config.data_width, config.max_read_request, config.read_tags)
        m.submodules.read_window = flushed(window)
        m.submodules.pace = flushed(pace := VisitPace())
        large = Signal()
        with m.If(pace.begun):
            m.d.sync += large.eq(dispatch.chains.payload.readable >= _LARGE_BYTES)
        connect(m, read, window.port)
        clients[PAYLOAD] = window.read
        m.d.comb += [
            window.open.eq(large & ~pace.several),
            pace.begun.eq(dispatch.chains.valid & dispatch.chains.ready),
            pace.completed.eq(scatter.completed.valid & scatter.completed.ready),
            pace.visited.eq(scheduler.visits.valid & scheduler.visits.ready),
            pace.queue.eq(scheduler.visits.payload.queue),
            pace.payload.eq(read.data.valid | scatter.writes.valid),
        ]
        return pace.hold

    def _segments(self, m: Any, segments: Any, descriptors: Any, gather: Any, scatter: Any) -> None:
        """Who takes segments from the store, reads them, and gives them back."""
        connect(m, segments.allocate, descriptors.allocate)
        connect(m, descriptors.write, segments.write)
        connect(m, descriptors.link, segments.link)
        connect(m, descriptors.drops, segments.drops)
        connect(m, gather.segments, segments.read0)
        connect(m, gather.frees, segments.free0)
        connect(m, scatter.segments, segments.read1)
        connect(m, scatter.frees, segments.free1)

    def _rest(self, m: Any, readers: list[Any], arbiter: Any, posted: tuple[Any, ...]) -> None:
        """Whether all has departed, and is answered."""
        # What waits at the posted mux does not depart under ``stop``. An ordered read is withdrawn there.
        mux, buffer, gate = posted
        free = [reader for reader, kind in zip(readers, self._kinds, strict=True) if not kind.ordered]
        asking = reduce(or_, (reader.requests.valid for reader in free))
        m.d.comb += [
            self.departed.eq(~asking & arbiter.idle & ~mux.o.valid & buffer.quiet & gate.idle),
            self.answered.eq(reduce(and_, (reader.answered for reader in readers))),
        ]

    def _readers(self, m: Any, clients: dict[str, Any]) -> tuple[list[Any], list[Any], Any]:
        """A reader for each client, the router of their completions, and the arbiter of their requests.

        Gives the readers, the requests of those that are ordered, and the arbiter.
        """
        config, width = self._config, self._config.data_width
        free = sum(not kind.ordered for kind in self._kinds)
        m.submodules.completion_router = router = CompletionRouter(
            width, [self._tags[kind.name] for kind in self._kinds]
        )
        m.submodules.read_arbiter = arbiter = PacketArbiter(request_beat(width), free)
        connect(m, flipped(self.completions), router.i)
        readers, ordered = [], []
        stepped = config.pci.timeout_ranges
        for n, kind in enumerate(self._kinds):
            reader = DmaReader(
                width, self._tags[kind.name], kind.slot_bytes, config.completion_timeout, stepped
            )
            m.submodules[f"{kind.name}_reader"] = reader
            readers.append(reader)
            connect(m, clients[kind.name], reader.port)
            connect(m, getattr(router, f"o{n}"), reader.completions)
            m.d.comb += [
                reader.abort.eq(self.abort | self.stop),
                reader.flush.eq(self.flush),
                reader.extended_tags.eq(self.extended_tags),
            ]
            if stepped:
                m.d.comb += reader.timeout_step.eq(self.timeout_step)
            if kind.ordered:
                ordered.append(reader.requests)
                continue
            requests = reader.requests
            if kind.name == PAYLOAD:
                # While others have their turn at the link, payload is asked for without a pause.
                m.submodules.payload_requests = waiting = ElasticBuffer(request_beat(width))
                connect(m, requests, waiting.i)
                requests = waiting.o
            connect(m, requests, getattr(arbiter, f"i{n}"))
        connect(m, arbiter.o, flipped(self.reads))
        m.d.comb += [
            self.unclaimed.eq(router.unexpected),
            *(
                getattr(self, name).eq(reduce(or_, (getattr(reader, name) for reader in readers)))
                for name in ("unexpected", "unsupported", "aborted", "timed_out")
            ),
        ]
        return readers, ordered, arbiter

    def _posted(self, m: Any, sources: tuple[Any, ...], bound: Any) -> tuple[Any, ...]:
        """Everything that must stay in order, in whole packets; ``bound`` is about the second source."""
        width = self._config.data_width
        beats = 2 * self._config.max_payload * 8 // width
        flushed = ResetInserter(self.flush)
        m.submodules.posted_mux = flushed(mux := PostedMux(width, len(sources)))
        m.submodules.posted_buffer = flushed(buffer := PacketBuffer(width, max(beats, 4)))
        m.submodules.posted_gate = flushed(gate := PostedGate(width))
        for n, source in enumerate(sources):
            sink, waits = getattr(mux, f"i{n}"), self.stop & source.p.first & (~bound if n == 1 else 1)
            m.d.comb += [
                sink.p.eq(source.p),
                sink.valid.eq(source.valid & ~waits),
                source.ready.eq(sink.ready & ~waits),
            ]
        connect(m, mux.o, buffer.i)
        connect(m, buffer.o, gate.i)
        connect(m, gate.o, flipped(self.posted))
        m.d.comb += gate.abort.eq(self.abort)
        return mux, buffer, gate
