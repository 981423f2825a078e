"""The lane of frames to send and of control commands: tells them apart, and answers them in order."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum
from amaranth.lib.wiring import In, Out, connect, flipped

from ...apart import ResetInserter
from ...buffers import StreamFifo
from ...component import Component
from ...config import DeviceConfig
from ...interfaces import ChainPort
from ...spec.net import MAC_BYTES, NET_CONFIG, NET_CONTROL_QUEUE
from ...streams import byte_beat, stream_of
from .control import NetControl
from .device_config import RX_MODE_BITS
from .transmit import NetTransmit
from .types import SHORTEST_FRAME, header_bytes

__all__ = ["NetOutgoing"]

_CHAINS = 16
"""Chains that were taken and are not finished, at most."""


class _Answer(enum.Enum, shape=2):
    """How a chain comes to its end."""

    NOTHING = 0
    """It is finished already."""
    FRAME = 1
    COMMAND = 2


class NetOutgoing(Component):
    """Transmit and control chains in, frames out.

    Members (W is ``config.data_width``):

    - ``chain`` In(ChainPort(W)): of both queues
    - ``tx`` Out stream of byte_beat(W): frames to the MAC
    - ``image`` In: as in :class:`~.control.NetControl`, and so are the next six
    - ``set_mac`` Out 1
    - ``new_mac`` Out 48
    - ``set_mode`` Out
    - ``new_mode`` Out 1
    - ``set_table`` Out 1
    - ``new_table`` Out
    - ``legacy`` In 1, if ``config`` has a legacy face: as in :class:`~.transmit.NetTransmit`

    A transmit chain is a header and a frame. It is finished with ``written`` 0 once the MAC has the frame but
    for its last beat. Frames shorter than ``SHORTEST_FRAME`` or longer than ``config.settings.frame_bytes``
    are dropped. :class:`~.transmit.NetTransmit` says what ``halt`` and ``forget`` do to frames. A beat a
    cycle, no gaps between frames.

    Ref: virtio 1.4, 5.1.6.2.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        width = config.data_width
        super().__init__(
            {
                "chain": In(ChainPort(width)),
                "tx": Out(stream_of(byte_beat(width))),
                "image": In(8 * NET_CONFIG.size),
                "set_mac": Out(1),
                "new_mac": Out(8 * MAC_BYTES),
                "set_mode": Out(RX_MODE_BITS),
                "new_mode": Out(1),
                "set_table": Out(1),
                "new_table": Out(RX_MODE_BITS),
                **({"legacy": In(1)} if config.has_legacy else {}),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        width = self._config.data_width
        m.submodules.transmit = transmit = NetTransmit(width, self._config.has_legacy)
        flushed = ResetInserter(self.chain.forget)
        m.submodules.control = flushed(control := NetControl(width))
        m.submodules.order = flushed(order := StreamFifo(data.StructLayout({"answer": _Answer}), _CHAINS))
        connect(m, transmit.tx, flipped(self.tx))
        m.d.comb += [
            transmit.halt.eq(self.chain.halt),
            transmit.forget.eq(self.chain.forget),
            control.image.eq(self.image),
            *(
                getattr(self, name).eq(getattr(control, name))
                for name in ("set_mac", "new_mac", "set_mode", "new_mode", "set_table", "new_table")
            ),
        ]
        if self._config.has_legacy:
            m.d.comb += transmit.legacy.eq(self.legacy)
        self._divide(m, transmit, control, order)
        self._answer(m, transmit, control, order)
        self._count_chains(m)
        return m

    def _divide(self, m: Any, transmit: Any, control: Any, order: Any) -> None:
        """A chain stays at the head until its packet has passed, and says where that goes."""
        chains, readable = self.chain.chains, self.chain.readable
        info, free = chains.p, order.i.ready
        header = header_bytes(self.legacy if self._config.has_legacy else None)
        longest = header + self._config.settings.frame_bytes
        to_control, has_packet, discard = Signal(), Signal(), Signal()
        m.d.comb += [
            to_control.eq(info.queue == NET_CONTROL_QUEUE),
            has_packet.eq(info.readable != 0),
            discard.eq((info.readable < header + SHORTEST_FRAME) | (info.readable > longest)),
            transmit.i.p.beat.eq(readable.p),
            transmit.i.p.discard.eq(discard),
            control.chains.p.eq(info),
            control.readable.p.eq(readable.p),
            order.i.valid.eq(chains.valid & chains.ready),
        ]
        with m.If(to_control):
            m.d.comb += [
                control.chains.valid.eq(chains.valid & free),
                control.readable.valid.eq(readable.valid & chains.valid),
                readable.ready.eq(control.readable.ready & chains.valid),
                chains.ready.eq(control.chains.ready & free),
                order.i.p.answer.eq(_Answer.COMMAND),
            ]
        with m.Else():
            m.d.comb += [
                transmit.i.valid.eq(chains.valid & has_packet & readable.valid & free),
                readable.ready.eq(chains.valid & has_packet & transmit.i.ready & free),
                chains.ready.eq(free & (~has_packet | (readable.valid & readable.p.last & transmit.i.ready))),
                order.i.p.answer.eq(_Answer.FRAME),
            ]
            with m.If(discard):
                m.d.comb += order.i.p.answer.eq(_Answer.NOTHING)

    def _answer(self, m: Any, transmit: Any, control: Any, order: Any) -> None:
        """Frames and commands end on their own; the replies are in the order of the chains."""
        replies, head = self.chain.replies, order.o
        finished = Signal(range(_CHAINS + 2))
        used = Signal()
        m.d.sync += finished.eq(Mux(self.chain.forget, 0, finished + transmit.finished - used))
        with m.If(head.p.answer == _Answer.COMMAND):
            m.d.comb += [
                replies.p.eq(control.replies.p),
                replies.valid.eq(control.replies.valid & head.valid),
                control.replies.ready.eq(replies.ready & head.valid),
                head.ready.eq(replies.ready & control.replies.valid & control.replies.p.last),
            ]
        with m.Else():
            is_frame = head.p.answer == _Answer.FRAME
            ended = ~is_frame | (finished != 0)
            m.d.comb += [
                replies.p.first.eq(1),
                replies.p.last.eq(1),
                replies.p.done.eq(1),
                replies.valid.eq(head.valid & ended),
                head.ready.eq(replies.ready & ended),
                used.eq(head.valid & head.ready & is_frame),
            ]

    def _count_chains(self, m: Any) -> None:
        """``idle``: every chain that was taken is finished. Those not taken yet are not held here."""
        chains, replies = self.chain.chains, self.chain.replies
        held = Signal(range(_CHAINS + 2))
        taken = chains.valid & chains.ready
        done = replies.valid & replies.ready & replies.p.last & replies.p.done
        m.d.sync += held.eq(Mux(self.chain.forget, 0, held + taken - done))
        m.d.comb += self.chain.idle.eq(held == 0)
