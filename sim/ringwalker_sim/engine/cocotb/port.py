"""The guest's side of a machine whose root complex is that of cocotbext-pcie."""

import logging
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_steps
from cocotbext.pcie.core import RootComplex

from ...memory import GuestMemory
from .endpoint import IntxRootPort, RtlEndpoint
from .memory import GuestRegion, IntxRegion
from .root_complex import TIMEOUT_US, RootComplexPort

__all__ = ["CocotbPort"]

_INTX_ADDRESS = 0x9000_0000


class _Faults(logging.Handler):
    """Keeps the root complex's complaints about the device's memory accesses; prints nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(("Memory", "Request crossed")):
            self.messages.append(text)


def _listen() -> _Faults:
    """Silence cocotbext-pcie, whose log takes more time than all the rest; keep its warnings."""
    log = logging.getLogger("cocotb.pcie")
    log.setLevel(logging.WARNING)
    log.propagate = False
    faults = _Faults()
    log.handlers = [faults]
    return faults


class CocotbPort(RootComplexPort):
    """RAM, bus and interrupts for a device ``dut`` with the ports of the generated top.

    ``await start_machine()`` starts the clock, resets the device and lets cocotbext-pcie enumerate; the
    driver then finds everything assigned. ``max_payload`` and ``max_read_request`` are in bytes, ``latency``
    (of host memory) in cycles; ``stalls`` makes an iterator for each stream by name. RAM must end below
    2 GiB. ``faults`` are the accesses of the device that the host refused.
    """

    def __init__(
        self,
        dut: Any,
        memory: GuestMemory,
        *,
        disk: Any = None,
        clock_mhz: int = 250,
        latency: int = 0,
        max_payload: int = 256,
        max_read_request: int = 512,
        stalls: Any = None,
    ):
        if memory.base + memory.size > 0x8000_0000:
            raise ValueError(
                f"guest RAM ends at {memory.base + memory.size:#x}; here it must end below 2 GiB"
            )
        self._faults = _listen()
        half_ps = round(1_000_000 / clock_mhz / 2)
        self.period_ps = 2 * half_ps
        super().__init__(RootComplex(), memory, get_sim_steps(self.period_ps, "ps"))
        self.disk = disk
        self.clock_mhz = clock_mhz
        self.dut = dut
        self.max_payload = max_payload
        self.max_read_request = max_read_request
        self.rc.max_payload_size = max_payload.bit_length() - 8
        self.rc.mem_pool.register_region(GuestRegion(memory, self.now), memory.base)
        self.endpoint = RtlEndpoint(dut, latency * self.cycle_steps, stalls)
        base: Any = self.rc.msi_region.get_absolute_address(0)
        self.endpoint.message_window = range(base, base + self.rc.msi_region.size)
        self.root_port = IntxRootPort()
        self.root_port.intx_address = _INTX_ADDRESS
        self.root_port.pcie_cap.max_payload_size_supported = self.rc.max_payload_size_supported
        self._intx = IntxRegion()
        self.rc.mem_address_space.register_region(self._intx, _INTX_ADDRESS)
        self.rc.make_port(bridge=self.root_port)
        self.root_port.connect(self.endpoint)

    @property
    def faults(self) -> list[str]:
        """What the host refused, in order."""
        return self._faults.messages

    async def start_machine(self, reset_cycles: int = 8) -> None:
        """Start the clock, hold ``rst``, and enumerate the bus."""
        cocotb.start_soon(Clock(self.dut.clk, self.period_ps, unit="ps").start())
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, reset_cycles)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        await self.rc.enumerate(timeout=TIMEOUT_US, timeout_unit="us")
        await self._set_limits()

    async def _set_limits(self) -> None:
        for bus in self.rc.host_bridge.bus.children:
            for device in bus.devices:
                if not device.is_pcie():
                    continue
                self.endpoint.max_payload = 128 << await device.get_mps()
                await device.set_readrq(self.max_read_request.bit_length() - 8)
                self.endpoint.max_read_request = self.max_read_request

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` runs when INTA is asserted."""
        self._intx.callbacks.append(callback)

    def tlps(self) -> dict[str, int]:
        """Packets on the link by kind."""
        return dict(sorted(self.endpoint.tlps.items()))
