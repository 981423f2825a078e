"""Tags of ten bits around a requester that has tags of eight."""

from ringwalker.pci.ten_bit_tags import TenBitTags
from ringwalker_sim.testing.inprocess import Bench, simulated


class Tags(Bench):
    @classmethod
    def component(cls):
        return TenBitTags(64)

    async def enable(self, on: int = 1) -> None:
        self.drive("enable", on)
        await self.cycles(2)

    def request(self, tag: int, beats: int = 1) -> None:
        """Offer a request of so many beats."""
        for beat in range(beats):
            first, last = beat == 0, beat == beats - 1
            self.put("requests", {"header_tag": tag, "data": beat, "first": first, "last": last})

    def completion(self, tag: int, beats: int = 1) -> None:
        """Send a completion of so many beats."""
        for beat in range(beats):
            first, last = beat == 0, beat == beats - 1
            self.put("long_completions", {"header_tag": tag, "data": beat, "first": first, "last": last})


@simulated(Tags)
async def test_until_they_are_enabled_tags_are_as_they_were(bench):
    bench.request(0xA5)
    assert (await bench.get("long_requests"))["header_tag"] == 0xA5
    bench.completion(0xA5)
    assert (await bench.get("completions"))["header_tag"] == 0xA5


@simulated(Tags)
async def test_then_they_have_a_bit_more_and_completions_lose_it(bench):
    await bench.enable()
    bench.request(0xA5, beats=2)
    for beat in range(2):
        got = await bench.get("long_requests")
        assert (got["header_tag"], got["data"]) == (0x1A5, beat)
    bench.completion(0x1A5, beats=2)
    for beat in range(2):
        got = await bench.get("completions")
        assert (got["header_tag"], got["data"], got["last"]) == (0xA5, beat, beat)


@simulated(Tags)
async def test_a_completion_with_other_upper_bits_is_dropped_and_said_so_once(bench):
    strays: list[int] = []
    bench.each_cycle(lambda: strays.append(int(bench.value("stray"))))
    for enabled, mine in ((0, 0x000), (1, 0x100)):
        await bench.enable(enabled)
        for upper in (0x000, 0x100, 0x200, 0x300):
            strays.clear()
            bench.completion(upper | 0x42, beats=3)
            await bench.cycles(8)
            assert len(bench.got("completions")) == (3 if upper == mine else 0)
            assert sum(strays) == (upper != mine)


@simulated(Tags)
async def test_a_request_that_is_offered_keeps_its_tag(bench):
    bench.stall("long_requests")
    bench.request(0x42, beats=2)
    bench.request(0x43)
    await bench.cycles(3)
    await bench.enable()
    bench.stall("long_requests", probability=0)
    tags = [(await bench.get("long_requests"))["header_tag"] for _ in range(3)]
    assert tags == [0x042, 0x042, 0x143]
