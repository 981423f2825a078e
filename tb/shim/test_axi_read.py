"""AxiReader: an AXI master gets what is in host memory."""

import pytest

from ringwalker.shim.axi_read import AxiReader
from ringwalker.spec.tlp import CompletionStatus
from ringwalker_sim.testing.axi import AxiMaster, Transaction
from ringwalker_sim.testing.inprocess import Bench, simulated

LIMIT = 128


def byte_at(address):
    return address * 7 + (address >> 8) & 0xFF


class Reader(Bench):
    bus_width = 64

    @classmethod
    def component(cls):
        return AxiReader(64, cls.bus_width, 512, 500)

    def begin(self, enable=1, status=CompletionStatus.SUCCESS):
        self.drive("limit", LIMIT)
        self.drive("enable", enable)
        self.requests = []
        self.status = status
        self.on("requests", self._answer)
        return AxiMaster(self, self.bus_width)

    def _answer(self, request):
        """The host's completion, in one TLP."""
        self.requests.append((request["header_address"], request["header_length"]))
        at, length = request["header_address"], request["header_length"]
        if self.status is None:
            return
        good = self.status is CompletionStatus.SUCCESS
        header = {
            "header_status": self.status.value,
            "header_has_data": int(good),
            "header_length": length if good else 0,
            "header_byte_count": 4 * length if good else 4,
            "header_lower_address": at % 128 if good else 0,
            "header_tag": request["header_tag"],
        }
        if not good:
            self.put("completions", {**header, "first": 1, "last": 1})
            return
        for n in range(0, length, 2):
            data = sum(byte_at(at + 4 * n + b) << 8 * b for b in range(8))
            lanes = min(2, length - n)
            flags = {"first": int(n == 0), "last": int(n + lanes == length), "dwords": (1 << lanes) - 1}
            self.put("completions", {**header, **flags, "data": data})


class NarrowReader(Reader):
    bus_width = 32


async def beats_of(bench, master, count):
    await bench.until(lambda: sum(beat["last"] for beat in master.answers["r"]) >= count, "answers", 15_000)
    return master.answers["r"]


@simulated(Reader)
async def test_a_read_asks_for_whole_words_cut_at_the_limit(bench):
    master = bench.begin()
    item = Transaction(0x1064, 6, 3, line=9)
    master.read(item)
    beats = await beats_of(bench, master, 1)
    assert bench.requests == [(0x1060, 8), (0x1080, 4)]
    assert master.bytes_of(item, beats) == [(at, byte_at(at)) for at in range(0x1064, 0x1090)]
    assert {beat["id"] for beat in beats} == {9}


@simulated(Reader)
async def test_what_the_host_refuses_is_an_error(bench):
    master = bench.begin(status=CompletionStatus.UNSUPPORTED_REQUEST)
    master.read(Transaction(0x1000, 3, 3))
    assert [beat["resp"] for beat in await beats_of(bench, master, 1)] == [2, 2, 2]


@simulated(Reader)
async def test_what_the_host_does_not_answer_is_an_error(bench):
    master = bench.begin(status=None)
    master.read(Transaction(0x1000, 1, 3))
    assert [beat["resp"] for beat in await beats_of(bench, master, 1)] == [2]


@simulated(Reader)
async def test_without_bus_mastering_a_read_is_an_error(bench):
    master = bench.begin(enable=0)
    master.read(Transaction(0x1000, 1, 3))
    assert [beat["resp"] for beat in await beats_of(bench, master, 1)] == [2]
    assert bench.requests == []


@simulated(Reader)
async def test_a_wrapping_burst_is_an_error_and_reads_nothing(bench):
    master = bench.begin()
    master.read(Transaction(0x1010, 4, 3, burst=2))
    master.read(Transaction(0x1010, 1, 3))
    assert [beat["resp"] for beat in await beats_of(bench, master, 2)] == [2, 2, 2, 2, 0]
    assert bench.requests == [(0x1010, 2)]


@pytest.mark.parametrize("make", [Reader, NarrowReader])
def test_any_sizes_and_addresses(make):
    async def body(bench):
        master = bench.begin()
        items = []
        for n in range(12):
            size = bench.random.randint(0, bench.bus_width.bit_length() - 4)
            beats = bench.random.randint(1, 12)
            place = (bench.random.randrange(8) << 12) + bench.random.randrange(4096 - (beats << size))
            items.append(Transaction(place, beats, size, line=n, burst=int(bench.random.random() < 0.9)))
            master.read(items[-1])
        beats = await beats_of(bench, master, len(items))
        for item in items:
            mine, beats = beats[: item.beats], beats[item.beats :]
            assert [beat["last"] for beat in mine] == [0] * (item.beats - 1) + [1]
            assert {(beat["id"], beat["resp"]) for beat in mine} == {(item.line, 0)}
            assert all(value == byte_at(at) for at, value in master.bytes_of(item, mine))
        await bench.cycles(4)
        assert bench.value("idle")

    make().run(body)
