"""Accesses to registers as transfers on AXI4-Lite."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import RegisterPort
from ..streams import RegisterRequest
from .axi_ports import AxiLitePort

__all__ = ["AxiLiteMaster"]

_ALL_ONES = 0xFFFF_FFFF


class AxiLiteMaster(Component):
    """Makes a transfer of each access to registers, one after the other.

    A read that ends with an error gives all ones; a write that does has no effect here. A transfer that is
    not answered in ``timeout_cycles`` is given up: its read gives all ones. Until its answer comes after all,
    reads give all ones at once, and writes are dropped.

    Parameters: ``data_width``, 32 or 64 bits; ``base``, added to each offset; ``timeout_cycles``.

    Members:

    - ``registers`` In(RegisterPort())
    - ``bus`` Out(AxiLitePort(data_width))
    - ``idle`` Out 1: no transfer is in flight

    Latency: 1 cycle from an access to its address, 1 from the bus's data to the response.
    Errors: ``ValueError`` for another width.
    Ref: AMBA AXI, IHI 0022E, A3 and B1
    """

    def __init__(self, data_width: int, base: int, timeout_cycles: int):
        if data_width not in (32, 64):
            raise ValueError(f"data_width must be 32 or 64, not {data_width!r}")
        self._lanes = data_width // 32
        self._base = base
        self._timeout = timeout_cycles
        super().__init__(
            {"registers": In(RegisterPort()), "bus": Out(AxiLitePort(data_width)), "idle": Out(1, init=1)}
        )

    def elaborate(self, platform):
        m: Any = Module()
        bus, request, response = self.bus, self.registers.requests, self.registers.responses
        held: Any = Signal(RegisterRequest)
        lane: Any = held.offset[2] if self._lanes == 2 else Const(0, 1)
        timer, late, lost = Signal(range(self._timeout + 1)), Signal(), Signal()
        answered = Mux(held.write, bus.bvalid, bus.rvalid)
        m.d.comb += [
            bus.awaddr.eq(held.offset + self._base),
            bus.araddr.eq(held.offset + self._base),
            bus.wdata.eq(held.data.replicate(self._lanes)),
            bus.wstrb.eq(Mux(lane, held.strobe << 4, held.strobe)),
            bus.bready.eq(1),
            bus.rready.eq(1),
            late.eq(timer == self._timeout),
            self.idle.eq(0),
        ]
        for name in ("aw", "w", "ar"):
            valid, ready = getattr(bus, f"{name}valid"), getattr(bus, f"{name}ready")
            with m.If(ready):
                m.d.sync += valid.eq(0)
        with m.If(lost & answered):
            m.d.sync += lost.eq(0)
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("WAIT_ACCESS"))
            with m.State("WAIT_ACCESS"):
                m.d.comb += request.ready.eq(1)
                m.d.sync += timer.eq(0)
                with m.If(request.valid & ~lost):
                    m.d.sync += [
                        held.eq(request.p),
                        bus.awvalid.eq(request.p.write),
                        bus.wvalid.eq(request.p.write),
                        bus.arvalid.eq(~request.p.write),
                    ]
                    m.next = "WAIT_ANSWER"
                with m.Elif(request.valid & ~request.p.write):
                    m.d.sync += response.p.data.eq(_ALL_ONES)
                    m.next = "GIVE_RESPONSE"
            with m.State("WAIT_ANSWER"):
                m.d.sync += timer.eq(timer + 1)
                word = bus.rdata.word_select(lane, 32)
                m.d.sync += response.p.data.eq(Mux(answered & (bus.rresp == 0), word, Const(_ALL_ONES, 32)))
                with m.If(answered | late):
                    m.d.sync += lost.eq(~answered)
                    m.next = "GIVE_RESPONSE"
                    with m.If(held.write):
                        m.next = "WAIT_ACCESS"
            with m.State("GIVE_RESPONSE"):
                m.d.comb += response.valid.eq(1)
                with m.If(response.ready):
                    m.next = "WAIT_ACCESS"
        return m
