"""ReadCompletions, one fact each: what comes once more right behind the end of its read."""

import pytest

from ringwalker.dma.completions import ReadCompletions
from ringwalker.spec.tlp import CompletionStatus
from ringwalker.tlp.tags import TagRange
from ringwalker_sim.testing.inprocess import Bench

BEAT = {
    "header_status": CompletionStatus.SUCCESS.value,
    "header_has_data": 1,
    "header_length": 2,
    "header_byte_count": 8,
    "dwords": 0b11,
    "first": 1,
    "last": 1,
}


class Two(Bench):
    """The completions of two tags at 64 bits, one of which waits for 8 bytes until it is finished."""

    @classmethod
    def component(cls):
        return ReadCompletions(64, TagRange(0, 2), 64)

    async def begin(self):
        self.drive("open", {"dwords": 2})
        self.drive("open_en", 1)
        await self.cycles()
        self.drive("open_en", 0)
        self.drive("outstanding", 0b01)
        self.drive("fresh", 0b01)
        self.count("finish", "fail", "unexpected", "write.en")
        self.each_cycle(self.follow)

    def follow(self):
        """The reader's own registers follow an event with the next clock edge."""
        if self.value("begun"):
            self.drive("fresh", 0)
        if self.value("finish"):
            self.drive("outstanding", 0)


@pytest.mark.parametrize("gap", range(4))
def test_a_completion_that_comes_twice_is_unexpected_the_second_time(gap):
    async def body(bench):
        await bench.begin()
        bench.put("i", BEAT)
        await bench.until(lambda: not bench.pending("i"))
        await bench.cycles(gap)
        bench.put("i", {**BEAT, "data": 0xBAD})
        await bench.cycles(10)
        assert bench.counts == {"finish": 1, "fail": 0, "unexpected": 1, "write.en": 1}

    Two().run(body)
