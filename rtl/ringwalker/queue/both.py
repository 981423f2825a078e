"""Split and packed rings in one device: the driver chooses. Wiring only.

Ref: virtio 1.4, 6 (VIRTIO_F_RING_PACKED).
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import connect, flipped

from ..component import Component
from ..config import DeviceConfig
from ..spec.features import Feature
from .chain.descriptor import DescriptorDecoder
from .packed.descriptors import PackedDecoder
from .packed.ring import PACKED
from .ring.ring_format import ReaderKind, RingFormat, ring_members
from .split.descriptors import SplitDecoder
from .split.ring import SPLIT

__all__ = ["BOTH", "BothDecoder", "BothRings"]

_SHARED = {"poll": "entry"}
"""Readers and tables of the packed ring that go through ports of the split ring with other names."""

_INPUTS = (
    "carried",
    "next",
    "quiet",
    "hold",
    "features",
    "msix_enable",
    "max_read_request",
    "halt",
)


def _readers(config: DeviceConfig) -> tuple[ReaderKind, ...]:
    """Those of the split ring, which the packed ring uses as well; each is as large as one of them wants."""
    packed = {_SHARED.get(kind.name, kind.name): kind for kind in PACKED.readers(config)}
    kinds = []
    for kind in SPLIT.readers(config):
        other = packed.get(kind.name, kind)
        slot = max(kind.slot_bytes, other.slot_bytes)
        kinds.append(ReaderKind(kind.name, max(kind.tags, other.tags), slot, kind.ordered))
    return tuple(kinds)


class BothDecoder(Component):
    """What a descriptor means depends on ``features``. The members are those of DescriptorDecoder, flipped.

    Latency: none.
    """

    def __init__(self):
        super().__init__(DescriptorDecoder().flip())

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.split = split = SplitDecoder()
        m.submodules.packed = packed = PackedDecoder()
        for decoder in (split, packed):
            m.d.comb += [
                getattr(decoder, name).eq(getattr(self, name)) for name in ("raw", "index", "size", "nested")
            ]
        chosen = self.features[Feature.RING_PACKED]
        m.d.comb += self.descriptor.eq(
            Mux(chosen, Value.cast(packed.descriptor), Value.cast(split.descriptor))
        )
        return m


class BothRings(Component):
    """The format that was negotiated, with the members of :func:`~.ring.ring_format.ring_members`.

    Latency: that of the format.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        readers = [reader.name for reader in _readers(config)]
        super().__init__(ring_members(config.data_width, readers, SPLIT.tables, SPLIT.writes, brings=True))
        self._packed = Signal()

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.split = split = SPLIT.component(self._config)
        m.submodules.packed = packed = PACKED.component(self._config)
        m.d.comb += self._packed.eq(self.features[Feature.RING_PACKED])
        for ring in (split, packed):
            m.d.comb += [getattr(ring, name).eq(getattr(self, name)) for name in _INPUTS]
            m.d.comb += [
                Value.cast(getattr(getattr(ring, port), name)).eq(getattr(getattr(self, port), name))
                for port, names in (("clear", ("en", "index", "position")), ("restore", ("en", "index")))
                for name in names
            ]
        for name in ("visits", "completed"):
            self._inward(m, getattr(self, name), getattr(split, name), getattr(packed, name))
        for name in ("heads", "revisits", "interrupts"):
            self._outward(m, getattr(self, name), getattr(split, name), getattr(packed, name))
        self._ports(m, split, packed)
        connect(m, flipped(self.brought), packed.brought)
        m.d.comb += [
            self.confirm.eq(split.confirm),
            self.withdraw.eq(split.withdraw),
            self.bound.eq(packed.bound),
            self.fail.eq(split.fail | packed.fail),
            self.idle.eq(split.idle & packed.idle),
        ]
        return m

    def _ports(self, m: Any, split: Any, packed: Any) -> None:
        """Reads, posted writes, and reads of the queue table; some of the split ring's are its alone."""
        others = {_SHARED.get(name, name): name for name in PACKED.tables}
        for name in SPLIT.tables:
            mine, first = getattr(self, f"{name}_table"), getattr(split, f"{name}_table")
            m.d.comb += [mine.en.eq(first.en), mine.index.eq(first.index), first.row.eq(mine.row)]
            if name in others:
                second = getattr(packed, f"{others[name]}_table")
                with m.If(self._packed):
                    m.d.comb += [mine.en.eq(second.en), mine.index.eq(second.index)]
                m.d.comb += second.row.eq(mine.row)
        readers = {_SHARED.get(kind.name, kind.name): kind.name for kind in PACKED.readers(self._config)}
        for kind in SPLIT.readers(self._config):
            mine, first = getattr(self, f"{kind.name}_read"), getattr(split, f"{kind.name}_read")
            if kind.name not in readers:
                connect(m, first, flipped(mine))
                continue
            second = getattr(packed, f"{readers[kind.name]}_read")
            self._outward(m, mine.requests, first.requests, second.requests)
            self._inward(m, mine.data, first.data, second.data)
        for name in SPLIT.writes:
            streams = (getattr(ring, f"{name}_writes") for ring in (self, split, packed))
            self._outward(m, *streams)

    def _inward(self, m: Any, mine: Any, split: Any, packed: Any) -> None:
        """What comes on ``mine`` goes to the format that was negotiated."""
        m.d.comb += [
            Value.cast(split.payload).eq(mine.payload),
            Value.cast(packed.payload).eq(mine.payload),
            split.valid.eq(mine.valid & ~self._packed),
            packed.valid.eq(mine.valid & self._packed),
            mine.ready.eq(Mux(self._packed, packed.ready, split.ready)),
        ]

    def _outward(self, m: Any, mine: Any, split: Any, packed: Any) -> None:
        """What the format that was negotiated gives goes out on ``mine``."""
        m.d.comb += [
            Value.cast(mine.payload).eq(
                Mux(self._packed, Value.cast(packed.payload), Value.cast(split.payload))
            ),
            mine.valid.eq(Mux(self._packed, packed.valid, split.valid)),
            split.ready.eq(mine.ready & ~self._packed),
            packed.ready.eq(mine.ready & self._packed),
        ]


BOTH = RingFormat(
    BothRings,
    BothDecoder,
    _readers,
    SPLIT.tables,
    SPLIT.writes,
    brings=True,
    features=SPLIT.features | PACKED.features,
)
"""Either of the two."""
