"""The guest's side of a machine whose root complex is that of cocotbext-pcie."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, First, Timer
from cocotb.utils import get_sim_steps, get_sim_time
from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.core.utils import PcieId

from ...guest.port import Port
from ...memory import GuestMemory
from .endpoint import IntxRootPort, RtlEndpoint
from .memory import GuestRegion, IntxRegion

__all__ = ["CocotbEvent", "CocotbPort", "CocotbTask"]

_INTX_ADDRESS = 0x9000_0000
_TIMEOUT_US = 200
"""How long the CPU waits for the device before a read gives all ones."""


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


class CocotbEvent:
    """The :class:`~ringwalker_sim.guest.port.Event` of cocotb."""

    def __init__(self, cycle_steps: int):
        self._event = Event()
        self._cycle_steps = cycle_steps

    def set(self) -> None:
        """Raise the flag."""
        self._event.set()

    def clear(self) -> None:
        """Lower the flag."""
        self._event.clear()

    def is_set(self) -> bool:
        """Whether the flag is up."""
        return self._event.is_set()

    async def wait(self, timeout_cycles: int | None = None) -> bool:
        """True when the flag is up, False after ``timeout_cycles``."""
        if self._event.is_set():
            return True
        if timeout_cycles is None:
            await self._event.wait()
            return True
        await First(self._event.wait(), Timer(max(1, timeout_cycles) * self._cycle_steps, "step"))
        return self._event.is_set()


class CocotbTask:
    """The :class:`~ringwalker_sim.guest.port.Task` of cocotb."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]):
        self._finished = Event()
        self._result: Any = None
        self._error: BaseException | None = None
        self._joined = False
        self._task = cocotb.start_soon(self._run(coroutine))

    async def _run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self._result = await coroutine
        except Exception as error:
            if not self._joined:
                raise
            self._error = error
        finally:
            self._finished.set()

    async def join(self) -> Any:
        """Its result when it has ended; its exception is raised here."""
        self._joined = True
        await self._finished.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        """End it where it waits."""
        self._task.cancel()
        self._finished.set()


class CocotbPort(Port):
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
        self.memory = memory
        self.disk = disk
        self.clock_mhz = clock_mhz
        self.mmio32 = self.mmio64 = self.io = range(0)
        self.dut = dut
        self._faults = _listen()
        half_ps = round(1_000_000 / clock_mhz / 2)
        self.period_ps = 2 * half_ps
        self.cycle_steps = get_sim_steps(self.period_ps, "ps")
        self.max_payload = max_payload
        self.max_read_request = max_read_request
        self.rc = RootComplex()
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
        await self.rc.enumerate(timeout=_TIMEOUT_US, timeout_unit="us")
        await self._set_limits()

    async def _set_limits(self) -> None:
        for bus in self.rc.host_bridge.bus.children:
            for device in bus.devices:
                if not device.is_pcie():
                    continue
                self.endpoint.max_payload = 128 << await device.get_mps()
                await device.set_readrq(self.max_read_request.bit_length() - 8)
                self.endpoint.max_read_request = self.max_read_request

    # --- the bus -------------------------------------------------------------------------------------------

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space."""
        raw = await self.rc.config_read(PcieId.from_int(bdf), offset, size, _TIMEOUT_US, "us")
        return int.from_bytes(raw, "little")

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space."""
        raw = value.to_bytes(size, "little")
        await self.rc.config_write(PcieId.from_int(bdf), offset, raw, _TIMEOUT_US, "us")

    async def memory_read(self, address: int, size: int) -> int:
        """Read memory space."""
        return await self._read(self.rc.mem_read, address, size)

    async def memory_write(self, address: int, size: int, value: int) -> None:
        """Write memory space."""
        await self.rc.mem_write(address, value.to_bytes(size, "little"))

    async def io_read(self, address: int, size: int) -> int:
        """Read I/O space."""
        return await self._read(self.rc.io_read, address, size)

    async def io_write(self, address: int, size: int, value: int) -> None:
        """Write I/O space."""
        await self.rc.io_write(address, value.to_bytes(size, "little"), _TIMEOUT_US, "us")

    async def _read(self, read: Any, address: int, size: int) -> int:
        try:
            return int.from_bytes(await read(address, size, _TIMEOUT_US, "us"), "little")
        except Exception as error:
            # The model raises plain exceptions for an unsuccessful, a missing and an impossible completion.
            if type(error) is not Exception:
                raise
            return (1 << 8 * size) - 1

    # --- time and interrupts -------------------------------------------------------------------------------

    def now(self) -> int:
        """Clock cycles since the start."""
        return int(get_sim_time("step")) // self.cycle_steps

    async def sleep(self, cycles: int) -> None:
        """Let ``cycles`` pass."""
        if cycles > 0:
            await Timer(cycles * self.cycle_steps, "step")

    def event(self) -> CocotbEvent:
        """A new event."""
        return CocotbEvent(self.cycle_steps)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> CocotbTask:
        """Run ``coroutine`` beside the caller."""
        return CocotbTask(coroutine)

    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """A message address and data for ``callback``."""
        vector = self.rc.msi_alloc_vectors(1)[0]

        async def called() -> None:
            callback()

        vector.cb.append(called)
        return vector.addr, vector.data

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` runs when INTA is asserted."""
        self._intx.callbacks.append(callback)

    def tlps(self) -> dict[str, int]:
        """Packets on the link by kind."""
        return dict(sorted(self.endpoint.tlps.items()))
