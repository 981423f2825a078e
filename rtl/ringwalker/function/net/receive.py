"""Gives received frames to chains: joins the two, puts the header in front, and answers."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ...apart import ResetInserter
from ...buffers import StreamFifo
from ...component import Component
from ...dma.byte_packer import BytePacker
from ...interfaces import ChainPort
from ...spec.net import LEGACY_NET_HEADER_BYTES, NetHeader
from ...streams import stream_of
from .types import HEADER_BYTES, LENGTH_BITS, NetJob, NetReplyHeader, header_bytes

__all__ = ["NetReceive"]

_JOBS = 4
_ANSWERS = 8


class NetReceive(Component):
    """Frames in, answers to receive chains out.

    Members (W is ``data_width``):

    - ``chain`` In(ChainPort(W)): of the receive queue
    - ``lengths`` In stream, ``data`` In stream of W bits, ``flushing`` In 1: as ``lengths``, ``o`` and
      ``flushing`` of :class:`~.frame_buffer.NetFrameBuffer`
    - ``undersized`` Out 1: a pulse for each frame that was dropped because its chain had no room
    - ``active`` Out 1: a frame is being dropped for which no chain waits
    - ``legacy`` In 1, with ``has_legacy``: the header has no ``num_buffers``

    Parameters: ``data_width``; ``has_legacy``: there may be a legacy driver.

    A chain is taken when there is a frame for it, and answered with one packet: header and frame. One without
    room is finished with ``written`` 0, and its frame dropped. A chain that has device-readable bytes is
    finished with ``written`` 0 once they have come, and while ``halt`` is up every chain is; frames stay for
    later chains. While ``flushing`` is up frames are dropped and chains wait. ``chain.forget`` drops the
    frames that chains were taken for.

    Latency: 6 cycles from a length to the first beat of the answer. A beat a cycle, and one (two at 64 bits)
    a frame beside. The answer takes as many, unless the header fits the rest of the frame's last beat.

    Ref: virtio 1.4, 5.1.6.3 and 5.1.6.4.
    """

    def __init__(self, data_width: int, has_legacy: bool = False):
        self._width = data_width
        super().__init__(
            {
                "chain": In(ChainPort(data_width)),
                "lengths": In(stream_of(LENGTH_BITS)),
                "data": In(stream_of(data_width)),
                "flushing": In(1),
                "undersized": Out(1),
                "active": Out(1),
                **({"legacy": In(1)} if has_legacy else {}),
            }
        )
        self._legacy = self.legacy if has_legacy else None

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.jobs = jobs = StreamFifo(NetJob, _JOBS)
        flushed = ResetInserter(self.chain.forget)
        m.submodules.answers = flushed(answers := StreamFifo(NetReplyHeader, _ANSWERS))
        m.submodules.packer = flushed(packer := BytePacker(self._width))
        self._join(m, jobs)
        self._work(m, jobs.o, packer.i, answers.i, self._void(m, jobs))
        self._reply(m, packer.o, answers.o)
        held = self._count_chains(m)
        m.d.comb += self.active.eq(~jobs.idle & (held == 0))
        return m

    def _join(self, m: Any, jobs: StreamFifo) -> None:
        """Make jobs. What is to be done may change until there is room for it; the FIFO does not mind."""
        chains, readable, lengths = self.chain.chains, self.chain.readable, self.lengths
        job, free = jobs.i.p, jobs.i.ready
        fits, spoiled = Signal(), Signal()
        m.d.comb += [
            fits.eq(chains.p.writable >= lengths.p + header_bytes(self._legacy)),
            spoiled.eq(chains.valid & (chains.p.readable != 0)),
            job.length.eq(lengths.p),
            job.answer.eq(chains.ready),
            job.frame.eq(lengths.ready),
            job.deliver.eq(lengths.ready & chains.ready & fits),
            jobs.i.valid.eq((chains.valid & chains.ready) | (lengths.valid & lengths.ready)),
            self.undersized.eq(lengths.ready & chains.ready & ~fits),
        ]
        with m.If(spoiled):
            m.d.comb += [
                readable.ready.eq(free),
                chains.ready.eq(free & readable.valid & readable.p.last),
            ]
        with m.Elif(self.chain.halt & chains.valid):
            m.d.comb += chains.ready.eq(free)
        with m.Elif(self.flushing):
            m.d.comb += lengths.ready.eq(free & lengths.valid)
        with m.Else():
            m.d.comb += [
                chains.ready.eq(free & chains.valid & lengths.valid),
                lengths.ready.eq(free & chains.valid & lengths.valid),
            ]

    def _void(self, m: Any, jobs: StreamFifo) -> Any:
        """Whether the oldest job is of a chain that was forgotten: of it only the frame is left to drop."""
        waiting, following, void = (Signal(range(_JOBS + 1)) for _ in range(3))
        gone = jobs.o.valid & jobs.o.ready
        m.d.comb += following.eq(waiting + (jobs.i.valid & jobs.i.ready) - gone)
        m.d.sync += waiting.eq(following)
        with m.If(self.chain.forget):
            m.d.sync += void.eq(following)
        with m.Elif(gone & (void != 0)):
            m.d.sync += void.eq(void - 1)
        return void != 0

    def _work(self, m: Any, jobs: Any, pieces: Any, answers: Any, void: Any) -> None:
        """Header and data of frames to the packer; for each chain what its answer is going to be."""
        beat_bytes = self._width // 8
        header = NetHeader.const({"num_buffers": 1}).as_value()
        whole, rest = divmod(HEADER_BYTES, beat_bytes)
        shorter = HEADER_BYTES - LEGACY_NET_HEADER_BYTES
        # The short part first: while it fills no beat of the answer, the rest of the frame before can leave.
        parts = [rest] * (rest > 0) + [beat_bytes] * whole
        left, part = Signal(LENGTH_BITS), Signal(range(max(len(parts), 2)))
        last = left <= beat_bytes
        job = jobs.p
        m.d.comb += answers.p.length.eq(Mux(job.deliver, job.length + header_bytes(self._legacy), 0))
        with m.FSM():
            with m.State("WAIT_JOB"):
                m.d.sync += left.eq(job.length)
                ready = answers.ready | ~job.answer | void
                with m.If(jobs.valid & job.deliver & ~void):
                    with m.Switch(part):
                        for number, count in enumerate(parts):
                            with m.Case(number):
                                start = 8 * sum(parts[:number])
                                m.d.comb += [
                                    pieces.p.data.eq(header[start : start + 8 * count]),
                                    pieces.p.count.eq(count),
                                ]
                                if self._legacy is not None:
                                    with m.If(self._legacy):
                                        m.d.comb += pieces.p.data.eq(0)
                                        if number == 0:
                                            m.d.comb += pieces.p.count.eq(count - shorter)
                    final = part == len(parts) - 1
                    m.d.comb += [
                        pieces.valid.eq(~final | answers.ready),
                        answers.valid.eq(final & pieces.ready),
                    ]
                    with m.If(pieces.valid & pieces.ready):
                        m.d.sync += part.eq(Mux(final, 0, part + 1))
                        with m.If(final):
                            m.next = "PASS_FRAME"
                with m.Elif(jobs.valid):
                    m.d.comb += answers.valid.eq(job.answer & ~void)
                    with m.If(ready & job.frame):
                        m.next = "DROP_FRAME"
                    with m.Elif(ready):
                        m.d.comb += jobs.ready.eq(1)
            with m.State("PASS_FRAME"):
                m.d.comb += [
                    pieces.p.data.eq(self.data.p),
                    pieces.p.count.eq(Mux(last, left, beat_bytes)),
                    pieces.p.last.eq(last),
                    pieces.valid.eq(self.data.valid & ~void),
                    self.data.ready.eq(pieces.ready | void),
                ]
                self._next_beat(m, left, last, jobs)
            with m.State("DROP_FRAME"):
                m.d.comb += self.data.ready.eq(1)
                self._next_beat(m, left, last, jobs)
        with m.If(self.chain.forget):
            m.d.sync += part.eq(0)

    def _next_beat(self, m: Any, left: Any, last: Any, jobs: Any) -> None:
        with m.If(self.data.valid & self.data.ready):
            m.d.sync += left.eq(left - self._width // 8)
            with m.If(last):
                m.d.comb += jobs.ready.eq(1)
                m.next = "WAIT_JOB"

    def _reply(self, m: Any, frames: Any, answers: Any) -> None:
        replies, length = self.chain.replies, answers.p.length
        m.d.comb += [replies.p.length.eq(length), replies.p.written.eq(length), replies.p.done.eq(1)]
        with m.If(length == 0):
            m.d.comb += [
                replies.p.first.eq(1),
                replies.p.last.eq(1),
                replies.valid.eq(answers.valid),
                answers.ready.eq(replies.ready),
            ]
        with m.Else():
            m.d.comb += [
                *(replies.p[name].eq(frames.p[name]) for name in ("data", "count", "first", "last")),
                replies.valid.eq(answers.valid & frames.valid),
                frames.ready.eq(answers.valid & replies.ready),
                answers.ready.eq(frames.valid & replies.ready & frames.p.last),
            ]

    def _count_chains(self, m: Any) -> Any:
        """``idle``: every chain that was taken is finished. How many are not."""
        chains, replies = self.chain.chains, self.chain.replies
        held = Signal(range(_JOBS + _ANSWERS + 2))
        taken = chains.valid & chains.ready
        done = replies.valid & replies.ready & replies.p.last
        m.d.sync += held.eq(Mux(self.chain.forget, 0, held + taken - done))
        m.d.comb += self.chain.idle.eq(held == 0)
        return held
