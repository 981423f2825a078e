"""SharedReads: two clients, one reader."""

import random

import cocotb
import pytest
from cocotb.triggers import ClockCycles

from ringwalker.dma.shared_reads import SharedReads
from ringwalker_sim.testing import StreamSink, StreamSource, parameters, random_stalls, run_bench, start
from ringwalker_sim.testing.walker import DmaReadModel, until

MODULE = "tb.dma.test_shared_reads"


@cocotb.test(timeout_time=200, timeout_unit="us")
async def each_client_gets_its_own_answers_in_order(dut):
    width = parameters()["width"]
    memory = bytearray(random.randbytes(4096))
    read = DmaReadModel(
        dut,
        "read",
        memory,
        width,
        latency=(1, 20),
        stalls=random_stalls(0.4),
        data_stalls=random_stalls(0.2),
        fails=lambda address: address % 64 == 0,
    )
    requests = [StreamSource(dut, f"port{n}_requests", random_stalls(0.3)) for n in range(2)]
    answers = [StreamSink(dut, f"port{n}_data", random_stalls(0.3)) for n in range(2)]
    await start(dut)
    assert int(dut.idle.value)
    asked = [[], []]
    for _ in range(300):
        client, address, length = random.getrandbits(1), 4 * random.randrange(900), random.choice([2, 4, 100])
        asked[client].append((address, length))
        requests[client].queue({"address": address, "length": length})
        await ClockCycles(dut.clk, random.choice([0, 0, 1, 6]))
    for client in range(2):
        for address, length in asked[client]:
            beats = await answers[client].receive_packet()
            assert {beat["error"] for beat in beats} == {int(address % 64 == 0)}
            data = b"".join(beat["data"].to_bytes(width // 8, "little") for beat in beats)
            assert address % 64 == 0 or data[:length] == memory[address : address + length]
    await until(dut, lambda: bool(int(dut.idle.value)))
    assert len(read.requests) == 300


@cocotb.test(timeout_time=200, timeout_unit="us")
async def the_first_client_goes_first(dut):
    width = parameters()["width"]
    read = DmaReadModel(dut, "read", bytearray(4096), width, stalls=random_stalls(0.5))
    requests = [StreamSource(dut, f"port{n}_requests") for n in range(2)]
    _answers = [StreamSink(dut, f"port{n}_data") for n in range(2)]
    await start(dut)
    for _ in range(10):
        for client in range(2):
            requests[client].queue({"address": 1024 * client, "length": 4})
    await until(dut, lambda: len(read.requests) == 20)
    order = [address // 1024 for address, _length in read.requests]
    # One of the other may have been offered already when the next came.
    assert sum(order[:10]) <= 1
    await until(dut, lambda: bool(int(dut.idle.value)))


@pytest.mark.parametrize("width", [64])
def test_shared_reads(width):
    run_bench(SharedReads(width, 4), MODULE, parameters={"width": width})
