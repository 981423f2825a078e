"""BroughtDescriptors: a chain counts when it is kept, and what is given up leaves no trace."""

from ringwalker.queue.packed.brought import BroughtDescriptors
from ringwalker.streams import MOST_BROUGHT
from ringwalker_sim.testing.inprocess import Bench, simulated


class Held(Bench):
    @classmethod
    def component(cls):
        return BroughtDescriptors()

    async def do(self, **values):
        """One cycle with these inputs; the others are 0."""
        for name in ("push", "raw", "keep", "drop"):
            self.drive(name, values.get(name, 0))
        self.drive("brought.release", values.get("release", 0))
        await self.cycles()
        for name in ("push", "keep", "drop"):
            self.drive(name, 0)
        self.drive("brought.release", 0)

    def look(self, count):
        found = []
        for position in range(count):
            self.drive("brought.position", position)
            found.append(self.value("brought.raw"))
        return found


@simulated(Held)
async def test_descriptors_of_a_chain_are_looked_at_by_position(bench):
    assert bench.value("idle")
    for raw in (7, 8):
        await bench.do(push=1, raw=raw)
    await bench.do(push=1, raw=9, keep=1)
    assert not bench.value("idle")
    assert bench.look(3) == [7, 8, 9]
    await bench.do(release=3)
    assert bench.value("idle")


@simulated(Held)
async def test_a_chain_that_is_given_up_leaves_no_trace(bench):
    await bench.do(push=1, raw=1, keep=1)
    await bench.do(push=1, raw=2)
    await bench.do(push=1, raw=3, drop=1)
    await bench.do(push=1, raw=4, keep=1)
    assert bench.look(3) == [1, 3, 4]


@simulated(Held)
async def test_there_is_room_for_a_chain_beside_one_that_is_looked_at(bench):
    for _ in range(3):
        for n in range(2 * MOST_BROUGHT):
            assert bench.value("room")
            await bench.do(push=1, raw=n, keep=int(n == MOST_BROUGHT - 1))
        assert not bench.value("room")
        await bench.do(drop=1)
        assert bench.value("room")
        assert bench.look(MOST_BROUGHT) == list(range(MOST_BROUGHT))
        await bench.do(release=MOST_BROUGHT)
        assert bench.value("idle")
