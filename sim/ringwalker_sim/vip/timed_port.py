"""A machine without PCI functions in cocotb's time."""

from cocotb.utils import get_sim_steps

from ..engine.cocotb.timing import CocotbTime
from ..guest.software_port import EmptyBus
from ..memory import GuestMemory

__all__ = ["TimedPort"]


class TimedPort(CocotbTime, EmptyBus):
    """Guest RAM ``memory``, and a clock of ``clock_mhz`` in which waiting counts."""

    def __init__(self, memory: GuestMemory, clock_mhz: float):
        self.memory = memory
        self.clock_mhz = round(clock_mhz)
        self.cycle_steps = get_sim_steps(round(1_000_000 / clock_mhz), "ps")
