"""Access to the BARs through configuration space."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..interfaces import RegisterPort
from ..streams import RegisterResponse, stream_of
from .bar import Bar

__all__ = ["ConfigWindow", "WindowAccess"]


WindowAccess: Any = data.StructLayout(
    {"bar": 8, "offset": 32, "size": 32, "write": 1, "strobe": 4, "data": 32},
)
"""An access to ``pci_cfg_data``: fields of the capability, and of the configuration request."""


class ConfigWindow(Component):
    """Performs the BAR access that an access to ``pci_cfg_data`` stands for.

    The access is made if ``size`` is 1, 2 or 4, ``offset`` is a multiple of it, the bytes lie in one of
    ``bars``, and ``strobe`` has at least the first ``size`` bytes. Bytes beyond them are ignored in a write
    and 0 in a read. Otherwise a write has no effect and a read gives 0. Memory and I/O enable do not
    matter: the window is for software that has no BARs mapped.

    Latency: 3 cycles, and for a read what the register takes. One access at a time.

    Ref: virtio 1.4, 4.1.4.9
    """

    accesses: In(stream_of(WindowAccess))
    results: Out(stream_of(RegisterResponse))
    """One for each access, in order; 0 for a write."""
    registers: Out(RegisterPort())
    """The blocks behind the BARs."""
    idle: Out(1)
    """No access is in flight."""

    def __init__(self, bars: Sequence[Bar]):
        self._bars = tuple(bars)
        super().__init__()

    def _legal(self, access: Any) -> tuple[Any, Any]:
        """Whether the access is to be made, and the mask of its bytes from byte 0 up."""
        mask = Cat(Const(1), access.size[1] | access.size[2], access.size[2], access.size[2])
        lane = access.offset[:2]
        sizes = (
            ((access.size == 1) & access.strobe[0])
            | ((access.size == 2) & ~lane[0] & access.strobe[:2].all())
            | ((access.size == 4) & (lane == 0) & access.strobe.all())
        )
        # An aligned access that starts in a BAR ends in it: sizes of BARs are powers of two.
        places: Any = Const(0)
        for bar in self._bars:
            places = places | ((access.bar == bar.index) & (access.offset < bar.size))
        return sizes & places, mask

    def elaborate(self, platform):
        m: Any = Module()
        access: Any = Signal(WindowAccess)
        legal, mask = self._legal(access)
        make = Signal()
        bytes_: Any = Signal(4)
        result = Signal(32)
        lane = access.offset[:2]
        bits = Cat(Mux(byte, 0xFF, 0x00) for byte in bytes_)
        m.d.comb += [
            self.registers.requests.p.bar.eq(access.bar),
            self.registers.requests.p.offset.eq(access.offset & ~0b11),
            self.registers.requests.p.write.eq(access.write),
            self.registers.requests.p.strobe.eq(bytes_ << lane),
            self.registers.requests.p.data.eq((access.data & bits) << (lane << 3)),
            self.results.p.data.eq(result),
        ]
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("WAIT_ACCESS"))
            with m.State("WAIT_ACCESS"):
                m.d.comb += self.accesses.ready.eq(1)
                m.d.sync += result.eq(0)
                with m.If(self.accesses.valid):
                    m.d.sync += access.eq(self.accesses.payload)
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += [make.eq(legal), bytes_.eq(mask)]
                m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += self.registers.requests.valid.eq(make)
                with m.If(~make | (self.registers.requests.ready & access.write)):
                    m.next = "ANSWER"
                with m.Elif(self.registers.requests.ready):
                    m.next = "WAIT_REGISTER"
            with m.State("WAIT_REGISTER"):
                m.d.comb += self.registers.responses.ready.eq(1)
                m.d.sync += result.eq((self.registers.responses.p.data >> (lane << 3)) & bits)
                with m.If(self.registers.responses.valid):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.results.valid.eq(1)
                with m.If(self.results.ready):
                    m.next = "WAIT_ACCESS"
        return m
