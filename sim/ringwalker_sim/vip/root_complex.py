"""The guest behind a root complex of cocotbext-pcie that the testbench has."""

from collections.abc import Callable
from typing import Any

from cocotb.utils import get_sim_steps
from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.core.tlp import Tlp, TlpType

from ..engine.cocotb.memory import GuestRegion
from ..engine.cocotb.root_complex import TIMEOUT_US, RootComplexPort
from ..errors import ParameterError
from ..memory import GuestMemory
from .bus import BusError

__all__ = ["BehindRootComplex", "written_pieces"]

_READS = (TlpType.MEM_READ, TlpType.MEM_READ_64)
_WRITES = (TlpType.MEM_WRITE, TlpType.MEM_WRITE_64)

Watcher = Callable[[int, int, int, bool], None]
"""Takes the requester's id, address, length, and whether it is a write."""


def written_pieces(address: int, length: int, first_be: int, last_be: int) -> list[tuple[int, int]]:
    """Address and length of the runs of bytes that a write of ``length`` dwords enables."""
    enabled = [15] * length
    enabled[0] &= first_be
    if length > 1:
        enabled[-1] &= last_be
    pieces: list[tuple[int, int]] = []
    for at in range(4 * length):
        if not enabled[at // 4] >> at % 4 & 1:
            continue
        if pieces and sum(pieces[-1]) == address + at:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + 1)
        else:
            pieces.append((address + at, 1))
    return pieces


class BehindRootComplex(RootComplexPort):
    """A guest behind ``rc``. Its RAM is registered there, ``watch`` sees what devices do with memory.

    Errors of accesses: :class:`BusError` when the device does not answer.
    """

    def __init__(self, rc: RootComplex, memory: GuestMemory, clock_mhz: float):
        super().__init__(rc, memory, get_sim_steps(round(1_000_000 / clock_mhz), "ps"))
        self.clock_mhz = round(clock_mhz)
        self.max_payload = 128 << rc.max_payload_size
        try:
            rc.mem_address_space.find_regions(memory.base, memory.size)
            rc.mem_pool.register_region(GuestRegion(memory, self.now), memory.base)
        except ValueError as error:
            end = memory.base + memory.size
            raise ParameterError(
                f"guest RAM from {memory.base:#x} to {end:#x} does not fit into the root complex: {error}"
            ) from None
        self.watch: Watcher = lambda _requester, _address, _length, _write: None
        for kind in (*_READS, *_WRITES):
            rc.register_rx_tlp_handler(kind, self._watched(rc.rx_tlp_handler[kind], kind in _WRITES))

    @staticmethod
    def place(rc: RootComplex, size: int) -> int:
        """A free place for ``size`` bytes of RAM below 2 GiB. Errors: :class:`ParameterError`."""
        try:
            base = rc.mem_pool.allocator.alloc(size)
        except Exception as error:
            raise ParameterError(f"the root complex has no room for {size} bytes of RAM: {error}") from None
        return base

    def _watched(self, handle: Any, write: bool) -> Any:
        async def handler(tlp: Tlp) -> None:
            await handle(tlp)
            requester = int(tlp.requester_id)
            if write:
                for address, length in written_pieces(tlp.address, tlp.length, tlp.first_be, tlp.last_be):
                    self._show(requester, address, length, True)
            else:
                start = tlp.address + tlp.get_first_be_offset()
                self._show(requester, start, tlp.get_be_byte_count(), False)

        return handler

    def _show(self, requester: int, address: int, length: int, write: bool) -> None:
        # What is in the address space beside this RAM is the testbench's: messages, other memory.
        elsewhere = self.rc.mem_address_space.find_regions(address, max(length, 1))
        if self.memory.contains(address, length) or not elsewhere:
            self.watch(requester, address, length, write)

    def unanswered(self, address: int, size: int, why: str) -> None:
        """A read that is not answered ends the test; one that is refused gives all ones."""
        if why == "Timeout":
            raise BusError(f"the read of {size} bytes at {address:#x} is not answered in {TIMEOUT_US} us")
