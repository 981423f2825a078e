"""The device's way to guest RAM, watched."""

from collections.abc import Callable
from typing import Any

from ..memory import Access, GuestMemory
from .monitor import Monitor

__all__ = ["GuestDma"]


class GuestDma:
    """Guest RAM ``memory`` as a device reaches it. ``monitor`` sees each access; ``now()`` gives its time.

    ``read`` and ``write`` are what the slaves of cocotbext-axi ask of a ``target``. A model of a bus that is
    no coroutine uses :meth:`read_now` and :meth:`write_now`. Errors: :class:`~..memory.MemoryFault` outside
    of the RAM, which the monitor has seen by then.
    """

    def __init__(self, memory: GuestMemory, monitor: Monitor, now: Callable[[], int]):
        self.memory = memory
        self.monitor = monitor
        self._now = now

    def read_now(self, address: int, length: int) -> bytes:
        """``length`` bytes at ``address``, a bus address."""
        inside = self.memory.contains(address, length)
        content = self.memory.read(address, length) if inside else b""
        self.monitor.memory_read(address, length)
        self._note(address, length, False)
        return content if inside else self.memory.read(address, length)

    def write_now(self, address: int, content: Any) -> None:
        """Write bytes at ``address``, a bus address."""
        content = bytes(content)
        if self.memory.contains(address, len(content)):
            self.memory.write(address, content)
        self.monitor.memory_written(address, len(content))
        self._note(address, len(content), True)
        self.memory.view(address, len(content))

    def _note(self, address: int, length: int, write: bool) -> None:
        if self.memory.watches:
            self.memory.note_access(Access(self._now(), address, length, write))

    async def read(self, address: int, length: int, **_arguments: Any) -> bytes:
        """See :meth:`read_now`."""
        return self.read_now(address, length)

    async def write(self, address: int, content: Any, **_arguments: Any) -> None:
        """See :meth:`write_now`."""
        self.write_now(address, content)
