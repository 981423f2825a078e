"""The checker of stream rules notices each breach, and a stream that keeps the rules passes."""

import cocotb
import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from cocotb.triggers import ClockCycles

from ringwalker.component import Component
from ringwalker.streams import stream_of
from ringwalker_sim.testing import SIMULATOR, StreamSink, StreamSource, random_stalls, run_bench, start


class Item(data.Struct):
    """A word of a packet; ``mark`` makes its vector wider than what one access of 32 bits carries."""

    word: unsigned(8)
    mark: unsigned(40)
    first: unsigned(1)
    last: unsigned(1)


class Breaker(Component):
    """Passes items on. While an item waits: ``withdraw`` lowers ``valid``, ``change`` alters ``word``."""

    i: In(stream_of(Item))
    """What is passed on."""
    o: Out(stream_of(Item))
    """The same items."""
    withdraw: In(1)
    """Breaks the rule that ``valid`` stays up."""
    change: In(1)
    """Breaks the rule that the payload stays."""

    def elaborate(self, platform):
        m = Module()
        waited = Signal()
        m.d.sync += waited.eq(self.o.valid & ~self.o.ready)
        m.d.comb += [
            self.o.payload.eq(self.i.payload),
            self.o.p.word.eq(self.i.p.word ^ (self.change & waited)),
            self.o.valid.eq(self.i.valid & ~(self.withdraw & waited)),
            self.i.ready.eq(self.o.valid & self.o.ready),
        ]
        return m


async def pass_on(dut, withdraw=0, change=0, first=lambda n: n % 3 == 0):
    source, sink = StreamSource(dut, "i", random_stalls(0.3)), StreamSink(dut, "o", random_stalls(0.5))
    dut.withdraw.value, dut.change.value = withdraw, change
    checks = await start(dut)
    items = [
        {"word": n, "mark": (1 << 40) - 1 - n, "first": int(first(n)), "last": int(n % 3 == 2)}
        for n in range(60)
    ]
    for item in items:
        source.queue(item)
    assert [await sink.receive() for _ in items] == items
    assert [check.transfers for check in checks] == [60, 60]
    await ClockCycles(dut.clk, 5)
    assert not sink.received


@cocotb.test(timeout_time=10, timeout_unit="us")
async def rules_are_kept(dut):
    await pass_on(dut)


@cocotb.test(timeout_time=10, timeout_unit="us")
async def valid_is_withdrawn(dut):
    await pass_on(dut, withdraw=1)


@cocotb.test(timeout_time=10, timeout_unit="us")
async def payload_changes(dut):
    await pass_on(dut, change=1)


@cocotb.test(timeout_time=10, timeout_unit="us")
async def first_is_wrong(dut):
    await pass_on(dut, first=lambda n: n % 3 == 0 and n != 9)


@cocotb.test(timeout_time=10, timeout_unit="us")
async def a_field_has_no_room(dut):
    source = StreamSource(dut, "i")
    await start(dut)
    source.queue({"word": 256})
    await ClockCycles(dut.clk, 5)


MODULE = "tb.testing.test_streams"


def test_rules_are_kept():
    run_bench(Breaker(), MODULE, tests="rules_are_kept")


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("valid_is_withdrawn", "o: valid was withdrawn before ready"),
        ("payload_changes", r"o: \['word'\] changed while waiting for ready"),
        ("first_is_wrong", "first is wrong"),
        ("a_field_has_no_room", "field word of stream i cannot be 0x100"),
    ],
)
def test_breaches_are_noticed(test, message):
    with pytest.raises(AssertionError, match=message):
        run_bench(Breaker(), MODULE, tests=test)


def test_unknown_simulator(monkeypatch):
    monkeypatch.setenv(SIMULATOR, "spice")
    with pytest.raises(ValueError, match="must be icarus, verilator or other"):
        run_bench(Breaker(), MODULE)
