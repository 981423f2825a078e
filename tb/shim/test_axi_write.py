"""AxiWriter: what an AXI master writes arrives, in as few TLPs as may be."""

import pytest

from ringwalker.shim.axi_write import AxiWriter
from ringwalker_sim.testing.axi import AxiMaster, Transaction, posted_bytes
from ringwalker_sim.testing.inprocess import Bench, simulated

LIMIT = 128


class Writer(Bench):
    bus_width = 64

    @classmethod
    def component(cls):
        return AxiWriter(64, cls.bus_width, 512)

    def begin(self, enable=1, stall=0.3):
        self.drive("limit", LIMIT)
        self.drive("enable", enable)
        return AxiMaster(self, self.bus_width, stall)


class NarrowWriter(Writer):
    bus_width = 32


async def answered(bench, master, count):
    await bench.until(lambda: len(master.answers["b"]) >= count, "answers", 15_000)
    return bench.got("posted")


@simulated(Writer)
async def test_whole_words_are_one_request_up_to_the_limit(bench):
    master, memory = bench.begin(stall=0.0), {}
    master.write(Transaction(0x1040, 24, 3, line=5), memory, whole=True)
    beats = await answered(bench, master, 1)
    heads = [(beat["header_address"], beat["header_length"]) for beat in beats if beat["first"]]
    assert heads == [(0x1040, 16), (0x1080, 32)]
    assert dict(posted_bytes(beats, LIMIT)) == memory
    assert master.answers["b"] == [{"id": 5, "resp": 0}]


@simulated(Writer)
async def test_a_word_that_is_not_whole_is_a_request_for_each_dword(bench):
    master, memory = bench.begin(), {}
    master.write(Transaction(0x2006, 2, 3), memory, whole=True)
    beats = await answered(bench, master, 1)
    assert [(beat["header_address"], beat["header_first_be"]) for beat in beats] == [
        (0x2004, 0b1100),
        (0x2008, 0b1111),
    ]
    assert dict(posted_bytes(beats, LIMIT)) == memory


@simulated(Writer)
async def test_the_answer_comes_when_all_has_left(bench):
    master = bench.begin()
    bench.stall("posted")
    master.write(Transaction(0x3000, 2, 3), {}, whole=True)
    await bench.cycles(60)
    assert master.answers["b"] == []
    bench.stall("posted", probability=0.0)
    assert len(await answered(bench, master, 1)) == 2


@simulated(Writer)
async def test_without_bus_mastering_nothing_is_sent(bench):
    master = bench.begin(enable=0)
    master.write(Transaction(0x3000, 4, 3), {}, whole=True)
    master.write(Transaction(0x3003, 1, 3), {}, whole=True)
    assert await answered(bench, master, 2) == []


@simulated(Writer)
async def test_a_wrapping_burst_is_an_error_and_writes_nothing(bench):
    master = bench.begin()
    master.write(Transaction(0x3010, 4, 3, burst=2), {}, whole=True)
    assert await answered(bench, master, 1) == []
    assert master.answers["b"][0]["resp"] == 2


@simulated(Writer)
async def test_a_fixed_burst_writes_one_word_again_and_again(bench):
    master, memory = bench.begin(), {}
    master.write(Transaction(0x3010, 3, 3, burst=0), memory, whole=True)
    beats = await answered(bench, master, 1)
    assert [beat["header_address"] for beat in beats] == [0x3010] * 3
    assert dict(posted_bytes(beats, LIMIT)) == memory


@pytest.mark.parametrize("make", [Writer, NarrowWriter])
def test_any_strobes_sizes_and_addresses(make):
    async def body(bench):
        master, memory = bench.begin(), {}
        bench.stall("posted", probability=0.3)
        count = 12
        for n in range(count):
            size = bench.random.randint(0, bench.bus_width.bit_length() - 4)
            beats = bench.random.randint(1, 12)
            page = bench.random.randrange(8) << 12
            place = page + bench.random.randrange(4096 - (beats << size))
            whole = bench.random.random() < 0.5
            master.write(Transaction(place, beats, size, line=n), memory, whole)
        posted = await answered(bench, master, count)
        assert dict(posted_bytes(posted, LIMIT)) == memory
        assert [answer["id"] for answer in master.answers["b"]] == list(range(count))
        await bench.cycles(4)
        assert bench.value("idle")

    make().run(body)
