"""Notifications reach the right place: MSI-X vectors in order, ISR bits otherwise."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from ringwalker.spec.modern import NO_VECTOR
from ringwalker.transport.interrupt_router import InterruptRouter
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start

CONFIG_VECTOR = 0x7FF


class Pulses:
    """Counts the cycles of the two pulse outputs."""

    def __init__(self, dut: Any):
        self.dut = dut
        self.queue = 0
        self.config = 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            self.queue += int(self.dut.set_queue.value)
            self.config += int(self.dut.set_config.value)


async def _begin(dut: Any, stall: float, msix: bool):
    dut.config_change.value = dut.hold.value = dut.clear.value = 0
    dut.config_vector.value = CONFIG_VECTOR
    dut.msix_enable.value = int(msix)
    interrupts = StreamSource(dut, "interrupts", random_stalls(stall) if stall else None)
    vectors = StreamSink(dut, "vectors", random_stalls(stall) if stall else None)
    await start(dut)
    return interrupts, vectors, Pulses(dut)


async def _cycles(dut: Any, count: int) -> None:
    for _ in range(count):
        await RisingEdge(dut.clk)


async def _pulse_change(dut: Any) -> None:
    dut.config_change.value = 1
    await RisingEdge(dut.clk)
    dut.config_change.value = 0


@cocotb.test()
async def vectors_keep_their_order(dut):
    interrupts, vectors, pulses = await _begin(dut, 0.4, True)
    sent = [random.choice((random.randrange(4), NO_VECTOR)) for _ in range(800)]
    for vector in sent:
        interrupts.queue({"payload": vector})
    changes = 0
    while interrupts.pending:
        await _cycles(dut, random.randrange(40, 80))
        await _pulse_change(dut)
        changes += 1
    await _cycles(dut, 30)
    received = [item["payload"] for item in vectors.received]
    assert [v for v in received if v != CONFIG_VECTOR] == [v for v in sent if v != NO_VECTOR]
    assert received.count(CONFIG_VECTOR) == changes
    assert (pulses.queue, pulses.config) == (0, changes)
    assert int(dut.idle.value)


@cocotb.test()
async def changes_wait_while_they_are_held_and_used_buffers_do_not(dut):
    interrupts, vectors, _pulses = await _begin(dut, 0, True)
    for forgotten in (False, True):
        vectors.received.clear()
        dut.hold.value = 1
        await _pulse_change(dut)
        interrupts.queue({"payload": 3})
        await _cycles(dut, 10)
        assert [item["payload"] for item in vectors.received] == [3]
        assert int(dut.idle.value), "what is held does not count"
        if forgotten:
            dut.clear.value = 1
            await RisingEdge(dut.clk)
            dut.clear.value = 0
        dut.hold.value = 0
        await _cycles(dut, 10)
        assert [item["payload"] for item in vectors.received] == ([3] if forgotten else [3, CONFIG_VECTOR])


@cocotb.test()
async def without_msix_the_isr_is_set(dut):
    interrupts, vectors, pulses = await _begin(dut, 0.3, False)
    count, changes = 200, 9
    for _ in range(count):
        interrupts.queue({"payload": random.choice((1, NO_VECTOR))})
    for _ in range(changes):
        await _cycles(dut, 25)
        await _pulse_change(dut)
    await interrupts.drained()
    await _cycles(dut, 10)
    assert (pulses.queue, pulses.config) == (count, changes)
    assert not vectors.received
    assert int(dut.idle.value)


@cocotb.test()
async def configuration_changes_coalesce_but_the_last_is_sent(dut):
    _interrupts, vectors, _pulses = await _begin(dut, 0, True)
    for _ in range(50):
        # While the consumer does not take the first vector, any number of changes become one more.
        vectors.stalls = iter([True] * 20 + [False] * 1000)
        await _cycles(dut, 2)
        before = len(vectors.received)
        for _ in range(random.randrange(2, 7)):
            await _pulse_change(dut)
            await _cycles(dut, random.randrange(2))
        assert not int(dut.idle.value)
        await _cycles(dut, 40)
        assert len(vectors.received) - before == 2
        assert int(dut.idle.value)


@cocotb.test()
async def configuration_changes_without_vector_only_set_the_isr(dut):
    _interrupts, vectors, pulses = await _begin(dut, 0, True)
    dut.config_vector.value = NO_VECTOR
    await _pulse_change(dut)
    await _cycles(dut, 20)
    dut.config_vector.value = CONFIG_VECTOR
    await _cycles(dut, 20)
    assert not vectors.received
    assert (pulses.queue, pulses.config) == (0, 1)
    assert int(dut.idle.value)


@cocotb.test()
async def endless_changes_do_not_starve_used_buffers(dut):
    interrupts, vectors, _pulses = await _begin(dut, 0, True)
    for n in range(100):
        interrupts.queue({"payload": n})
    dut.config_change.value = 1
    await _cycles(dut, 210)
    dut.config_change.value = 0
    received = [item["payload"] for item in vectors.received]
    assert [v for v in received if v != CONFIG_VECTOR] == list(range(100))
    assert received.count(CONFIG_VECTOR) >= 99


@cocotb.test()
async def one_notification_a_cycle(dut):
    interrupts, vectors, _pulses = await _begin(dut, 0, True)
    for n in range(100):
        interrupts.queue({"payload": n})
    await _cycles(dut, 104)
    assert len(vectors.received) == 100


def test_interrupt_router():
    run_bench(InterruptRouter(), "tb.transport.test_interrupt_router")
