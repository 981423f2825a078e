"""The device with probes: its streams between stages, brought out. The device itself is as it is."""

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Fragment, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from ringwalker.component import Component
from ringwalker.queue.walker import RingWalker
from ringwalker.streams import QUEUE_BITS, stream_of

from .stages import STAGES, Item
from .words import ITEM_WORDS, LANE_WORDS, StageKind

__all__ = ["ProbedDevice"]

_WORD = 32
_ID_BITS = 16


def _parts(fragment: Fragment) -> Iterator[Any]:
    """All components that are below ``fragment``."""
    for part, _name, _place in fragment.subfragments:
        yield from part.origins or ()
        yield from _parts(part)


def _walkers(fragment: Fragment) -> Iterator[tuple[RingWalker, list[Any]]]:
    """The ring walkers, in the order of the lanes, with the components that each is made of."""
    for part, _name, _place in fragment.subfragments:
        walker = next((item for item in part.origins or () if isinstance(item, RingWalker)), None)
        if walker is None:
            yield from _walkers(part)
        else:
            yield walker, [walker, *_parts(part)]


class ProbedDevice(Component):
    """``device`` with all its ports, and what its walkers do in ``lanes`` lanes.

    Members beside those of ``device``: ``probes`` Out stream of ``lanes * LANE_WORDS`` words of 32 bits. It
    is valid when a flag is set, and does not wait. A lane has a word of flags, one for each
    :class:`.StageKind`, and for each of these two words: the queue in bits 9:0 and the id in bits 25:10, and
    a number.
    """

    def __init__(self, device: wiring.Component, lanes: int):
        self._device = device
        self._lanes = lanes
        shape = unsigned(_WORD * lanes * LANE_WORDS)
        super().__init__({**dict(device.signature.members), "probes": Out(stream_of(shape))})

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.device = device = Fragment.get(self._device, platform)
        words, flags = [], []
        for walker, parts in _walkers(device):
            fired, items = self._lane(m, [walker, *parts])
            flags.append(fired)
            words += [fired, *items]
        assert len(flags) == self._lanes, f"{len(flags)} lanes, not {self._lanes}"
        m.d.comb += [self.probes.payload.eq(Cat(words)), self.probes.valid.eq(reduce(or_, flags) != 0)]
        for name in self._device.signature.members:
            self._pass(m, name)
        return m

    def _lane(self, m: Any, parts: list[Any]) -> tuple[Any, list[Any]]:
        """The flags of a lane that is made of ``parts``, and its items."""
        fired: Any = Signal(_WORD)
        found: list[list[Item]] = [[] for _ in StageKind]
        for stage in STAGES:
            block = next((part for part in parts if type(part) is stage.block), None)
            if block is not None:
                found[stage.kind].append(self._settled(m, stage.see(block)))
        items = []
        for kind, seen in enumerate(found):
            item: Any = Signal(_WORD * ITEM_WORDS)
            items.append(item)
            value: Any = 0
            for one in seen:
                queue, chain, number = Signal(QUEUE_BITS), Signal(_ID_BITS), Signal(_WORD)
                m.d.comb += [queue.eq(one.queue), chain.eq(one.id), number.eq(one.number)]
                whole: Any = Cat(queue, chain, Const(0, _WORD - QUEUE_BITS - _ID_BITS), number)
                value = Mux(one.fires, whole, value) if len(seen) > 1 else whole
            if seen:
                fires: Any = reduce(or_, (one.fires for one in seen))
                m.d.comb += [item.eq(value), fired[kind].eq(fires)]
        return fired, items

    def _settled(self, m: Any, item: Item) -> Item:
        """``item``, in the cycle in which its values are there."""
        if not item.later:
            return item
        fires, queue = Signal(), Signal(QUEUE_BITS)
        m.d.sync += [fires.eq(item.fires), queue.eq(item.queue)]
        return Item(fires, queue, item.id, item.number)

    def _pass(self, m: Any, name: str) -> None:
        """The member ``name`` of the device is ours."""
        member, inner, outer = (
            self._device.signature.members[name],
            getattr(self._device, name),
            getattr(self, name),
        )
        if member.is_signature:
            wiring.connect(m, inner, wiring.flipped(outer))
        else:
            m.d.comb += inner.eq(outer) if member.flow is wiring.In else outer.eq(inner)
