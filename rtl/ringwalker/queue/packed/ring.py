"""The packed ring as the ring walker sees it: its blocks joined. Wiring only. Ref: virtio 1.4, 2.8.

```
          visits                                                  completed
             ▼                                                        ▼
      DescriptorPoll ── requests ──► poll_read                PackedUsedWriter ──► used_writes
        │ ends   ▲ │ reads               │ data                       │ used
        ▼        │ ▼                     ▼                            ▼
   DeviceEvent   └ results ── ChainScan ────► heads, brought   PackedNotification ──► interrupts
        └──► event_writes                                             │ reads
                └────────────────── reads ──► ordered_read ◄──────────┘
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
from ...spec.ring import DESC_BYTES
from ...streams import Doorbell
from ..ring.limits import visits_in_flight
from ..ring.ring_format import ReaderKind, RingFormat, ring_members
from .descriptors import PackedDecoder
from .device_event import DeviceEvent
from .poll import AHEAD, DescriptorPoll
from .reads import READ_DESCRIPTORS
from .scan import ChainScan
from .used_notification import PackedNotification
from .used_writer import PackedUsedWriter

__all__ = ["PACKED", "PackedRing"]

_TABLES = ("poll", "used", "notification", "event")
_WRITES = ("used", "event")

_WORD_BYTES = 16
"""The slot of a reader of four bytes at a time."""


def _polls(config: DeviceConfig) -> int:
    """How many reads of descriptors are in flight at most."""
    return max(visits_in_flight(config), AHEAD)


def _readers(config: DeviceConfig) -> tuple[ReaderKind, ...]:
    """Of descriptors; of event suppression structures and flags behind writes."""
    word = max(_WORD_BYTES, config.data_width // 8)
    return (
        ReaderKind("poll", _polls(config), READ_DESCRIPTORS * DESC_BYTES),
        ReaderKind("ordered", visits_in_flight(config), word, ordered=True),
    )


class PackedRing(Component):
    """The packed ring, with the members of :func:`~..ring_format.ring_members`. It never guesses.

    Latency: 2 cycles from a visit to the read of descriptors, and 4 from the data to a head. 4 from a
    completed chain to the write of its used descriptor.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        readers = [reader.name for reader in _readers(config)]
        super().__init__(ring_members(config.data_width, readers, _TABLES, _WRITES, brings=True))

    def elaborate(self, platform):
        m: Any = Module()
        width, queues, visits = self._config.data_width, self._config.queues, visits_in_flight(self._config)
        m.submodules.poll = poll = DescriptorPoll(queues, _polls(self._config))
        m.submodules.scan = scan = ChainScan(width, queues)
        m.submodules.used = used = PackedUsedWriter(width, queues)
        m.submodules.notification = notification = PackedNotification(width, queues, visits)
        m.submodules.event = event = DeviceEvent(width, visits)
        m.submodules.ordered_reads = ordered_reads = SharedReads(width, 2 * visits)
        m.submodules.revisits = revisits = StreamMerge(Doorbell, 3)

        connect(m, flipped(self.visits), poll.visits)
        connect(m, poll.requests, flipped(self.poll_read.requests))
        connect(m, flipped(self.poll_read.data), scan.data)
        connect(m, poll.reads, scan.reads)
        connect(m, scan.results, poll.results)
        connect(m, scan.heads, flipped(self.heads))
        connect(m, flipped(self.brought), scan.brought)
        connect(m, poll.ends, event.ends)
        connect(m, event.revisits, revisits.i0)
        connect(m, poll.revisits, revisits.i1)
        connect(m, revisits.o, flipped(self.revisits))
        connect(m, flipped(self.completed), used.completed)
        connect(m, used.used, notification.used)
        connect(m, notification.interrupts, flipped(self.interrupts))

        connect(m, notification.read, ordered_reads.port0)
        connect(m, event.read, ordered_reads.port1)
        connect(m, ordered_reads.read, flipped(self.ordered_read))
        connect(m, used.writes, flipped(self.used_writes))
        connect(m, event.writes, flipped(self.event_writes))
        for name, block in zip(_TABLES, (poll, used, notification, event), strict=True):
            connect(m, block.table, flipped(getattr(self, f"{name}_table")))
        self._restore(m, revisits.i2, poll, scan, used, notification)

        event_idx = self.features[Feature.EVENT_IDX]
        blocks = (poll, scan, used, notification, event, ordered_reads)
        m.d.comb += [
            scan.dead.eq(poll.dead),
            poll.halt.eq(self.halt),
            poll.max_read_request.eq(self.max_read_request),
            poll.carried.eq(self.carried),
            poll.next.eq(self.next),
            event.event_idx.eq(event_idx),
            notification.event_idx.eq(event_idx),
            notification.msix_enable.eq(self.msix_enable),
            self.bound.eq(used.bound),
            used.in_order.eq(self.features[Feature.IN_ORDER]),
            self.fail.eq(reduce(or_, (block.fail for block in (scan, notification, event)))),
            self.idle.eq(reduce(and_, (block.idle for block in blocks))),
        ]
        m.d.sync += used.merge.eq(self.hold)
        # Used descriptors are gathered while payload waits for the same link, and while it is still being
        # looked up whether the driver is to be notified of the batch before.
        m.d.sync += used.hold.eq(self.hold | ~notification.idle)
        return m

    def _restore(self, m: Any, revisits: Any, poll: Any, scan: Any, used: Any, notification: Any) -> None:
        """Places are cleared, or, a cycle after ``restore``, become where used descriptors end in memory."""
        connect(m, flipped(self.clear), notification.clear)
        connect(m, flipped(self.restore), notification.restore)
        clear, published, restored = self.clear, notification.published, Signal()
        m.d.sync += restored.eq(self.restore.en)
        m.d.comb += [
            revisits.valid.eq(restored),
            revisits.p.queue.eq(published.queue),
            used.total.eq(Mux(restored, published.total, 0)),
        ]
        for block in (poll, scan, used):
            m.d.comb += [
                block.clear.en.eq(clear.en | restored),
                block.clear.index.eq(Mux(restored, published.queue, clear.index)),
                block.clear.position.eq(Mux(restored, published.place.as_value(), clear.position)),
            ]


PACKED = RingFormat(
    PackedRing,
    PackedDecoder,
    _readers,
    _TABLES,
    _WRITES,
    brings=True,
    features=1 << Feature.RING_PACKED | 1 << Feature.IN_ORDER,
    required=1 << Feature.RING_PACKED,
)
"""The packed ring."""
