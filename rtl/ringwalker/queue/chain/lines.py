"""Where descriptors come from: whole cache lines of a table, held until every chain took its own."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ...buffers import StreamFifo
from ...component import Component
from ...dma.run_reader import RunReader
from ...interfaces import DmaReadPort
from ...spec.ring import DESC_BYTES
from ...streams import stream_of
from ..ring.limits import LINE_BYTES
from .descriptor import TABLE_BITS, DescriptorTable

__all__ = [
    "MOST_READ",
    "RANGE_BYTES",
    "SLOT_BITS",
    "DescriptorLines",
    "DescriptorRange",
    "DescriptorRequest",
    "line_of",
]

SLOT_BITS = 7
"""Width of the number of a chain that is being walked: up to 128."""

_LINE = LINE_BYTES // DESC_BYTES
_BANKS = 2

MOST_READ = 4 * _LINE
"""The most descriptors that are read at once."""

RANGE_BYTES = MOST_READ * DESC_BYTES
"""The most bytes that are read at once."""


def line_of(table_address: Any, index: Any) -> Any:
    """The number of the cache line that descriptor ``index`` of a queue is in, up to a constant."""
    return (table_address[4 : (LINE_BYTES - 1).bit_length()] + index)[(_LINE - 1).bit_length() :]


class DescriptorRequest(data.Struct):
    """Asks for descriptor ``index`` of ``table``, which must be in it, and for some around it.

    ``nested``: it is an indirect table. ``length``, if it is not 0: a chain of so many descriptors probably
    begins there. ``slot``, ``lap`` and ``group`` come back with the answer.
    """

    slot: unsigned(SLOT_BITS)
    lap: unsigned(1)
    group: unsigned(1)
    nested: unsigned(1)
    length: range(MOST_READ + 1)
    index: unsigned(16)
    table: DescriptorTable


class DescriptorRange(data.Struct):
    """``count`` descriptors of a table, from number ``first`` on, which were asked for because of ``index``.

    ``error``: they could not be read. The rest is as in the request.
    """

    slot: unsigned(SLOT_BITS)
    lap: unsigned(1)
    group: unsigned(1)
    index: unsigned(16)
    first: unsigned(16)
    count: unsigned((MOST_READ).bit_length())
    error: unsigned(1)


class _Choice(data.Struct):
    """Descriptor ``index`` of the table at ``address``, ``before`` in front of it, and from it on as many as
    there are ``left`` and as there is ``room`` for."""

    slot: unsigned(SLOT_BITS)
    lap: unsigned(1)
    group: unsigned(1)
    index: unsigned(16)
    address: unsigned(64)
    before: range(_LINE)
    left: unsigned(TABLE_BITS)
    room: range(MOST_READ + 1)


_TAGS = ("slot", "lap", "group", "index")
"""What goes with a request from beginning to end."""


class DescriptorLines(Component):
    """Fetches descriptors, several at a time. Ref: virtio 1.4, 2.7.5.

    Of the descriptor area of a queue it reads the 64-byte line that the descriptor is in, as far as that
    belongs to the area, or as many as the chain has that probably begins there; of an indirect table, which
    may be anywhere, up to 16 descriptors from the wanted one on.

    Parameters: ``data_width`` in bits; ``reads``, how many requests are in flight at most.

    Members (W is ``data_width``):

    - ``requests`` In stream of DescriptorRequest.
    - ``ranges`` Out stream of DescriptorRange, in the order of the requests.
    - ``position`` In, ``raw`` Out: the descriptor with this number, from ``first``, of the range that is
      offered, combinationally.
    - ``read`` Out(DmaReadPort(W)): reads of up to 256 bytes, cut at multiples of ``max_read_request`` In 13,
      bytes, if that is less.
    - ``idle`` Out 1: no request is in flight.

    The read is requested 4 cycles after the request was taken, and a range is offered 4 cycles after its last
    data. One request a cycle, a beat a cycle.
    """

    def __init__(self, data_width: int, reads: int):
        self._width = data_width
        self._reads = reads
        super().__init__(
            {
                "requests": In(stream_of(DescriptorRequest)),
                "ranges": Out(stream_of(DescriptorRange)),
                "position": In(range(MOST_READ)),
                "raw": Out(8 * DESC_BYTES),
                "read": Out(DmaReadPort(data_width)),
                "max_read_request": In(13),
                "idle": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.reader = reader = RunReader(self._width, self._reads + 1, RANGE_BYTES)
        m.submodules.in_flight = in_flight = StreamFifo(DescriptorRange, self._reads)
        connect(m, reader.read, flipped(self.read))
        entry, run = in_flight.i.payload, reader.runs.payload
        chosen: Any = Signal(_Choice)
        context: Any = Signal(DescriptorRange)
        taken, asked, moves = Signal(), Signal(), Signal()
        first, count = Signal(16), Signal.like(chosen.room)
        m.d.comb += [
            first.eq(chosen.index - chosen.before),
            count.eq(Mux(chosen.left < chosen.room, chosen.left, chosen.room) + chosen.before),
            reader.runs.valid.eq(asked & in_flight.i.ready),
            in_flight.i.valid.eq(asked & reader.runs.ready),
            entry.eq(context),
            moves.eq(~asked | (reader.runs.ready & in_flight.i.ready)),
            self.requests.ready.eq(~taken | moves),
            run.last.eq(1),
        ]
        m.d.sync += reader.limit.eq(
            Mux(self.max_read_request < RANGE_BYTES, self.max_read_request, RANGE_BYTES)
        )
        with m.If(self.requests.ready):
            m.d.sync += taken.eq(self.requests.valid)
            self._choose(m, chosen)
        with m.If(moves):
            m.d.sync += [
                asked.eq(taken),
                run.address.eq(chosen.address + (first << (DESC_BYTES - 1).bit_length())),
                run.length.eq(count << (DESC_BYTES - 1).bit_length()),
                *(context[key].eq(chosen[key]) for key in _TAGS),
                context.first.eq(first),
                context.count.eq(count),
            ]
        held = self._hold(m, reader, in_flight)
        m.d.comb += self.idle.eq(~taken & ~asked & reader.idle & in_flight.idle & ~held)
        return m

    def _choose(self, m: Any, chosen: Any) -> None:
        """How many descriptors to read in front of the wanted one, and how many from it on."""
        request, bits = self.requests.payload, (_LINE - 1).bit_length()
        in_line = (request.table.address[4 : 4 + bits] + request.index)[:bits]
        begins = request.nested | (request.length != 0)
        in_area = Mux(request.length != 0, request.length, _LINE - in_line)
        m.d.sync += [
            *(chosen[key].eq(request[key]) for key in _TAGS),
            chosen.address.eq(request.table.address),
            chosen.before.eq(Mux(begins, 0, Mux(request.index < in_line, request.index, in_line))),
            chosen.left.eq(request.table.size - request.index),
            chosen.room.eq(Mux(request.nested, MOST_READ, in_area)),
        ]

    def _hold(self, m: Any, reader: RunReader, in_flight: StreamFifo) -> Any:
        """Two banks of descriptors: one is filled while the other is shown. Gives whether any is in use."""
        bits = 8 * DESC_BYTES
        width = max(bits, self._width)
        parts, lanes = width // self._width, width // bits
        rows = MOST_READ // lanes
        memory: Any = Memory(shape=unsigned(width), depth=_BANKS * rows, init=[])
        m.submodules.held = memory
        write, look = memory.write_port(granularity=self._width), memory.read_port(domain="comb")
        filling, showing, full = Signal(), Signal(), Signal(range(_BANKS + 1))
        beat = Signal(range(rows * parts))
        failed: Any = Signal(_BANKS)
        beats, put, taken = reader.o, Signal(), Signal()
        part_bits, lane_bits = (parts - 1).bit_length(), (lanes - 1).bit_length()
        m.d.comb += [
            beats.ready.eq(full != _BANKS),
            put.eq(beats.valid & beats.ready & beats.payload.last),
            taken.eq(self.ranges.valid & self.ranges.ready),
            write.addr.eq(Cat(beat[part_bits:], filling)),
            write.data.eq(beats.payload.data.replicate(parts)),
            write.en.eq(Mux(beats.valid & beats.ready, Const(1, parts) << beat[:part_bits], 0)),
            look.addr.eq(Cat(self.position[lane_bits:], showing)),
            self.raw.eq(look.data.word_select(self.position[:lane_bits], bits)),
            self.ranges.valid.eq(full != 0),
            self.ranges.payload.eq(in_flight.o.payload),
            self.ranges.payload.error.eq(failed.bit_select(showing, 1)),
            in_flight.o.ready.eq(taken),
        ]
        m.d.sync += full.eq(full + put - taken)
        with m.If(beats.valid & beats.ready):
            m.d.sync += beat.eq(Mux(beats.payload.last, 0, beat + 1))
        with m.If(put):
            m.d.sync += [filling.eq(~filling), failed.bit_select(filling, 1).eq(beats.payload.error)]
        with m.If(taken):
            m.d.sync += showing.eq(~showing)
        return full != 0
