"""A reader whose time-out has steps: as many of them as there are, and none while none come."""

from ringwalker.dma.reader import TIMEOUT_STEPS, DmaReader
from ringwalker.tlp.tags import TagRange
from ringwalker_sim.testing.inprocess import Bench, simulated


class Reader(Bench):
    @classmethod
    def component(cls):
        return DmaReader(64, TagRange(low=0, low_count=4), 64, 100, stepped=True)

    async def step(self, count):
        for _ in range(count):
            self.drive("timeout_step", 1)
            await self.cycles()
            self.drive("timeout_step", 0)
            await self.cycles(2)


@simulated(Reader)
async def test_a_read_ends_with_an_error_after_all_steps(bench):
    bench.put("port.requests", {"address": 64, "length": 8})
    await bench.get("requests")
    await bench.step(TIMEOUT_STEPS - 1)
    assert bench.got("port.data") == []
    await bench.step(2)
    assert (await bench.get("port.data"))["error"]
    assert bench.got("port.data") == []


@simulated(Reader)
async def test_without_steps_a_read_waits_and_is_answered(bench):
    bench.put("port.requests", {"address": 64, "length": 8})
    tag = (await bench.get("requests"))["header_tag"]
    await bench.cycles(2000)
    beat = {"header_tag": tag, "first": 1, "last": 1, "data": 7, "dwords": 3}
    header = {"has_data": 1, "length": 2, "byte_count": 8}
    bench.put("completions", beat | {f"header_{key}": value for key, value in header.items()})
    answer = await bench.get("port.data")
    assert (answer["data"], answer["error"]) == (7, 0)


@simulated(Reader)
async def test_a_completion_begins_the_count_anew(bench):
    bench.put("port.requests", {"address": 64, "length": 8}, {"address": 128, "length": 8})
    tags = [(await bench.get("requests"))["header_tag"] for _ in range(2)]
    await bench.step(TIMEOUT_STEPS - 2)
    header = {"tag": tags[0], "has_data": 1, "length": 2, "byte_count": 8}
    beat = {"first": 1, "last": 1, "data": 7, "dwords": 3}
    bench.put("completions", beat | {f"header_{key}": value for key, value in header.items()})
    assert not (await bench.get("port.data"))["error"]
    await bench.step(TIMEOUT_STEPS - 2)
    assert bench.got("port.data") == []
    await bench.step(3)
    assert (await bench.get("port.data"))["error"]
