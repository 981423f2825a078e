"""A testbench of virtio_disk.v: the guest and the rules of virtio are the VIP's."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from ringwalker_sim.vip import AxiMmio, Guest


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def disk_works(dut: Any) -> None:
    """What is written can be read again, also with several requests at a time."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.rst.value = 1
    guest = Guest.on_bus(AxiMmio(dut, registers="s_axil", dma="m_axil"), memory=1 << 20, patience=2000)
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 4)

    disk = await guest.probe()
    assert disk.capacity == 16
    content = bytes(range(256)) * 4
    await disk.write(3, content)
    assert await disk.read(3, 2) == content
    reads = [cocotb.start_soon(disk.read(sector, 1)) for sector in (3, 4)]
    assert b"".join([await read for read in reads]) == content

    await guest.close()
    dut._log.info("checked:\n%s", guest.report())
