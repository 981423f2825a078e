"""SegmentStore against sets and dicts."""

import itertools
import random

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.queue.chain.store import SegmentStore
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.walker import until


async def pulse(dut, port, **values):
    getattr(dut, f"{port}_en").value = 1
    for key, value in values.items():
        getattr(dut, f"{port}_{key}").value = value
    await RisingEdge(dut.clk)
    getattr(dut, f"{port}_en").value = 0


async def look(dut, port, index):
    await pulse(dut, port, index=index)
    await RisingEdge(dut.clk)
    return {key: int(getattr(dut, f"{port}_{key}").value) for key in ("address", "length", "next")}


async def begin(dut, stall):
    free = [StreamSource(dut, f"free{n}", random_stalls(stall)) for n in range(2)]
    drops = StreamSource(dut, "drops", random_stalls(stall))
    taken = StreamSink(dut, "allocate", random_stalls(stall))
    for port in ("write", "link", "read0", "read1"):
        getattr(dut, f"{port}_en").value = 0
        getattr(dut, f"{port}_index").value = 0
    dut.write_address.value = dut.write_length.value = dut.link_next.value = 0
    await start(dut)
    return free, drops, taken


@cocotb.test(timeout_time=100, timeout_unit="us")
async def every_segment_is_handed_out_once_and_comes_back(dut):
    depth = parameters()["depth"]
    free, drops, taken = await begin(dut, 0.3)
    held, links = [], {}
    for _round in range(40):
        for _ in range(random.randint(1, depth)):
            if len(held) == depth:
                break
            index = (await taken.receive())["payload"]
            assert index < depth
            assert index not in held, "handed out twice"
            held.append(index)
        random.shuffle(held)
        give = [held.pop() for _ in range(random.randint(0, len(held)))]
        if random.random() < 0.5 and give:
            for index, after in itertools.pairwise(give):
                links[index] = after
                await pulse(dut, "link", index=index, next=after)
            drops.queue({"first": give[0], "count": len(give)})
        else:
            for index in give:
                random.choice(free).queue({"payload": index})
    for index in held:
        free[0].queue({"payload": index})
    taken.stalls = iter([True] * 100000)
    await free[0].drained()
    await free[1].drained()
    await drops.drained()
    # What the sink took ahead of time goes back too.
    await until(dut, lambda: not int(dut.allocate_ready.value))
    while taken.received:
        free[1].queue({"payload": taken.received.popleft()["payload"]})
    await until(dut, lambda: bool(int(dut.idle.value)))
    assert int(dut.available.value) == depth


@cocotb.test(timeout_time=100, timeout_unit="us")
async def all_are_there_within_depth_cycles(dut):
    depth = parameters()["depth"]
    for name in ("free0", "free1", "drops"):
        StreamSource(dut, name)
    dut.allocate_ready.value = 0
    await start(dut)
    assert await until(dut, lambda: bool(int(dut.idle.value))) <= depth
    dut.allocate_ready.value = 1
    seen = []
    for _ in range(depth):
        await RisingEdge(dut.clk)
        assert int(dut.allocate_valid.value)
        seen.append(int(dut.allocate_payload.value))
    assert sorted(seen) == list(range(depth))


@cocotb.test(timeout_time=100, timeout_unit="us")
async def content_is_kept_and_links_are_apart(dut):
    depth = parameters()["depth"]
    await begin(dut, 0.1)
    content = {}
    for index in random.sample(range(depth), depth):
        content[index] = {
            "address": random.getrandbits(64),
            "length": random.getrandbits(32),
            "next": random.randrange(depth),
        }
        await pulse(dut, "link", index=index, next=content[index]["next"])
        await pulse(
            dut, "write", index=index, address=content[index]["address"], length=content[index]["length"]
        )
    for index in random.sample(range(depth), depth):
        for port in ("read0", "read1"):
            assert await look(dut, port, index) == content[index]


@pytest.mark.parametrize("depth", [24])
def test_segment_store(depth):
    run_bench(SegmentStore(depth), "tb.queue.chain.test_store", parameters={"depth": depth})
