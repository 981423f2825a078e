"""VisitPace: under load visits wait, and never for long."""

from ringwalker.queue.pace import ALIKE, FEW_CHAINS, MANY_CHAINS, PAYLOAD_GAP, VISIT_GAP, VisitPace
from ringwalker_sim.testing.inprocess import Bench, simulated


class Pace(Bench):
    @classmethod
    def component(cls):
        return VisitPace()

    async def pulse(self, name, count=1):
        self.drive(name, 1)
        await self.cycles(count)
        self.drive(name, 0)
        await self.cycles()

    async def visit(self, queue):
        self.drive("queue", queue)
        await self.pulse("visited")

    async def load(self, chains):
        """Two queues are in use, payload moves, so many chains are in flight; the last visit is long ago."""
        for queue in (1, 2):
            await self.visit(queue)
        self.drive("payload", 1)
        await self.pulse("begun", chains)
        await self.cycles(VISIT_GAP + 2)


@simulated(Pace)
async def test_while_payload_moves_many_chains_hold_visits_back(bench):
    await bench.load(MANY_CHAINS - 1)
    assert not bench.value("hold")
    await bench.pulse("begun")
    assert bench.value("hold")
    await bench.cycles(2 * VISIT_GAP)
    assert bench.value("hold")
    await bench.pulse("completed")
    assert not bench.value("hold")


@simulated(Pace)
async def test_with_few_chains_visits_follow_each_other(bench):
    await bench.load(FEW_CHAINS - 1)
    await bench.visit(1)
    assert not bench.value("hold")


@simulated(Pace)
async def test_with_some_chains_a_visit_waits_after_another(bench):
    await bench.load(FEW_CHAINS)
    assert not bench.value("hold")
    await bench.visit(1)
    assert bench.value("hold")
    assert await bench.until(lambda: not bench.value("hold")) in range(VISIT_GAP - 2, VISIT_GAP + 1)


@simulated(Pace)
async def test_the_cycle_in_which_a_visit_is_taken_is_held(bench):
    await bench.load(FEW_CHAINS)
    seen = []
    bench.each_cycle(lambda: seen.append((bench.value("visited"), bench.value("hold"))))
    await bench.visit(1)
    assert seen == [(1, 1), (0, 1)]


@simulated(Pace)
async def test_chains_that_move_nothing_hold_nothing_back(bench):
    await bench.load(2 * MANY_CHAINS)
    assert bench.value("hold")
    bench.drive("payload", 0)
    await bench.cycles(PAYLOAD_GAP + 2)
    assert not bench.value("hold")
    bench.drive("payload", 1)
    await bench.cycles(3)
    assert bench.value("hold")


@simulated(Pace)
async def test_a_queue_that_is_the_only_one_in_use_is_not_held_back(bench):
    await bench.load(MANY_CHAINS)
    for _ in range(ALIKE):
        assert bench.value("several")
        assert bench.value("hold")
        await bench.visit(2)
    await bench.cycles()
    assert not bench.value("hold")
    assert not bench.value("several")
    await bench.visit(1)
    await bench.cycles()
    assert bench.value("hold")
