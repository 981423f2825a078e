"""Descriptors that were read with the head of their chain, until somebody has looked at them."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...spec.ring import DESC_BYTES
from ...streams import MOST_BROUGHT
from ..ring.brought import BroughtPort

__all__ = ["BroughtDescriptors"]

_DEPTH = 2 * MOST_BROUGHT


class BroughtDescriptors(Component):
    """Holds the descriptors of chains. Those of the newest chain count only when it is ``kept``.

    There is always room for one that has no more than ``MOST_BROUGHT``, sooner or later.
    """

    push: In(1)
    """``raw`` is the next descriptor of the newest chain. Only while there is ``room``."""
    raw: In(8 * DESC_BYTES)
    room: Out(1)
    keep: In(1)
    """The newest chain is whole, with what is pushed in this cycle."""
    drop: In(1)
    """The newest chain is given up, before what is pushed in this cycle."""
    brought: In(BroughtPort())
    idle: Out(1, init=1)
    """No chain that was kept is held."""

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.held = held = Memory(shape=8 * DESC_BYTES, depth=_DEPTH, init=[])
        write: Any = held.write_port()
        look: Any = held.read_port(domain="comb")
        bits = (_DEPTH - 1).bit_length()
        # From the oldest to before ``end``; from ``end`` to before ``next`` it is the newest chain.
        oldest, end, next_ = Signal(bits + 1), Signal(bits + 1), Signal(bits + 1)
        at, after, count = Signal(bits + 1), Signal(bits + 1), Signal(bits + 1)
        with m.If(self.drop):
            m.d.comb += at.eq(end)
        with m.Else():
            m.d.comb += at.eq(next_)
        m.d.comb += [
            after.eq(at + self.push),
            count.eq(next_ - oldest),
            write.addr.eq(at[:bits]),
            write.data.eq(self.raw),
            write.en.eq(self.push),
            self.room.eq(count < _DEPTH),
            look.addr.eq((oldest + self.brought.position)[:bits]),
            self.brought.raw.eq(look.data),
            self.idle.eq(end == oldest),
        ]
        m.d.sync += [next_.eq(after), oldest.eq(oldest + self.brought.release)]
        with m.If(self.keep):
            m.d.sync += end.eq(after)
        return m
