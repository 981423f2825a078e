"""What a guest needs of a root complex of cocotbext-pcie: accesses, messages and time."""

from collections.abc import Callable
from typing import Any

from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.core.utils import PcieId

from ...guest.port import Port
from ...memory import GuestMemory
from .timing import CocotbTime

__all__ = ["TIMEOUT_US", "RootComplexPort"]

TIMEOUT_US = 200
"""How long the CPU waits for the device before a read gives all ones."""


class RootComplexPort(CocotbTime, Port):
    """A guest with the RAM ``memory`` behind the root complex ``rc``, whose devices have their addresses.

    The RAM is not registered with ``rc`` here. ``cycle_steps``: a cycle of the device's clock in steps of the
    simulator. There is no INTx: cocotbext-pcie knows no messages of it.
    """

    def __init__(self, rc: RootComplex, memory: GuestMemory, cycle_steps: int):
        self.rc = rc
        self.memory = memory
        self.cycle_steps = cycle_steps
        self.mmio32 = self.mmio64 = self.io = range(0)

    # --- the bus -------------------------------------------------------------------------------------------

    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space."""
        raw = await self.rc.config_read(PcieId.from_int(bdf), offset, size, TIMEOUT_US, "us")
        return int.from_bytes(raw, "little")

    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space."""
        raw = value.to_bytes(size, "little")
        await self.rc.config_write(PcieId.from_int(bdf), offset, raw, TIMEOUT_US, "us")

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
        await self.rc.io_write(address, value.to_bytes(size, "little"), TIMEOUT_US, "us")

    async def _read(self, read: Any, address: int, size: int) -> int:
        try:
            return int.from_bytes(await read(address, size, TIMEOUT_US, "us"), "little")
        except Exception as error:
            # The model raises plain exceptions for an unsuccessful, a missing and an impossible completion.
            if type(error) is not Exception:
                raise
            self.unanswered(address, size, str(error))
            return (1 << 8 * size) - 1

    def unanswered(self, address: int, size: int, why: str) -> None:
        """A read was not answered with data; it gives all ones."""

    # --- interrupts ----------------------------------------------------------------------------------------

    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """A message address and data for ``callback``."""
        vector = self.rc.msi_alloc_vectors(1)[0]

        async def called() -> None:
            callback()

        vector.cb.append(called)
        return vector.addr, vector.data

    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` would run on INTA, which does not come through."""
