"""BatchDue: a batch is written at once, or under load when it is full or old."""

from ringwalker.queue.ring.batch_due import BatchDue
from ringwalker.queue.ring.limits import HOLD_CYCLES
from ringwalker_sim.testing.inprocess import Bench, simulated


class Due(Bench):
    @classmethod
    def component(cls):
        return BatchDue()

    def show(self, **inputs):
        for name, value in inputs.items():
            self.drive(name, value)


@simulated(Due)
async def test_nothing_is_due_until_something_waits(bench):
    bench.show(waiting=0, full=0, taken=0, hold=0)
    await bench.cycles(2)
    assert not bench.value("due")
    bench.show(waiting=1)
    await bench.cycles()
    assert bench.value("due")


@simulated(Due)
async def test_under_load_it_waits_until_it_is_full(bench):
    bench.show(waiting=1, full=0, taken=0, hold=1)
    await bench.cycles(HOLD_CYCLES // 2)
    assert not bench.value("due")
    bench.show(full=1)
    await bench.cycles()
    assert bench.value("due")


@simulated(Due)
async def test_under_load_it_waits_for_a_bounded_time_and_the_next_one_anew(bench):
    bench.show(waiting=1, full=0, taken=0, hold=1)
    for _ in range(2):
        waited = await bench.until(lambda: bench.value("due"), "due", 2 * HOLD_CYCLES)
        assert HOLD_CYCLES - 1 <= waited <= HOLD_CYCLES + 1
        bench.show(taken=1)
        await bench.cycles()
        bench.show(taken=0)
