"""The reset sequencer: the right rows, in order, only when everything is idle."""

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import NO_VECTOR
from ringwalker.transport.reset_sequencer import CLOSE_CYCLES, QUIET_CYCLES, ResetSequencer
from ringwalker_sim.testing import run_bench, start

QUEUES = 5
QUEUE_SIZE = 128
FEATURES = 1 << Feature.VERSION_1 | 1 << Feature.RING_RESET
ROW_FIELDS = ("desc", "driver", "device", "size", "vector", "enable", "reserved")
RESET_ROW = dict.fromkeys(ROW_FIELDS, 0) | {"size": QUEUE_SIZE, "vector": NO_VECTOR}


async def _cycles(dut: Any, count: int) -> None:
    for _ in range(count):
        await RisingEdge(dut.clk)


class SequencerObserver:
    """Records what the sequencer does and checks the order of it."""

    def __init__(self, dut: Any):
        self.dut = dut
        self.rows: list[int] = []
        self.events: list[str] = []
        self.quiet = 0
        self.closed = 0
        self.cycles = 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.clk)
            if int(dut.rst.value):
                continue
            self.cycles += 1
            writing = int(dut.table_write_en.value)
            assert int(dut.clear_en.value) == writing
            assert not writing or (int(dut.halt.value) and not int(dut.ready.value))
            if writing:
                row = {name: int(getattr(dut, f"table_write_row_{name}").value) for name in ROW_FIELDS}
                assert row == RESET_ROW
                assert int(dut.table_write_mask.value) == 0xFFFF_FFFF
                assert int(dut.clear_index.value) == int(dut.table_write_index.value)
                if self.events:
                    assert self.closed >= CLOSE_CYCLES, "the register face was not closed in time"
                self.rows.append(int(dut.table_write_index.value))
            else:
                self.closed = 0 if int(dut.ready.value) else self.closed + 1
            for name in ("clearing", "device_done", "queue_done"):
                if int(getattr(dut, name).value):
                    self.events.append(name)
            if not int(dut.ready.value) and self.closed == 1 and self.cycles > QUEUES + 2:
                assert self.quiet >= QUIET_CYCLES, "the device was not idle for long enough"
            self.quiet = self.quiet + 1 if int(dut.idle.value) and int(dut.halt.value) else 0


async def _begin_alone(dut: Any) -> SequencerObserver:
    for name in ("device_request", "queue_request", "queue_index", "idle"):
        getattr(dut, name).value = 0
    seen = SequencerObserver(dut)
    await start(dut)
    return seen


async def _wait_for(dut: Any, name: str, jitter: bool = True, limit: int = 2000) -> None:
    """Until pulse ``name``, with ``idle`` toggling at random first and then staying up."""
    for cycle in range(limit):
        dut.idle.value = int(not jitter or cycle > 60 or random.random() < 0.8)
        await RisingEdge(dut.clk)
        if int(getattr(dut, name).value):
            return
    raise AssertionError(f"no {name} in {limit} cycles")


@cocotb.test()
async def power_up_rewrites_all_rows(dut):
    seen = await _begin_alone(dut)
    await _cycles(dut, QUEUES + 3)
    assert seen.rows == list(range(QUEUES))
    assert seen.events == []
    assert int(dut.ready.value)
    assert not int(dut.halt.value)


@cocotb.test()
async def requests_are_carried_out_once_idle(dut):
    seen = await _begin_alone(dut)
    await _cycles(dut, QUEUES + 3)
    for _ in range(60):
        seen.rows.clear()
        seen.events.clear()
        seen.events.append("begin")
        whole = random.random() < 0.4
        queue = random.randrange(QUEUES)
        dut.queue_index.value = queue
        (dut.device_request if whole else dut.queue_request).value = 1
        dut.idle.value = 0
        await _cycles(dut, random.randrange(3, 60))
        assert int(dut.halt.value)
        assert int(dut.ready.value), "registers must be served while the device drains"
        assert not seen.rows
        await _wait_for(dut, "device_done" if whole else "queue_done")
        dut.device_request.value = 0
        dut.queue_request.value = 0
        await _cycles(dut, 2)
        assert not int(dut.halt.value)
        assert seen.rows == (list(range(QUEUES)) if whole else [queue])
        assert seen.events[1:] == (["clearing", "device_done"] if whole else ["queue_done"])
        await _cycles(dut, random.randrange(5))


@cocotb.test()
async def a_device_request_overtakes_a_queue_request(dut):
    seen = await _begin_alone(dut)
    await _cycles(dut, QUEUES + 3)
    seen.rows.clear()
    seen.events.append("begin")
    dut.queue_request.value = 1
    dut.queue_index.value = 2
    await _cycles(dut, 20)
    dut.device_request.value = 1
    await _wait_for(dut, "device_done")
    dut.queue_request.value = 0
    dut.device_request.value = 0
    await _cycles(dut, 100)
    assert seen.rows == list(range(QUEUES))
    assert seen.events[1:] == ["clearing", "device_done"]


@cocotb.test()
async def whole_says_whose_idleness_counts(dut):
    seen = await _begin_alone(dut)
    await _cycles(dut, QUEUES + 3)
    for device in (False, True, False, False, True):
        (dut.device_request if device else dut.queue_request).value = 1
        await _cycles(dut, 3)
        for _ in range(30):
            assert int(dut.halt.value)
            assert int(dut.whole.value) == device
            await RisingEdge(dut.clk)
        await _wait_for(dut, "device_done" if device else "queue_done", jitter=False)
        dut.device_request.value = 0
        dut.queue_request.value = 0
        dut.idle.value = 0
        await _cycles(dut, 5)
    assert seen.events.count("device_done") == 2


@cocotb.test()
async def idleness_of_the_queue_alone_does_not_count_for_the_device(dut):
    seen = await _begin_alone(dut)
    await _cycles(dut, QUEUES + 3)
    for early in range(1, QUIET_CYCLES):
        seen.events.clear()
        seen.events.append("begin")
        dut.queue_request.value = 1
        dut.queue_index.value = 1
        await _cycles(dut, 4)
        # The lane of the queue has been idle for almost long enough when the driver resets the device.
        dut.idle.value = 1
        await _cycles(dut, early)
        dut.device_request.value = 1
        await _cycles(dut, 2)
        assert int(dut.whole.value)
        dut.idle.value = 0
        await _cycles(dut, 50)
        assert seen.events == ["begin"]
        await _wait_for(dut, "device_done", jitter=False)
        dut.queue_request.value = 0
        dut.device_request.value = 0
        dut.idle.value = 0
        await _cycles(dut, 5)
        assert seen.events[1:] == ["clearing", "device_done"]


def test_reset_sequencer():
    config = DeviceConfig(queues=QUEUES, queue_size=QUEUE_SIZE)
    run_bench(ResetSequencer(config), "tb.transport.test_reset_sequencer")
