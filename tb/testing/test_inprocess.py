"""Bench: what reaches a test, and which breaches of the rules of a stream it sees."""

from typing import Any

import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ringwalker.buffers import StreamFifo
from ringwalker.component import Component
from ringwalker.streams import stream_of
from ringwalker_sim.testing.inprocess import Bench, simulated


class Item(data.Struct):
    """A payload with a struct in it."""

    key: unsigned(8)
    frame: data.StructLayout({"first": 1, "last": 1})


class Adder(Component):
    """Adds ``a`` to a number in memory, from the next cycle on, and at once in ``now``."""

    a: In(8, init=3)
    item: In(Item)
    key: Out(8)
    sum: Out(8)
    now: Out(8)

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.numbers = numbers = Memory(shape=8, depth=2, init=[10, 0])
        number: Any = numbers.read_port(domain="comb")
        m.d.comb += [self.now.eq(self.a + number.data), self.key.eq(self.item.key)]
        m.d.sync += self.sum.eq(self.now)
        return m


class AdderBench(Bench):
    @classmethod
    def component(cls):
        return Adder()


class FifoBench(Bench):
    @classmethod
    def component(cls):
        return StreamFifo(unsigned(8), 4)


@simulated(AdderBench)
async def test_what_is_driven_is_seen_in_the_same_cycle(bench):
    assert bench.value("now") == 13
    bench.drive("a", 5)
    assert (bench.value("now"), bench.value("sum")) == (15, 13)
    await bench.cycles()
    assert bench.value("sum") == 15


@simulated(AdderBench)
async def test_what_a_hook_drives_is_seen_in_the_next_cycle(bench):
    seen = []

    def hook() -> None:
        bench.drive("a", bench.cycle)
        seen.append(bench.value("now"))

    bench.each_cycle(hook)
    now = bench.cycle
    await bench.cycles(3)
    assert seen == [13, 10 + now, 11 + now]


@simulated(AdderBench)
async def test_a_memory_can_be_preset(bench):
    bench.preset("numbers", 0, 100)
    assert bench.value("now") == 103


@simulated(AdderBench)
async def test_every_test_begins_with_a_reset(bench):
    assert bench.value("now") == 13


@simulated(AdderBench)
async def test_fields_are_named(bench):
    bench.drive("item", {"key": 7, "frame_last": 1})
    assert bench.value("item") == {"key": 7, "frame_first": 0, "frame_last": 1}
    assert bench.value("key") == 7
    with pytest.raises(AssertionError, match="no field"):
        bench.drive("item", {"kay": 7})
    with pytest.raises(KeyError, match="there are"):
        bench.value("itme")


@simulated(FifoBench)
async def test_items_come_out_in_order(bench):
    bench.stall(probability=0.5)
    bench.put("i", *range(100))
    assert [await bench.get("o") for _ in range(100)] == list(range(100))


@simulated(FifoBench)
async def test_a_stream_that_stalls_takes_nothing(bench):
    bench.stall("o")
    bench.put("i", *range(9))
    await bench.cycles(20)
    assert (bench.pending("i"), bench.got("o")) == (5, [])


def test_waiting_for_what_does_not_come_ends():
    async def body(bench):
        await bench.get("o", cycles=10)

    with pytest.raises(AssertionError, match="still waiting for an item of o after 10 cycles"):
        FifoBench().run(body)


class Breach(Component):
    """Passes items on, but for one breach of the rules, named ``kind``."""

    def __init__(self, kind: str):
        self._kind = kind
        shape = data.StructLayout({"value": 8, "first": 1, "last": 1})
        super().__init__({"i": In(stream_of(shape)), "o": Out(stream_of(shape))})

    def elaborate(self, platform):
        m: Any = Module()
        turn = Signal(8)
        m.d.sync += turn.eq(turn + 1)
        m.d.comb += [
            self.i.ready.eq(self.o.ready & self.o.valid),
            self.o.valid.eq(self.i.valid),
            self.o.payload.eq(self.i.payload),
        ]
        if self._kind == "withdrawn":
            m.d.comb += self.o.valid.eq(self.i.valid & turn[1])
        elif self._kind == "changed":
            m.d.comb += self.o.payload.value.eq(turn)
        elif self._kind == "waits":
            m.d.comb += self.o.valid.eq(self.i.valid & self.o.ready)
        elif self._kind == "first":
            m.d.comb += self.o.payload.first.eq(self.i.payload.value != 20)
        return m


class WithdrawnBench(Bench):
    kind = "withdrawn"

    @classmethod
    def component(cls):
        return Breach(cls.kind)


class ChangedBench(WithdrawnBench):
    kind = "changed"


class WaitsBench(WithdrawnBench):
    kind = "waits"


class FirstBench(WithdrawnBench):
    kind = "first"


@pytest.mark.parametrize(
    ("bench", "message"),
    [
        (WithdrawnBench, "valid of o was withdrawn before ready"),
        (ChangedBench, "o changed while waiting for ready"),
        (WaitsBench, "valid of o waits for ready"),
        (FirstBench, "o: first is wrong"),
    ],
)
def test_breaches_of_the_rules_of_a_stream_are_seen(bench, message):
    async def body(bench):
        bench.stall("o", probability=0.5)
        bench.put("i", *({"value": n, "first": 1, "last": 1} for n in range(30)))
        for _ in range(30):
            await bench.get("o")

    with pytest.raises(AssertionError, match=message):
        bench().run(body)
