"""A testbench with a root complex of cocotbext-pcie; the device under it is the Verilog of Ringwalker."""

import logging
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer
from cocotbext.pcie.core import RootComplex

from ringwalker_sim.vip import Guest
from ringwalker_sim.vip.endpoint import RtlEndpoint


async def give_noise(dut: Any) -> None:
    """Random bytes for the device's noise port: a number that counts, to be recognised."""
    number = 0
    dut.noise_valid.value = 1
    while True:
        dut.noise_payload.value = number
        await RisingEdge(dut.clk)
        number += int(dut.noise_ready.value)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def device_works(dut: Any) -> None:
    """It is enumerated, gets its addresses, and fills buffers."""
    logging.getLogger("cocotb.pcie").setLevel(logging.ERROR)
    dut.rst.value = 1
    dut.noise_valid.value = dut.noise_payload.value = 0
    rc = RootComplex()
    rc.make_port().connect(RtlEndpoint(dut))
    await Timer(4, "ns")  # All inputs are known before the first edge of the clock.
    cocotb.start_soon(Clock(dut.clk, 4, unit="ns").start())
    await ClockCycles(dut.clk, 8)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)
    cocotb.start_soon(give_noise(dut))

    await rc.enumerate(timeout=100, timeout_unit="us")
    guest = Guest.behind(rc, memory_bytes=1 << 20, clock_mhz=250)
    source = await guest.probe(buffer_bytes=256)
    content = await source.read(256)
    numbers = [int.from_bytes(content[at : at + 8], "little") for at in range(0, 256, 8)]
    assert numbers == list(range(numbers[0], numbers[0] + 32))

    await guest.close()
    dut._log.info("checked:\n%s", guest.report())
