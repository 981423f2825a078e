"""How many descriptors a chain probably has: as many as the one before, if they stood side by side."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ...component import Component
from .lines import MOST_READ

__all__ = ["SHORTEST", "ExpectedLength"]

SHORTEST = 3
"""Chains below that share the lines of their descriptors with each other."""


class ExpectedLength(Component):
    """Remembers how long the last chain was that ended in the descriptor area of a queue.

    A driver that makes its requests all of one kind, side by side, has chains of one length; each is then one
    read, where lines would be two if the chain crosses from one into another. What is expected is no more
    than that: a chain may be longer, shorter, or elsewhere.

    Latency: 2 cycles from an end to ``length``.
    """

    ends: In(1)
    """A chain ends with descriptor ``last``."""
    nested: In(1)
    """That stands in an indirect table, so of the chain one descriptor is in the queue's."""
    first: In(16)
    """The first descriptor of the chain."""
    last: In(16)
    length: Out(range(MOST_READ + 1))
    """0, or ``SHORTEST`` to ``MOST_READ`` descriptors."""

    def elaborate(self, platform):
        m: Any = Module()
        ended, nested, apart = Signal(), Signal(), Signal(16)
        m.d.sync += [ended.eq(self.ends), nested.eq(self.nested), apart.eq(self.last - self.first)]
        near = ~nested & (apart >= SHORTEST - 1) & (apart < MOST_READ)
        with m.If(ended):
            m.d.sync += self.length.eq(Mux(near, apart + 1, 0))
        return m
