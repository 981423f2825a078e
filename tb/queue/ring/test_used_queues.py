"""UsedQueues: queues wait once each, in the order in which they came."""

import pytest

from ringwalker.queue.ring.used_queues import UsedQueues
from ringwalker_sim.testing.inprocess import Bench, simulated

QUEUES = 5


class Waiting(Bench):
    @classmethod
    def component(cls):
        return UsedQueues(QUEUES)


@simulated(Waiting)
async def test_queues_leave_in_the_order_in_which_they_came(bench):
    bench.put("i", 3, 0, 4)
    assert [await bench.get("o") for _ in range(3)] == [3, 0, 4]
    await bench.cycles(2)
    assert bench.value("idle")


@simulated(Waiting)
async def test_a_queue_that_waits_is_not_added_again(bench):
    bench.stall("o")
    await bench.cycles()
    bench.put("i", 2, 1, 2, 2, 1)
    await bench.cycles(10)
    assert not bench.value("idle")
    bench.stall("o", probability=0)
    assert [await bench.get("o") for _ in range(2)] == [2, 1]
    await bench.cycles(5)
    assert not bench.pending("o")
    assert bench.value("idle")


@simulated(Waiting)
async def test_a_queue_that_has_left_can_come_again(bench):
    for _ in range(3):
        bench.put("i", 2)
        assert await bench.get("o") == 2


def test_what_no_number_of_queues_can_be():
    for queues in (0, 1025):
        with pytest.raises(ValueError, match=f"queues is {queues}"):
            UsedQueues(queues)
