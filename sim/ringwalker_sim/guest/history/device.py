"""``struct device``: the device under a virtio device at every stage.

It stands for the part of the kernel that the interfaces presuppose: an interrupt line with handlers, and the
detection of a device that has failed.
"""

from collections.abc import Callable
from typing import Any

from ...memory import GuestMemory
from ..bus import VirtioDevice
from ..errors import VirtioError
from ..port import Port

__all__ = ["device"]


class device:
    """The underlying device: ``core`` on the bus, ``port`` and ``memory`` of its machine.

    ``error`` is the exception behind a negative result of an operation, for messages.
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
        """The configuration operations of the device's transport."""
        return self.core.config

    def request_irq(self, handler: Callable[[], None]) -> None:
        """``handler()`` runs when the device interrupts."""
        self._handlers.append(handler)

    def free_irq(self) -> None:
        """Remove all handlers."""
        self._handlers.clear()

    def irq(self) -> None:
        """Run the handlers: the device interrupts. For implementations of the operations."""
        for handler in tuple(self._handlers):
            handler()

    def on_change(self, callback: Callable[[], None] | None) -> None:
        """``callback()`` runs on every configuration change notification."""
        self.transport.on_change(callback)

    async def needs_reset(self) -> bool:
        """Whether the device has set DEVICE_NEEDS_RESET."""
        return await self.transport.needs_reset()
