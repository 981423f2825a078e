"""The Verilog that components become behaves as the component does."""

import re
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ringwalker.component import Component
from ringwalker.streams import stream_of
from ringwalker.verilog import to_verilog


class HalfConstant(Component):
    """A payload with one constant and one computed field."""

    def __init__(self):
        layout: Any = data.StructLayout({"computed": 4, "constant": 4})
        super().__init__({"o": Out(stream_of(layout)), "go": In(1)})

    def elaborate(self, platform):
        m: Any = Module()
        payload = self.o.payload
        m.d.comb += payload.constant.eq(5)
        with m.If(self.go):
            m.d.comb += payload.computed.eq(3)
        return m


def test_constant_fields_of_a_computed_payload_are_driven_from_the_start():
    text, _ports = to_verilog(HalfConstant(), "top")
    constant = text.index("o__payload[7:4] = 4'h5;")
    block = text[text.rindex("always @*", 0, constant) : constant]
    assert re.search(r"always @\* begin\n +if \(\S+ ?\) begin end\n +$", block), block
    assert not re.search(r"always @\*\n", text), "a block that reads nothing never runs"
