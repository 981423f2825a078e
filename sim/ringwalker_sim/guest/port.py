"""The interface between guest drivers and the machine that they run on.

An engine supplies a :class:`Port`. Driver code waits with its primitives only, never with those of an event
loop, so the same coroutines run under cocotb's scheduler and under the one in :mod:`.loop`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from ..memory import GuestMemory

__all__ = ["Event", "Port", "Task", "bdf_name", "make_bdf"]


def make_bdf(bus: int, device: int, function: int = 0) -> int:
    """Bus, device and function as the 16-bit number that PCI Express calls a requester or completer id."""
    return bus << 8 | device << 3 | function


def bdf_name(bdf: int) -> str:
    """``bus:device.function`` as lspci prints it."""
    return f"{bdf >> 8:02x}:{bdf >> 3 & 0x1F:02x}.{bdf & 7}"


class Event(Protocol):
    """A flag that coroutines wait for."""

    def set(self) -> None:
        """Raise the flag and wake all coroutines that wait. May be called from callbacks."""
        ...

    def clear(self) -> None:
        """Lower the flag."""
        ...

    async def wait(self, timeout_cycles: int | None = None) -> bool:
        """Wait until the flag is up (then True) or ``timeout_cycles`` have passed (then False)."""
        ...


class Task(Protocol):
    """A coroutine that runs concurrently with others."""

    async def join(self) -> Any:
        """Wait for its end; its result, or its exception raised here."""
        ...

    def cancel(self) -> None:
        """End it where it waits. No effect when it has ended already."""
        ...


class Port(ABC):
    """The guest's side of a machine: RAM, configuration space, MMIO and I/O space, interrupts and time.

    Addresses are in bytes; ``size`` is 1, 2 or 4 and accesses are naturally aligned; values are little-endian
    unsigned integers. An unmapped read, or one answered with Unsupported Request, gives all ones.

    ``memory``: the guest's RAM.
    ``disk``: the :class:`~..disk_image.DiskImage` behind the device's storage port where the engine has one,
    only for checks of what the device wrote.
    ``recorder``: a :class:`~.recorder.Recorder` of what drivers do, if there is one.
    ``timeline``: a :class:`~..timeline.recording.Recording` of when they do it, if there is one.
    ``mmio32``, ``mmio64``, ``io``: address ranges for base address registers; empty when something else
    assigns them. ``max_payload`` and ``max_read_request``, in bytes, are the limits of the root complex.
    """

    memory: GuestMemory
    disk: Any = None
    recorder: Any = None
    timeline: Any = None
    clock_mhz: int = 250
    max_payload: int = 128
    max_read_request: int = 512
    mmio32: range = range(0xC000_0000, 0xE000_0000)
    mmio64: range = range(0x40_0000_0000, 0x80_0000_0000)
    io: range = range(0x1000, 0x1_0000)

    @abstractmethod
    async def config_read(self, bdf: int, offset: int, size: int) -> int:
        """Read configuration space of function ``bdf`` at byte ``offset``."""

    @abstractmethod
    async def config_write(self, bdf: int, offset: int, size: int, value: int) -> None:
        """Write configuration space; returns when the completion has come."""

    @abstractmethod
    async def memory_read(self, address: int, size: int) -> int:
        """Read memory space outside RAM, after all earlier posted writes have reached the device."""

    @abstractmethod
    async def memory_write(self, address: int, size: int, value: int) -> None:
        """Write memory space. Posted: may return before the write has reached the device."""

    @abstractmethod
    async def io_read(self, address: int, size: int) -> int:
        """Read I/O space."""

    @abstractmethod
    async def io_write(self, address: int, size: int, value: int) -> None:
        """Write I/O space; returns when the completion has come."""

    @abstractmethod
    def now(self) -> int:
        """Clock cycles of the device since the start."""

    @abstractmethod
    async def sleep(self, cycles: int) -> None:
        """Let ``cycles`` of the device's clock pass."""

    @abstractmethod
    def event(self) -> Event:
        """A new event, not set."""

    @abstractmethod
    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Run ``coroutine`` concurrently with the caller."""

    @abstractmethod
    def msi_target(self, callback: Callable[[], None]) -> tuple[int, int]:
        """A message address and data; ``callback`` runs whenever that message arrives."""

    @abstractmethod
    def intx_handler(self, callback: Callable[[], None]) -> None:
        """``callback`` runs on every assertion of INTA (the edge, not the level)."""

    def trace(self, on: bool) -> None:
        """Record waves from now on, or stop. No effect on an engine that records all or nothing."""
        return

    def tlps(self) -> dict[str, int]:
        """Packets on the link so far, by kind; empty when the engine does not count them."""
        return {}
