"""TLPs as they are on a bus of raw dwords: the header, and right behind it the payload."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..streams import stream_of

__all__ = ["RawPacker", "RawUnpacker", "raw_beat", "raw_packet_beat"]

_HEADER_DWORDS = 4


def raw_beat(data_width: int) -> data.StructLayout:
    """A beat of raw dwords from bit 0 up; ``dwords`` has a one for each that there is."""
    return data.StructLayout(
        {"data": unsigned(data_width), "dwords": data_width // 32, "first": 1, "last": 1}
    )


def raw_packet_beat(data_width: int) -> data.StructLayout:
    """A beat of payload beside its raw header: dword 0 of the header is in bits 31:0. ``dwords`` as in
    :func:`~ringwalker.spec.tlp.request_beat`: a packet without payload is one beat.
    """
    return data.StructLayout(
        {
            "header": unsigned(32 * _HEADER_DWORDS),
            "data": unsigned(data_width),
            "dwords": data_width // 32,
            "first": 1,
            "last": 1,
        }
    )


def header_dwords(dword0: Any) -> Any:
    """3 or 4, by the format in the first dword."""
    return Mux(dword0[29], Const(4, 3), Const(3, 3))


class _Dwords:
    """Dwords on their way from beats to beats: at most ``room`` of them, ``count`` at the moment."""

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.room = 2 * max(lanes, _HEADER_DWORDS)
        self.count: Any = Signal(range(self.room + 1), name="count")
        self.words: Any = Signal(32 * self.room, name="words")

    def step(self, m: Any, taken: Any, added: Any, beat: Any) -> None:
        """In this cycle ``taken`` dwords leave, and behind what is left come ``added`` of ``beat``."""
        left, kept = Signal.like(self.count), Signal.like(self.words)
        m.d.comb += [left.eq(self.count - taken), kept.eq(self.words >> (taken << 5))]
        mask = (Const(1, self.room + 1) << left) - 1
        clean: Any = Cat(Mux(mask[n], kept[32 * n : 32 * n + 32], 0) for n in range(self.room))
        m.d.sync += [
            self.count.eq(left + added),
            self.words.eq(clean | (Mux(added == 0, 0, beat) << (left << 5))),
        ]


class RawPacker(Component):
    """Puts the header of each packet before its payload.

    Members (W is ``data_width``):

    - ``i`` In stream of raw_packet_beat(W)
    - ``o`` Out stream of raw_beat(W)
    - ``idle`` Out 1: nothing is held

    Latency: 1 cycle. Throughput: a beat a cycle, and a cycle for each packet.
    """

    def __init__(self, data_width: int):
        self._width = data_width
        super().__init__(
            {
                "i": In(stream_of(raw_packet_beat(data_width))),
                "o": Out(stream_of(raw_beat(data_width))),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        lanes = self._width // 32
        held = _Dwords(lanes)
        count, first, ended = held.count, Signal(init=1), Signal()
        taken, added, beat = Signal.like(count), Signal.like(count), Signal(max(self._width, 128))
        leaves, fits, of_beat = Signal(), Signal(), Signal.like(count)
        i, o = self.i, self.o
        m.d.comb += [
            of_beat.eq(sum(i.p.dwords[n] for n in range(lanes))),
            # A full beat waits until it is known whether it is the last one.
            o.valid.eq((count > lanes) | (ended & (count != 0))),
            o.p.data.eq(Cat(Mux(count > n, held.words[32 * n : 32 * n + 32], 0) for n in range(lanes))),
            o.p.dwords.eq(Cat(count > n for n in range(lanes))),
            o.p.first.eq(first),
            o.p.last.eq(ended & (count <= lanes)),
            leaves.eq(o.valid & o.ready),
            taken.eq(Mux(leaves, Mux(count < lanes, count, lanes), 0)),
            fits.eq((count <= lanes) | (leaves & (count <= 2 * lanes))),
        ]
        held.step(m, taken, added, beat)
        with m.If(leaves):
            m.d.sync += first.eq(0)
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("WAIT_PACKET"))
            with m.State("WAIT_PACKET"):
                m.d.comb += [added.eq(Mux(i.valid, header_dwords(i.p.header), 0)), beat.eq(i.p.header)]
                m.d.sync += [first.eq(1), ended.eq(0)]
                with m.If(i.valid):
                    m.next = "TAKE_PAYLOAD"
            with m.State("TAKE_PAYLOAD"):
                m.d.comb += [i.ready.eq(fits & ~ended), beat.eq(i.p.data)]
                with m.If(i.valid & i.ready):
                    m.d.comb += added.eq(of_beat)
                    m.d.sync += ended.eq(i.p.last)
                with m.If(leaves & o.p.last):
                    m.next = "WAIT_PACKET"
        return m


class RawUnpacker(Component):
    """Parts the header of each packet from its payload.

    The payload is as long as the header says: of a packet that ends before, the rest is what was there, and
    what one has beyond that is dropped.

    Members (W is ``data_width``):

    - ``i`` In stream of raw_beat(W)
    - ``o`` Out stream of raw_packet_beat(W)
    - ``cut`` In 1: nothing more comes of the packet that is being taken, as if it had ended
    - ``idle`` Out 1: nothing is held; so it is in at least one cycle after each packet

    Latency: 2 cycles from the last dword of the header. Throughput: a beat a cycle, and two for each packet.
    """

    def __init__(self, data_width: int):
        self._width = data_width
        super().__init__(
            {
                "i": In(stream_of(raw_beat(data_width))),
                "o": Out(stream_of(raw_packet_beat(data_width))),
                "cut": In(1),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        lanes = self._width // 32
        held = _Dwords(lanes)
        count, header, left = held.count, Signal(128), Signal(11)
        taken, added, beat = Signal.like(count), Signal.like(count), Signal(self._width)
        ended, fits, want, leaves, of_beat = Signal(), Signal(), Signal(11), Signal(), Signal.like(count)
        i, o = self.i, self.o
        dword0 = held.words[:32]
        length = Cat(dword0[:10], dword0[:10] == 0)
        m.d.comb += [
            of_beat.eq(sum(i.p.dwords[n] for n in range(lanes))),
            want.eq(Mux(left < lanes, left, lanes)),
            beat.eq(i.p.data),
            o.p.header.eq(header),
            o.p.data.eq(Cat(Mux(want > n, held.words[32 * n : 32 * n + 32], 0) for n in range(lanes))),
            o.p.dwords.eq(Cat(want > n for n in range(lanes))),
            o.p.last.eq(left <= lanes),
            leaves.eq(o.valid & o.ready),
            fits.eq((count < lanes) | (leaves & (count < 2 * lanes))),
        ]
        with m.If(i.valid & i.ready):
            m.d.comb += added.eq(of_beat)
            m.d.sync += ended.eq(i.p.last)
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("WAIT_HEADER") & (count == 0))
            with m.State("WAIT_HEADER"):
                enough = (count != 0) & (count >= header_dwords(dword0))
                m.d.comb += i.ready.eq(~enough & ~ended & (count < _HEADER_DWORDS))
                with m.If(self.cut):
                    m.d.comb += [taken.eq(count), i.ready.eq(0)]
                    m.d.sync += ended.eq(0)
                with m.Elif(enough | (ended & (count != 0))):
                    m.d.comb += taken.eq(Mux(count < header_dwords(dword0), count, header_dwords(dword0)))
                    m.d.sync += [header.eq(held.words[:128]), left.eq(Mux(dword0[30], length, 0))]
                    m.d.sync += o.p.first.eq(1)
                    m.next = "GIVE_PAYLOAD"
            with m.State("GIVE_PAYLOAD"):
                with m.If(self.cut):
                    m.d.sync += ended.eq(1)
                m.d.comb += [
                    i.ready.eq(fits & ~ended),
                    o.valid.eq((count >= want) | ended),
                    taken.eq(Mux(leaves, Mux(count < want, count, want), 0)),
                ]
                with m.If(leaves):
                    m.d.sync += [o.p.first.eq(0), left.eq(left - want)]
                    with m.If(o.p.last):
                        m.next = "DROP_REST"
            with m.State("DROP_REST"):
                m.d.comb += [i.ready.eq(~ended), taken.eq(count), added.eq(0)]
                with m.If(ended | self.cut):
                    m.d.sync += ended.eq(0)
                    m.next = "WAIT_HEADER"
        held.step(m, taken, added, beat)
        return m
