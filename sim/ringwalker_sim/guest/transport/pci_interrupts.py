"""Interrupts of a virtio PCI function. Ref: virtio 1.4, 4.1.4.5 (ISR), 4.1.5.1.2 (MSI-X), 4.1.5.3."""

from collections.abc import Callable, Mapping
from typing import Protocol

from ringwalker.spec.modern import NO_VECTOR, IsrBit

from ..errors import BindError, DeviceError
from ..pci import PciDevice
from ..port import Task
from ..virtqueue import Virtqueue

__all__ = ["INTERRUPTS", "InterruptFace", "PciInterrupts"]

INTERRUPTS = ("msix", "msi", "intx")
"""Kinds of interrupts that a driver can use.

With MSI-X vector 0 is for configuration changes, and the others are for the queues, which share them if there
are too few. With MSI there is one message for all, and with INTx a line; the driver then reads the ISR.
"""


class InterruptFace(Protocol):
    """What a register face of ``pci`` has of interrupts."""

    pci: PciDevice

    async def num_queues(self) -> int:
        """Number of queues of the device."""
        ...

    async def read_isr(self) -> int:
        """Read the ISR status, which clears it."""
        ...

    async def set_config_vector(self, vector: int) -> int:
        """Write the vector of configuration changes; what it then reads."""
        ...


class PciInterrupts:
    """Delivers the interrupts of a function to its queues, ``vqs`` by index, and to ``config_changed``.

    ``mode`` is one of ``INTERRUPTS``. ``vectors`` is the number of MSI-X vectors in use.
    """

    def __init__(
        self,
        face: InterruptFace,
        mode: str,
        vqs: Mapping[int, Virtqueue],
        config_changed: Callable[[], None],
    ):
        if mode not in INTERRUPTS:
            raise ValueError(f"interrupt is {mode!r}; it must be one of {', '.join(INTERRUPTS)}")
        self._face = face
        self._pci = face.pci
        self._mode = mode
        self._vqs = vqs
        self._config_changed = config_changed
        self.vectors = 0
        self._event = self._pci.port.event()
        self._task: Task | None = None

    async def enable(self) -> None:
        """Enable the interrupts. Errors: :class:`BindError` when the function does not have them."""
        if self._mode != "msix":
            pci = self._pci
            await (pci.enable_msi if self._mode == "msi" else pci.enable_intx)(self._event.set)
            self._task = pci.port.start(self._serve_isr())
            return
        vectors = min(await self._pci.msix_vectors(), 1 + await self._face.num_queues())
        if vectors == 0:
            raise BindError(f"{self._pci.name}: the function has no MSI-X")
        await self._pci.enable_msix([self._callback(vector) for vector in range(vectors)])
        self.vectors = vectors
        await self.set_config_vector()

    async def disable(self) -> None:
        """Disable the interrupts."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            await self._pci.disable_msi()
        elif self.vectors:
            await self._pci.disable_msix()
            self.vectors = 0

    async def set_config_vector(self) -> None:
        """Write the vector of configuration changes. A device reset clears it."""
        if self.vectors and await self._face.set_config_vector(0) == NO_VECTOR:
            raise DeviceError(f"{self._pci.name}: no room for vector 0 of configuration changes")

    def queue_vector(self, index: int) -> int:
        """The vector of a queue."""
        return 1 + index % (self.vectors - 1) if self.vectors > 1 else 0

    def message(self, index: int) -> tuple[int, int] | None:
        """Address and data of the message of a queue; None unless it is of that queue alone."""
        vector = self.queue_vector(index)
        alone = [vq.index for vq in self._vqs.values() if self.queue_vector(vq.index) == vector] == [index]
        return self._pci.messages[vector] if vector and alone else None

    def _callback(self, vector: int) -> Callable[[], None]:
        def arrived() -> None:
            mine = [vq for vq in self._vqs.values() if self.queue_vector(vq.index) == vector]
            if len(mine) == 1 and vector:
                mine[0].interrupt()
                return
            for vq in mine:
                if vq.used_pending:
                    vq.interrupt()
            if vector == 0:
                self._config_changed()

        return arrived

    async def _serve_isr(self) -> None:
        """Read the ISR status until it is 0: a line may stay asserted from one cause to the next."""
        while True:
            await self._event.wait()
            self._event.clear()
            while causes := await self._face.read_isr():
                if causes & IsrBit.QUEUE:
                    for vq in tuple(self._vqs.values()):
                        if vq.used_pending:
                            vq.interrupt()
                if causes & IsrBit.CONFIG:
                    self._config_changed()
