"""Cutter, one fact each: where a run meets the end of a page."""

from ringwalker.dma.cutter import Cutter
from ringwalker_sim.testing.inprocess import Bench, simulated

LIMIT = 256


class Cut(Bench):
    """A cutter of pieces of up to 256 bytes."""

    @classmethod
    def component(cls):
        return Cutter()

    async def pieces(self, address, length):
        """Address and length of all pieces of a run."""
        self.drive("limit", LIMIT)
        self.put("i", {"address": address, "length": length, "last": 1})
        found = []
        while not found or not found[-1]["last"]:
            found.append(await self.get("o"))
        return [(piece["address"], piece["length"]) for piece in found]


@simulated(Cut)
async def test_a_run_up_to_the_end_of_a_page_stays_whole(bench):
    assert await bench.pieces(0x1FFB, 5) == [(0x1FFB, 5)]


@simulated(Cut)
async def test_a_run_of_one_byte_more_is_cut_there(bench):
    assert await bench.pieces(0x1FFC, 5) == [(0x1FFC, 4), (0x2000, 1)]
