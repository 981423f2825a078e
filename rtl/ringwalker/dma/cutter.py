"""Cuts runs of guest memory into the requests of TLPs."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..streams import stream_of

__all__ = ["LONGEST_RUN", "Cutter", "Piece", "Run"]

LONGEST_RUN = (1 << 32) - 1
"""The most bytes that a run can have."""


class Run(data.Struct):
    """``length`` bytes of guest memory from ``address`` on.

    - ``last``: the run is the last of its list or packet.
    - ``done``: goes with the last piece of the run.
    """

    address: unsigned(64)
    length: unsigned(32)
    last: unsigned(1)
    done: unsigned(1)


class Piece(data.Struct):
    """A part of a run that fits one TLP.

    ``last`` and ``done`` are those of the run in its last piece, and 0 in the others.
    """

    address: unsigned(64)
    length: unsigned(13)
    last: unsigned(1)
    done: unsigned(1)


class Cutter(Component):
    """Cuts runs into pieces that touch at most ``limit`` bytes of whole dwords, none across 4 KiB.

    A run that is such a piece stays whole. Of any other run all pieces but the first start at a multiple of
    ``limit``. A run of length 0 gives one piece of length 0.

    Parameters: ``longest``, the most bytes that a run has.

    Members:

    - ``i`` In stream of Run.
    - ``limit`` In 13: bytes, a power of two up to 4096. A change takes effect with the next run.
    - ``o`` Out stream of Piece.
    - ``idle`` Out 1: nothing is held.

    Latency: 2 cycles. Throughput: a piece a cycle.
    Errors: ``ValueError`` unless ``longest`` is from 1 to LONGEST_RUN.
    Ref: PCI Express Base Specification 3.1, 2.2.7 (no request crosses 4 KiB).
    """

    def __init__(self, longest: int = LONGEST_RUN):
        if not 0 < longest <= LONGEST_RUN:
            raise ValueError(f"longest must be from 1 to {LONGEST_RUN}, not {longest!r}")
        self._length_bits = longest.bit_length()
        super().__init__(
            {
                "i": In(stream_of(Run)),
                "limit": In(13),
                "o": Out(stream_of(Piece)),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        run: Any = Signal(Run)
        busy, mask, room = Signal(), Signal(12), Signal(13)
        incoming_mask, incoming_room, incoming = Signal(12), Signal(13), self.i.p
        left = Signal(self._length_bits)
        ends, free, whole = Signal(), Signal(), Signal()  # ends: what is left of the run fits into ``room``
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            incoming_mask.eq(self.limit - 1),
            incoming_room.eq((~incoming.address[:12] & incoming_mask) + Const(1, 13)),
            left.eq(run.length - room),
            whole.eq(
                (incoming.length[13:] == 0)
                & (incoming.length[:13] + incoming.address[:2] <= self.limit)
                & (incoming.length[:13] + incoming.address[:12] <= 4096)
            ),
            self.i.ready.eq(~busy | (free & ends)),
            self.idle.eq(~busy & ~self.o.valid),
        ]
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(busy),
                self.o.p.address.eq(run.address),
                self.o.p.length.eq(Mux(ends, run.length, room)),
                self.o.p.last.eq(run.last & ends),
                self.o.p.done.eq(run.done & ends),
                run.address.eq((run.address | mask) + 1),
                run.length.eq(left),
                room.eq(mask + Const(1, 13)),
                ends.eq(left <= mask + Const(1, 13)),
            ]
        with m.If(self.i.ready):
            m.d.sync += [
                busy.eq(self.i.valid),
                run.eq(self.i.p),
                mask.eq(incoming_mask),
                room.eq(incoming_room),
                ends.eq(whole | (incoming.length <= incoming_room)),
            ]
        return m
