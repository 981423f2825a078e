"""BlkParser, one fact each: the header of a request whose reads failed."""

import pytest

from ringwalker.function.blk.parser import BlkParser
from ringwalker.spec.blk import BlkRequestType
from ringwalker_sim.testing.inprocess import Bench, simulated


class Parser(Bench):
    """A parser of 64 bits, so a header is two beats."""

    @classmethod
    def component(cls):
        return BlkParser(64)

    async def request(self, *failed):
        """The request of a read of one sector; the numbers of the beats that ``failed``."""
        self.drive("capacity", 100)
        self.put("chains", {"readable": 16, "writable": 513})
        for n, data in enumerate((BlkRequestType.IN, 7)):
            beat = {"data": data, "count": 8, "first": n == 0, "last": n == 1, "error": n in failed}
            self.put("readable", {key: int(value) for key, value in beat.items()})
        return await self.get("requests")


@simulated(Parser)
async def test_a_header_that_was_read_is_answered(bench):
    request = await bench.request()
    assert (request["answer"], request["sector"], request["sectors"]) == (1, 7, 1)


@pytest.mark.parametrize("failed", [0, 1])
def test_a_header_of_which_any_beat_failed_is_not(failed):
    async def body(bench):
        assert (await bench.request(failed))["answer"] == 0

    Parser().run(body)
