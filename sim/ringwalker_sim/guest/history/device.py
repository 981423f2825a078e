"""``struct device``: what lies under a virtio device at every stage, and what no stage of 2007 talks about.

It stands for the part of the kernel that the interfaces take for granted: an interrupt line that a handler
can be hung on, and somebody who notices that hardware is broken.
"""

from collections.abc import Callable
from typing import Any

from ...memory import GuestMemory
from ..bus import VirtioDevice
from ..errors import VirtioError
from ..port import Port

__all__ = ["device"]


class device:
    """The underlying device: ``core`` on the bus, ``port`` and ``memory`` of the machine it is in.

    ``error`` is why an operation gave a negative number, for messages.
    """

    def __init__(self, port: Port, core: VirtioDevice):
        self.port = port
        self.core = core
        self.error: VirtioError | None = None
        self._handlers: list[Callable[[], None]] = []

    @property
    def memory(self) -> GuestMemory:
        """The guest's RAM."""
        return self.port.memory

    @property
    def transport(self) -> Any:
        """The configuration operations of whatever carries the device."""
        return self.core.config

    def request_irq(self, handler: Callable[[], None]) -> None:
        """``handler()`` runs when the device interrupts."""
        self._handlers.append(handler)

    def free_irq(self) -> None:
        """No handler runs any more."""
        self._handlers.clear()

    def irq(self) -> None:
        """The device interrupts. For implementations of the operations."""
        for handler in tuple(self._handlers):
            handler()

    def on_change(self, callback: Callable[[], None] | None) -> None:
        """``callback()`` runs when the device interrupts because its configuration or health has changed."""
        self.transport.on_change(callback)

    async def needs_reset(self) -> bool:
        """Whether the device has failed."""
        return await self.transport.needs_reset()
