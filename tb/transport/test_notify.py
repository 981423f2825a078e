# amaranth: UnusedElaboratable=no
"""Doorbells: the right queue, in order, none invented and none lost."""

import random
from typing import Any

import cocotb
import pytest
from cocotb.triggers import ReadOnly, RisingEdge

import ringwalker.transport.notify as notify_module
from ringwalker.config import DeviceConfig
from ringwalker.spec.modern import NOTIFY_BASE, NOTIFY_CONFIG_DATA, NOTIFY_MULTIPLIER
from ringwalker.transport.notify import Notify
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start


def _streams(dut: Any, stall: float) -> tuple[StreamSource, StreamSink, StreamSink]:
    stalls = (lambda: random_stalls(stall)) if stall else (lambda: None)
    return (
        StreamSource(dut, "registers_requests", stalls()),
        StreamSink(dut, "registers_responses", stalls()),
        StreamSink(dut, "doorbells", stalls()),
    )


def _random_request(queues: int) -> dict[str, int]:
    place = random.choice((random.randrange(queues), random.randrange(queues + 4), random.randrange(1024)))
    named = random.choice((place, place | NOTIFY_CONFIG_DATA, random.getrandbits(16)))
    return {
        "offset": random.choice((0, NOTIFY_BASE)) + 4 * place,
        "write": int(random.random() < 0.7),
        "strobe": random.choice((0b1111, 0b0011, 0b0001, 0)),
        "data": named | random.getrandbits(16) << 16,
    }


@cocotb.test()
async def doorbells_follow_writes(dut):
    queues = parameters()["queues"]
    dut.enable.value = 1
    dut.with_data.value = dut.config_data.value = 0
    requests, responses, doorbells = _streams(dut, 0.4)
    await start(dut)
    rung, reads = [], 0
    for n in range(1500):
        request = _random_request(queues)
        with_data, config_data = n >= 600, n >= 1100
        if n in (600, 1100):
            await requests.drained()
            dut.with_data.value, dut.config_data.value = int(with_data), int(config_data)
        place, odd = divmod(request["offset"] % 0x1000, NOTIFY_MULTIPLIER)
        if not request["write"]:
            reads += 1
        elif request["strobe"] and not odd and place < queues:
            name = place | NOTIFY_CONFIG_DATA if config_data else place
            carried = int(with_data and request["strobe"] == 0xF and request["data"] & 0xFFFF == name)
            rung.append({"queue": place, "next": request["data"] >> 16, "carried": carried})
        requests.queue(request)
    await requests.drained()
    for _ in range(50):
        await RisingEdge(dut.clk)
    assert list(doorbells.received) == rung
    assert len(responses.received) == reads
    assert all(response["data"] == 0 for response in responses.received)
    assert int(dut.idle.value)


@cocotb.test()
async def disabled_writes_are_ignored(dut):
    queues = parameters()["queues"]
    dut.enable.value = 0
    requests, responses, doorbells = _streams(dut, 0.2)
    await start(dut)
    for round_number in range(20):
        enabled = round_number % 2
        dut.enable.value = enabled
        await RisingEdge(dut.clk)
        before = len(doorbells.received)
        for _ in range(5):
            await requests.send({"offset": 4 * random.randrange(queues), "write": 1, "strobe": 0b0011})
        for _ in range(20):
            await RisingEdge(dut.clk)
        assert len(doorbells.received) - before == (5 if enabled else 0)
    assert not responses.received


@cocotb.test()
async def a_doorbell_rings_in_the_next_cycle(dut):
    """One cycle from write to doorbell, and one write a cycle."""
    queues = parameters()["queues"]
    dut.enable.value = 1
    requests, _responses, doorbells = _streams(dut, 0)
    await start(dut)
    taken: list[int] = []
    count = 100
    for n in range(count):
        requests.queue({"offset": 4 * (n % queues), "write": 1, "strobe": 0b1111})
    busy = 0
    while len(doorbells.received) < count:
        await RisingEdge(dut.clk)
        if taken:
            assert int(dut.doorbells_valid.value)
            assert int(dut.doorbells_queue.value) == taken.pop()
        if int(dut.registers_requests_valid.value):
            assert int(dut.registers_requests_ready.value)
            taken.append(int(dut.registers_requests_offset.value) // 4)
            busy += 1
        await ReadOnly()
        assert int(dut.idle.value) == (not int(dut.doorbells_valid.value))
    assert busy == count


@pytest.mark.parametrize("queues", [3, 256])
def test_notify(queues):
    component = Notify(DeviceConfig(queues=queues))
    run_bench(component, "tb.transport.test_notify", parameters={"queues": queues})


@pytest.mark.parametrize("multiplier", [2, 12, 8192])
def test_notify_refuses(monkeypatch, multiplier):
    monkeypatch.setattr(notify_module, "NOTIFY_MULTIPLIER", multiplier)
    with pytest.raises(ValueError, match=r"NOTIFY_MULTIPLIER is|do not fit"):
        Notify(DeviceConfig())
