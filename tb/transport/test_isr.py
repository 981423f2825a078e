"""The ISR byte against a model of two bits."""

import random

import cocotb
from cocotb.triggers import RisingEdge

from ringwalker.spec.modern import ISR, ISR_BASE, IsrBit
from ringwalker.transport.isr import Isr
from ringwalker_sim.testing import StreamSink, StreamSource, random_stalls, run_bench, start


@cocotb.test()
async def reading_clears_and_no_set_is_lost(dut):
    for name in ("set_queue", "set_config", "clear"):
        getattr(dut, name).value = 0
    requests = StreamSource(dut, "registers_requests", random_stalls(0.3))
    responses = StreamSink(dut, "registers_responses", random_stalls(0.3))
    await start(dut)
    bits, expected, collisions, raised = 0, [], 0, 0
    for _ in range(6000):
        if requests.pending < 3:
            offset = ISR.isr_status.offset if random.random() < 0.8 else 4 * random.randrange(1, 8)
            requests.queue(
                {
                    "offset": offset + random.choice((0, ISR_BASE)),
                    "write": int(random.random() < 0.2),
                    "strobe": random.choice((0b0001, 0b1111, 0b1110, 0)),
                    "data": random.getrandbits(32),
                }
            )
        set_queue, set_config = random.random() < 0.2, random.random() < 0.2
        clear = random.random() < 0.02
        dut.set_queue.value = int(set_queue)
        dut.set_config.value = int(set_config)
        dut.clear.value = int(clear)
        await RisingEdge(dut.clk)
        assert int(dut.asserted.value) == (bits != 0)
        assert (int(dut.bits.value), int(dut.raised.value)) == (bits, raised)
        if int(dut.registers_requests_valid.value) and int(dut.registers_requests_ready.value):
            at_status = int(dut.registers_requests_offset.value) % 0x1000 == ISR.isr_status.offset
            if not int(dut.registers_requests_write.value):
                expected.append(bits if at_status else 0)
                if at_status and int(dut.registers_requests_strobe.value) & 1:
                    bits = 0
                    collisions += set_queue or set_config
        arriving = (IsrBit.QUEUE if set_queue else 0) | (IsrBit.CONFIG if set_config else 0)
        raised, bits = arriving & ~bits, bits | arriving
        if clear:
            raised = bits = 0
    await requests.drained()
    for _ in range(20):
        await RisingEdge(dut.clk)
    values = [response["data"] for response in responses.received]
    assert values[: len(expected)] == expected
    assert len(values) - len(expected) <= 3
    assert collisions > 100


def test_isr():
    run_bench(Isr(), "tb.transport.test_isr")
