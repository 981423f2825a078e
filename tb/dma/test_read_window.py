"""ReadWindow: as many beats are in flight as the host has cycles of latency, and somewhat more."""

import pytest

import ringwalker.dma.read_window as place
from ringwalker.dma.read_window import SLACK_BEATS, ReadWindow
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import DmaReads

WIDTH = 64
BEAT = WIDTH // 8
LATENCY = 40
WINDOW = LATENCY + LATENCY // 8 + SLACK_BEATS


class Window(Bench):
    """``most`` is how many beats were in flight at most, asked for by ``read``."""

    @classmethod
    def component(cls):
        return ReadWindow(WIDTH, 512, 64)

    def __init__(self):
        super().__init__()
        self.memory = self.random.randbytes(1 << 16)
        self.reads = DmaReads(self, "read", self.memory, WIDTH)
        self.reads.latency = (LATENCY, LATENCY)
        self.most = self.flight = self.wanted = 0
        self.each_cycle(self._count)

    def _taken(self, stream):
        return self.value(f"{stream}.valid") and self.value(f"{stream}.ready")

    def _count(self):
        if self._taken("read.requests"):
            request = self.value("read.requests.payload")
            self.flight += -(-(request["address"] % 4 + request["length"]) // BEAT)
            self.most = max(self.most, self.flight)
        self.flight -= int(self._taken("port.data"))

    def ask(self, *lengths, address=0x1000):
        self.wanted += len(lengths)
        for length in lengths:
            self.put("port.requests", {"address": address, "length": length})

    async def finished(self):
        await self.until(lambda: self.flight == 0 and len(self.reads.requests) == self.wanted)
        await self.cycles(3)


@simulated(Window)
async def test_reads_and_their_data_pass(bench):
    bench.ask(20, address=0x1003)
    bench.ask(8, address=0x2000)
    await bench.finished()
    assert bench.reads.requests == [(0x1003, 20), (0x2000, 8)]
    beats = bench.got("port.data")
    assert [beat["last"] for beat in beats] == [0, 0, 1, 1]
    assert beats[3]["data"].to_bytes(BEAT, "little") == bench.memory[0x2000:0x2008]


@simulated(Window)
async def test_until_a_latency_is_known_all_reads_pass(bench):
    bench.ask(*[64] * 30)
    await bench.cycles(LATENCY - 2)
    assert bench.most == 30 * 64 // BEAT


@simulated(Window)
async def test_then_as_much_is_in_flight_as_the_host_has_latency_and_an_eighth(bench):
    bench.ask(8)
    await bench.finished()
    bench.ask(*[64] * 60)
    await bench.finished()
    assert WINDOW - 8 <= bench.most <= WINDOW + 8
    bench.most = 0
    bench.ask(*[16] * 100)
    await bench.finished()
    assert WINDOW - 2 <= bench.most <= WINDOW + 3


@simulated(Window)
async def test_while_it_is_open_all_reads_pass(bench):
    bench.ask(8)
    await bench.finished()
    bench.drive("open", 1)
    bench.ask(*[64] * 30)
    await bench.cycles(LATENCY - 2)
    assert bench.most == 30 * 64 // BEAT


@simulated(Window)
async def test_a_latency_under_load_does_not_count(bench):
    for _ in range(3):
        bench.ask(*[64] * 60)
        await bench.cycles(20)
        bench.reads.latency = (4 * LATENCY, 4 * LATENCY)
        await bench.cycles(400)
        bench.reads.latency = (LATENCY, LATENCY)
        await bench.finished()
    bench.most = 0
    bench.ask(*[64] * 60)
    await bench.finished()
    assert bench.most <= WINDOW + 8


@simulated(Window)
async def test_a_host_that_becomes_slower_gets_more(bench):
    bench.ask(8)
    await bench.finished()
    bench.reads.latency = (100, 100)
    for _ in range(20):
        bench.ask(8)
        await bench.finished()
    bench.ask(*[64] * 60)
    await bench.finished()
    assert abs(bench.most - (100 + 12 + SLACK_BEATS)) <= 16


@simulated(Window)
async def test_a_read_may_be_larger_than_the_window(bench):
    bench.reads.latency = (2, 2)
    for _ in range(4):
        bench.ask(512)
        await bench.finished()
    assert len(bench.reads.requests) == 4


class Host(Bench):
    """A reader that answers when it is told to."""

    @classmethod
    def component(cls):
        return ReadWindow(WIDTH, 512, 64)


@simulated(Host)
async def test_what_was_offered_stays_though_there_is_no_more_room(bench):
    bench.put("port.requests", {"length": 8})
    await bench.cycles(6)
    bench.put("read.data", {"first": 1, "last": 1})
    await bench.cycles(3)
    bench.drive("open", 1)
    for _ in range(4):
        bench.put("port.requests", {"length": 512})
    await bench.cycles(3)
    bench.stall("read.requests")
    bench.put("port.requests", {"length": 512})
    await bench.cycles(6)
    bench.drive("open", 0)
    await bench.cycles(3)
    assert bench.value("read.requests.valid")
    bench.put("port.requests", {"length": 512})
    bench.stall("read.requests", probability=0)
    await bench.cycles(4)
    assert not bench.value("read.requests.valid")
    assert bench.value("port.requests.valid")


class Probing(Window):
    """Measures anew every 500 cycles."""

    @classmethod
    def component(cls):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, "PROBE_CYCLES", 500)
            window = ReadWindow(WIDTH, 512, 64)
            inner = window.elaborate

            def elaborate(platform):
                with pytest.MonkeyPatch.context() as again:
                    again.setattr(place, "PROBE_CYCLES", 500)
                    return inner(platform)

            window.elaborate = elaborate
            return window


@simulated(Probing)
async def test_under_load_the_latency_is_measured_now_and_then(bench):
    bench.ask(8)
    await bench.finished()
    bench.reads.latency = (100, 100)
    bench.ask(*[64] * 400)
    await bench.cycles(2100)
    bench.most = 0
    await bench.cycles(100)
    assert len(bench.reads.requests) < bench.wanted
    assert bench.most > WINDOW + 30
