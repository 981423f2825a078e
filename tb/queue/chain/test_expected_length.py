"""ExpectedLength: as long as the last chain that stood side by side."""

from ringwalker.queue.chain.expected_length import SHORTEST, ExpectedLength
from ringwalker.queue.chain.lines import MOST_READ
from ringwalker_sim.testing.inprocess import Bench, simulated


class Expected(Bench):
    @classmethod
    def component(cls):
        return ExpectedLength()

    async def after(self, first, last, nested=0):
        """What is expected after a chain between these descriptors."""
        for name, value in (("first", first), ("last", last), ("nested", nested), ("ends", 1)):
            self.drive(name, value)
        await self.cycles()
        self.drive("ends", 0)
        await self.cycles()
        return self.value("length")


@simulated(Expected)
async def test_nothing_is_expected_at_first(bench):
    assert bench.value("length") == 0


@simulated(Expected)
async def test_a_chain_of_three_or_more_is_expected_again(bench):
    for length in (SHORTEST, 7, MOST_READ):
        assert await bench.after(100, 100 + length - 1) == length
    await bench.cycles(5)
    assert bench.value("length") == MOST_READ


@simulated(Expected)
async def test_short_chains_and_long_ones_are_read_by_the_line(bench):
    for length in (1, 2, MOST_READ + 1, 1000):
        await bench.after(0, 3)
        assert await bench.after(100, 100 + length - 1) == 0


@simulated(Expected)
async def test_a_chain_that_goes_back_is_not_side_by_side(bench):
    await bench.after(0, 3)
    assert await bench.after(100, 97) == 0


@simulated(Expected)
async def test_of_a_chain_in_an_indirect_table_one_descriptor_is_in_the_ring(bench):
    await bench.after(0, 3)
    assert await bench.after(100, 102, nested=1) == 0
