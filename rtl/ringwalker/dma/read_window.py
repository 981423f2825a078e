"""How many reads of payload are in flight: enough to keep the link busy, not all that there are tags for."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ..component import Component
from ..interfaces import DmaReadPort

__all__ = ["PROBE_CYCLES", "SLACK_BEATS", "ReadWindow"]

SLACK_BEATS = 16
"""Beats that are in flight beyond nine for each eight cycles that the host takes."""

PROBE_CYCLES = 1 << 20
"""After so many with reads in flight the host's latency is measured anew, with nothing else in flight."""

_LATENCY_BITS = 14
_FRACTION = 2


class ReadWindow(Component):
    """Passes reads on while few enough beats are in flight that the answer to any other read comes soon.

    A link brings a beat a cycle at most. So with more beats in flight than the host has cycles of latency
    they wait for the link, and what is read of rings and descriptors waits behind them, though it decides
    what is read next. The latency is the mean of reads that were asked for while nothing was in flight; until
    the first of them all reads pass, and while ``open``.

    Parameters: ``data_width`` (W); ``slot_bytes``, the longest read; ``reads``, how many the reader has in
    flight at most.

    Members:

    - ``port`` In(DmaReadPort(W)): the client. Ready of its requests follows from registers and that of
      ``read``.
    - ``read`` Out(DmaReadPort(W)): the reader.
    - ``open`` In 1: what else is read does not matter.

    Latency: none.
    """

    def __init__(self, data_width: int, slot_bytes: int, reads: int):
        self._beat_bytes = data_width // 8
        self._beat_shift = self._beat_bytes.bit_length() - 1
        self._most = reads * -(-slot_bytes * 8 // data_width)
        super().__init__(
            {
                "port": In(DmaReadPort(data_width)),
                "read": Out(DmaReadPort(data_width)),
                "open": In(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        requests, data, inner = self.port.requests, self.port.data, self.read.requests
        connect(m, flipped(self.read.data), flipped(data))
        flight, following = Signal(range(self._most + 1)), Signal(range(self._most + 1))
        beats, room, offered, asked, arrived = (
            Signal.like(flight),
            Signal(init=1),
            Signal(),
            Signal(),
            Signal(),
        )
        offset = requests.payload.address[:2]
        m.d.comb += [
            beats.eq((offset + requests.payload.length + self._beat_bytes - 1) >> self._beat_shift),
            inner.payload.eq(requests.payload),
            inner.valid.eq(requests.valid & (room | offered)),
            requests.ready.eq(inner.ready & (room | offered)),
            asked.eq(inner.valid & inner.ready),
            arrived.eq(data.valid & data.ready),
            following.eq(flight + Mux(asked, beats, 0) - arrived),
        ]
        mean, known = self._latency(m, asked & (flight == 0), arrived)
        window = Signal(_LATENCY_BITS + 1)
        probing, since = Signal(), Signal(range(PROBE_CYCLES))
        m.d.sync += [
            # What was offered stays, though there is no more room.
            offered.eq(inner.valid & ~inner.ready),
            flight.eq(following),
            room.eq((~known | self.open | (following < window)) & ~probing),
            window.eq(mean + (mean >> 3) + SLACK_BEATS),
        ]
        with m.If(flight == 0):
            m.d.sync += probing.eq(0)
        with m.Else():
            m.d.sync += since.eq(since + 1)
            with m.If(since == PROBE_CYCLES - 1):
                m.d.sync += probing.eq(1)
        return m

    def _latency(self, m: Any, begins: Any, ends: Any) -> tuple[Any, Any]:
        """The mean of the last latencies, of which a new one counts a quarter; whether there is one."""
        measuring, cycles, known = Signal(), Signal(_LATENCY_BITS), Signal()
        total = Signal(_LATENCY_BITS + _FRACTION)
        mean = total[_FRACTION:]
        with m.If(measuring & ends):
            m.d.sync += [
                measuring.eq(0),
                known.eq(1),
                total.eq(Mux(known, total - mean + cycles, cycles << _FRACTION)),
            ]
        with m.Elif(measuring & ~cycles.all()):
            m.d.sync += cycles.eq(cycles + 1)
        with m.If(begins):
            m.d.sync += [measuring.eq(1), cycles.eq(1)]
        return mean, known
