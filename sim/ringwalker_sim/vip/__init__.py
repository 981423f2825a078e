"""The guest driver and the rules of virtio in somebody else's testbench, on cocotb.

Three lines attach them, to a root complex of cocotbext-pcie or to a memory-mapped bus::

    guest = Guest.behind(rc)                    # or Guest.on_bus(AxiMmio(dut))
    disk = await guest.probe()
    assert await disk.read(0, 1) == expected

``docs/vip.md`` says what is checked.
"""

from .axi import AxiMmio
from .bus import Bus, BusError
from .dma import GuestDma
from .guest import Guest
from .monitor import Monitor
from .rules import RULES, Finding, ProtocolError, Rule

__all__ = [
    "RULES",
    "AxiMmio",
    "Bus",
    "BusError",
    "Finding",
    "Guest",
    "GuestDma",
    "Monitor",
    "ProtocolError",
    "Rule",
]
