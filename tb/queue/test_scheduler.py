# amaranth: UnusedElaboratable=no
"""The scheduler: no doorbell is lost, nobody is visited uncalled, everybody has a turn in time."""

import itertools
import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.queue.scheduler import Scheduler
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start


class Observer:
    """Watches the ports each cycle and holds the scheduler to its contract.

    ``pending`` is the model: queue to the number of visits taken since its doorbell.
    """

    def __init__(self, dut: Any):
        self.dut = dut
        self.queues = parameters()["queues"]
        self.pending: dict[int, int] = {}
        self.visits: list[tuple[int, int]] = []
        self.doorbells: list[tuple[int, int]] = []
        self.cycle = 0
        self.longest = 0
        self._halted = False
        self._valid = False
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, edge = self.dut, RisingEdge(self.dut.clk)
        while True:
            await edge
            valid = bool(int(dut.visits_valid.value))
            taken = valid and int(dut.visits_ready.value)
            queue = int(dut.visits_queue.value)
            assert int(dut.doorbells_ready.value) or int(dut.rst.value)
            assert int(dut.idle.value) == (not valid)
            if self._halted:
                assert not valid or self._valid, "a visit was offered while halted"
            if taken:
                assert queue in self.pending, f"queue {queue} was visited uncalled"
                self.longest = max(self.longest, self.pending.pop(queue))
                self.pending = {key: count + 1 for key, count in self.pending.items()}
                self.visits.append((self.cycle, queue))
            if int(dut.clear_en.value):
                self.pending.pop(int(dut.clear_index.value), None)
            if int(dut.doorbells_valid.value) and int(dut.doorbells_ready.value):
                rung = int(dut.doorbells_queue.value)
                if rung < self.queues:
                    self.doorbells.append((self.cycle, rung))
                    self.pending.setdefault(rung, 0)
            self._halted = bool(int(dut.halt.value))
            self._valid = valid and not taken
            self.cycle += 1


async def _begin(dut: Any, doorbell_stall: float, visit_stall: float):
    dut.halt.value = 0
    dut.clear_en.value = 0
    dut.clear_index.value = 0
    doorbells = StreamSource(dut, "doorbells", random_stalls(doorbell_stall) if doorbell_stall else None)
    visits = StreamSink(dut, "visits", random_stalls(visit_stall) if visit_stall else None)
    await start(dut)
    return doorbells, visits, Observer(dut)


async def _cycles(dut: Any, count: int) -> None:
    for _ in range(count):
        await RisingEdge(dut.clk)


async def _settle(dut: Any) -> None:
    """Long enough for every pending queue to be visited through a stalling consumer."""
    await _cycles(dut, 16 * parameters()["queues"] + 64)


@cocotb.test()
async def no_doorbell_is_lost(dut):
    queues = parameters()["queues"]
    doorbells, _visits, seen = await _begin(dut, 0.3, 0.3)
    for _ in range(1500):
        doorbells.queue({"queue": random.randrange(queues + 3)})
    await doorbells.drained()
    await _settle(dut)
    assert not seen.pending
    assert seen.longest <= queues


@cocotb.test()
async def stalled_consumer_loses_nothing(dut):
    queues = parameters()["queues"]
    doorbells, _visits, seen = await _begin(dut, 0.5, 0.8)
    for _ in range(800):
        doorbells.queue({"queue": random.randrange(queues)})
    await doorbells.drained()
    await _settle(dut)
    assert not seen.pending


@cocotb.test()
async def one_doorbell_is_visited_in_time(dut):
    queues = parameters()["queues"]
    doorbells, visits, seen = await _begin(dut, 0, 0)
    for _ in range(150):
        await doorbells.send({"queue": random.randrange(queues)})
        await visits.receive()
        await _cycles(dut, random.randrange(4))
    delays = [v - d for (v, _), (d, _) in zip(seen.visits, seen.doorbells, strict=True)]
    assert set(delays) == {1}


@cocotb.test()
async def what_all_doorbells_carried_is_known_with_the_visit(dut):
    """The index of the latest doorbell, unless one of them since the last visit carried none."""
    queues = parameters()["queues"]
    doorbells, visits, seen = await _begin(dut, 0.3, 0.5)
    carried: dict[int, list[int | None]] = {}
    wanted = []

    def rung(payload):
        carried.setdefault(payload["queue"], []).append(payload["next"] if payload["carried"] else None)

    async def watch():
        while True:
            await RisingEdge(dut.clk)
            if wanted:
                known, idx = wanted.pop()
                assert int(dut.carried.value) == known
                assert not known or int(dut.next.value) == idx
            if int(dut.visits_valid.value) and int(dut.visits_ready.value):
                values = carried.pop(int(dut.visits_queue.value))
                wanted.append((None not in values, values[-1]))
            if int(dut.doorbells_valid.value) and int(dut.doorbells_queue.value) < queues:
                rung(
                    {key: int(getattr(dut, f"doorbells_{key}").value) for key in ("queue", "next", "carried")}
                )

    cocotb.start_soon(watch())
    for _ in range(1500):
        queue = random.randrange(min(queues, 4))
        carries = int(random.random() < 0.8)
        doorbells.queue({"queue": queue, "next": random.getrandbits(16), "carried": carries})
    await doorbells.drained()
    await _settle(dut)
    assert not carried
    assert not seen.pending
    assert len(seen.visits) == len(visits.received) > 100


@cocotb.test()
async def busy_queues_share_fairly_and_without_gaps(dut):
    """All queues ring again and again; each gets the same number of visits."""
    queues = parameters()["queues"]
    doorbells, _visits, seen = await _begin(dut, 0, 0)
    dut.halt.value = 1
    rounds = 5
    for _ in range(rounds):
        for queue in range(queues):
            doorbells.queue({"queue": queue})
    for _ in range(queues + 4):
        await RisingEdge(dut.clk)
    dut.halt.value = 0
    before = len(seen.visits)
    await _cycles(dut, queues)
    first = seen.visits[before : before + queues]
    # While all of them are pending there is a visit at least every other cycle.
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(first)]
    assert all(gap <= 2 for gap in gaps), gaps
    await doorbells.drained()
    await _settle(dut)
    assert not seen.pending
    assert seen.longest <= queues - 1 if queues > 1 else seen.longest == 0
    if queues > 1:
        counts = [sum(q == queue for _, q in seen.visits) for queue in range(queues)]
        assert max(counts) - min(counts) <= 1, counts


@cocotb.test()
async def a_loud_queue_does_not_starve_others(dut):
    queues = parameters()["queues"]
    doorbells, _visits, seen = await _begin(dut, 0, 0.4)
    loud = random.randrange(queues)
    for n in range(1200):
        doorbells.queue({"queue": loud if n % 10 else random.randrange(queues)})
    await doorbells.drained()
    await _settle(dut)
    assert not seen.pending
    assert seen.longest <= queues


@cocotb.test()
async def halt_keeps_pending_and_clear_forgets(dut):
    queues = parameters()["queues"]
    doorbells, _visits, seen = await _begin(dut, 0.2, 0.3)
    for _ in range(30):
        for _ in range(random.randrange(1, 20)):
            doorbells.queue({"queue": random.randrange(queues)})
        await _cycles(dut, random.randrange(12))
        dut.halt.value = 1
        await _cycles(dut, 30)
        assert int(dut.idle.value)
        for queue in range(queues):
            if random.random() < 0.5:
                dut.clear_en.value = 1
                dut.clear_index.value = queue
                await RisingEdge(dut.clk)
        dut.clear_en.value = 0
        await RisingEdge(dut.clk)
        dut.halt.value = 0
    await doorbells.drained()
    await _settle(dut)
    assert not seen.pending


@pytest.mark.parametrize("queues", [1, 20, pytest.param(256, marks=pytest.mark.slow)])
def test_scheduler(queues):
    run_bench(Scheduler(queues), "tb.queue.test_scheduler", parameters={"queues": queues})


@pytest.mark.parametrize("queues", [0, 1025])
def test_scheduler_refuses(queues):
    with pytest.raises(ValueError, match=f"queues is {queues}"):
        Scheduler(queues)
