"""The split ring as the ring walker sees it: its blocks joined. Wiring only. Ref: virtio 1.4, 2.7.

```
          visits                                                       completed
             ▼                                                             ▼
      AvailIndexFetch ── begun ──► Speculation                        UsedWriter ──► used_writes
             │ snapshots            ▲       │                              │ used
             ▼                      │       │                              ▼
      AvailRingFetch ── entries ────┘       └──► heads              UsedNotification ──► interrupts
             │ polls                                                       │ reads
             └───────► AvailEvent ──► event_writes    reads ──► ordered_read
```
"""

from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import connect, flipped

from ...component import Component
from ...config import DeviceConfig
from ...dma.shared_reads import SharedReads
from ...merge import StreamMerge
from ...spec.features import Feature
from ...streams import QUEUE_BITS, Doorbell
from ..ring.limits import LINE_BYTES, visits_in_flight
from ..ring.ring_format import ReaderKind, RingFormat, ring_members
from .avail_event import AvailEvent
from .avail_index import AvailIndexFetch
from .avail_ring import AvailRingFetch
from .descriptors import SplitDecoder
from .speculation import Speculation
from .used_notification import UsedNotification
from .used_writer import UsedWriter

__all__ = ["SPLIT", "SplitRing"]

_TABLES = ("index", "entry", "used", "notification", "event")
_WRITES = ("used", "event")

_WORD_BYTES = 16
"""The slot of a reader of two bytes at a time."""


def _readers(config: DeviceConfig) -> tuple[ReaderKind, ...]:
    """Of indices and of single entries; of runs of entries; of flags and indices behind writes."""
    visits, word = visits_in_flight(config), max(_WORD_BYTES, config.data_width // 8)
    return (
        ReaderKind("index", visits, word),
        ReaderKind("entry", visits, max(LINE_BYTES, config.data_width // 8)),
        ReaderKind("ordered", visits, word, ordered=True),
    )


class SplitRing(Component):
    """The split ring, with the members of :func:`~..ring_format.ring_members`.

    Latency: 2 cycles from a visit to the read of its index, and 1 from the answer to the read of the entries;
    1 from that to a head. 4 from a completed chain to the write of its element.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        readers = [reader.name for reader in _readers(config)]
        super().__init__(ring_members(config.data_width, readers, _TABLES, _WRITES))

    def elaborate(self, platform):
        m: Any = Module()
        width, queues, visits = self._config.data_width, self._config.queues, visits_in_flight(self._config)
        m.submodules.index = index = AvailIndexFetch(width, visits)
        m.submodules.entries = entries = AvailRingFetch(width, queues, visits)
        m.submodules.speculation = speculation = Speculation(width, queues)
        m.submodules.used = used = UsedWriter(width, queues)
        m.submodules.notification = notification = UsedNotification(
            width, queues, visits, self._config.has_legacy
        )
        m.submodules.event = event = AvailEvent(width, visits)
        m.submodules.index_reads = index_reads = SharedReads(width, 2 * visits)
        m.submodules.ordered_reads = ordered_reads = SharedReads(width, 2 * visits)
        m.submodules.revisits = revisits = StreamMerge(Doorbell, 3)

        connect(m, flipped(self.visits), index.visits)
        connect(m, index.snapshots, entries.snapshots)
        connect(m, entries.heads, speculation.i)
        connect(m, speculation.o, flipped(self.heads))
        connect(m, entries.polls, event.polls)
        connect(m, event.revisits, revisits.i0)
        connect(m, entries.revisits, revisits.i1)
        connect(m, revisits.o, flipped(self.revisits))
        connect(m, flipped(self.completed), used.completed)
        connect(m, used.used, notification.used)
        connect(m, notification.interrupts, flipped(self.interrupts))

        connect(m, speculation.read, index_reads.port0)
        connect(m, index.read, index_reads.port1)
        connect(m, index_reads.read, flipped(self.index_read))
        connect(m, entries.read, flipped(self.entry_read))
        connect(m, notification.read, ordered_reads.port0)
        connect(m, event.read, ordered_reads.port1)
        connect(m, ordered_reads.read, flipped(self.ordered_read))
        connect(m, used.writes, flipped(self.used_writes))
        connect(m, event.writes, flipped(self.event_writes))
        tables = zip(_TABLES, (index, entries, used, notification, event), strict=True)
        for name, block in tables:
            connect(m, block.table, flipped(getattr(self, f"{name}_table")))
        self._restore(m, revisits.i2, entries, used, notification)

        event_idx = self.features[Feature.EVENT_IDX]
        blocks = (index, entries, speculation, used, notification, event, index_reads, ordered_reads)
        m.d.comb += [
            index.carried.eq(self.carried),
            index.next.eq(self.next),
            index.hold.eq(speculation.hold),
            entries.event_idx.eq(event_idx),
            used.in_order.eq(self.features[Feature.IN_ORDER]),
            notification.event_idx.eq(event_idx),
            notification.msix_enable.eq(self.msix_enable),
            *self._speculate(index, entries, speculation),
            self.fail.eq(reduce(or_, (block.fail for block in (entries, notification, event)))),
            self.idle.eq(reduce(and_, (block.idle for block in blocks))),
        ]
        if self._config.has_legacy:
            m.d.comb += notification.notify_on_empty.eq(self.features[Feature.NOTIFY_ON_EMPTY])
        # Used elements are gathered while payload waits for the same link, and while it is still being looked
        # up whether the driver is to be notified of the batch before.
        m.d.sync += used.hold.eq(self.hold | ~notification.idle)
        return m

    def _restore(self, m: Any, revisits: Any, entries: Any, used: Any, notification: Any) -> None:
        """Positions are cleared, or, a cycle after ``restore``, become the used index that was published."""
        connect(m, flipped(self.clear), notification.clear)
        connect(m, flipped(self.restore), notification.restore)
        clear, restored, queue = self.clear, Signal(), Signal(QUEUE_BITS)
        m.d.sync += [restored.eq(self.restore.en), queue.eq(self.restore.index)]
        m.d.comb += [revisits.valid.eq(restored), revisits.p.queue.eq(queue)]
        for block in (entries, used):
            m.d.comb += [
                block.clear.en.eq(clear.en | restored),
                block.clear.index.eq(Mux(restored, queue, clear.index)),
                block.clear.position.eq(Mux(restored, notification.published, clear.position)),
            ]

    def _speculate(self, index: Any, entries: Any, speculation: Any) -> list[Any]:
        """What speculation looks at, and what comes of it."""
        return [
            speculation.quiet.eq(self.quiet & entries.idle & ~index.snapshots.valid),
            speculation.look.eq(index.table.en),
            speculation.look_queue.eq(index.table.index),
            speculation.begun.eq(index.begun),
            speculation.row.eq(index.table.row),
            entries.ahead.en.eq(index.table.en),
            entries.ahead.index.eq(index.table.index),
            speculation.position.eq(entries.ahead.position),
            speculation.decided.eq(entries.decided),
            speculation.ended.eq(entries.ended),
            self.confirm.eq(speculation.confirm),
            self.withdraw.eq(speculation.withdraw),
        ]


SPLIT = RingFormat(SplitRing, SplitDecoder, _readers, _TABLES, _WRITES, features=1 << Feature.IN_ORDER)
"""The split ring."""
