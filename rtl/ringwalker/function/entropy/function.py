"""The entropy device: random bytes for whoever has room for them. Ref: virtio 1.4, 5.4."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...config import DeviceConfig
from ...interfaces import ChainPort
from ...streams import stream_of

__all__ = ["PACKET_BYTES", "EntropyFunction", "entropy_ports"]

PACKET_BYTES = 128
"""Bytes that are collected before any of them leaves: as many as the smallest maximum payload carries."""


def entropy_ports(config: DeviceConfig) -> dict[str, Any]:
    """What of the entropy function the whole device passes on."""
    return {"noise": In(stream_of(config.data_width))}


class EntropyFunction(Component):
    """Fills the device-writable bytes of every chain with what comes on ``noise``.

    Members (W is ``config.data_width``):

    - ``chain`` In(ChainPort(W)): chains of queue 0
    - ``noise`` In stream of W bits, of which each is as good as any other
    - ``active`` Out 1: noise is being taken

    Noise is taken whenever there is room for ``PACKET_BYTES`` of it, and none is given out twice. A packet
    begins once all of its bytes are there, so it never waits for the source halfway. While ``chain.halt`` is
    up, a chain ends with the packets that it has. Device-readable bytes, which no driver may
    offer here, are dropped before the chain is answered.

    Latency: 2 cycles from chain to reply if there is noise; one beat a cycle, and 1 cycle a packet beside.
    Ref: virtio 1.4, 5.4.6.
    """

    def __init__(self, config: DeviceConfig):
        self._width = config.data_width
        super().__init__(
            {"chain": In(ChainPort(config.data_width)), **entropy_ports(config), "active": Out(1)}
        )

    def elaborate(self, platform):
        m: Any = Module()
        beat_bytes = self._width // 8
        depth = PACKET_BYTES // beat_bytes
        m.submodules.collected = collected = SyncFIFOBuffered(width=self._width, depth=depth)
        chains, replies = self.chain.chains, self.chain.replies
        # Of the chain: bytes given, and bytes that it has room for beside. Of the packet: bytes to go.
        given, room, left = Signal(32), Signal(32), Signal(range(PACKET_BYTES + 1))
        length, needed, enough = Signal.like(left), Signal(range(depth + 1)), Signal()
        packet = replies.p
        m.d.comb += [
            collected.w_data.eq(self.noise.p),
            collected.w_en.eq(self.noise.valid),
            self.noise.ready.eq(collected.w_rdy),
            self.active.eq(self.noise.valid & self.noise.ready),
            length.eq(Mux(room > PACKET_BYTES, PACKET_BYTES, room)),
            needed.eq((length + beat_bytes - 1) >> (beat_bytes - 1).bit_length()),
            enough.eq(collected.level >= needed),
            packet.data.eq(collected.r_data),
            packet.count.eq(Mux(left > beat_bytes, beat_bytes, left)),
            packet.last.eq(left <= beat_bytes),
            packet.offset.eq(given),
        ]
        with m.FSM():
            with m.State("WAIT_CHAIN"):
                m.d.comb += [chains.ready.eq(1), self.chain.idle.eq(1)]
                m.d.sync += [given.eq(0), room.eq(chains.p.writable)]
                with m.If(chains.valid):
                    m.next = "WAIT_NOISE"
                    with m.If(chains.p.readable != 0):
                        m.next = "WAIT_READABLE"
            with m.State("WAIT_READABLE"):
                # The host is not read of a chain that has been given back.
                m.d.comb += self.chain.readable.ready.eq(1)
                with m.If(self.chain.readable.valid & self.chain.readable.p.last):
                    m.next = "WAIT_NOISE"
            with m.State("WAIT_NOISE"):
                halt = self.chain.halt
                m.d.sync += [
                    packet.first.eq(1),
                    packet.length.eq(Mux(halt, 0, length)),
                    packet.done.eq(halt | (room <= PACKET_BYTES)),
                    packet.written.eq(given + Mux(halt, 0, length)),
                    left.eq(Mux(halt, 0, length)),
                ]
                with m.If(enough | halt):
                    m.next = "WAIT_REPLY"
            with m.State("WAIT_REPLY"):
                m.d.comb += [replies.valid.eq(1), collected.r_en.eq(replies.ready & (left != 0))]
                with m.If(replies.ready):
                    m.d.sync += [packet.first.eq(0), left.eq(left - packet.count)]
                    with m.If(packet.last):
                        m.d.sync += [given.eq(packet.written), room.eq(room - packet.length)]
                        m.next = "WAIT_NOISE"
                        with m.If(packet.done):
                            m.next = "WAIT_CHAIN"
        return m
