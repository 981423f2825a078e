"""The disk behind a reference device."""

from typing import Any

from ringwalker.spec.blk import SECTOR_BYTES

from ...conform.medium import DiskMedium

__all__ = ["ReferenceMedium"]


class ReferenceMedium(DiskMedium):
    """The disk of the model of ``port``."""

    def __init__(self, port: Any):
        self.port = port

    async def read(self, sector: int, count: int) -> bytes:
        """See :meth:`DiskMedium.read`."""
        return self.port.disk.read(sector * SECTOR_BYTES, count * SECTOR_BYTES).tobytes()

    async def resize(self, sectors: int) -> bool:
        """See :meth:`DiskMedium.resize`."""
        self.port.model.set_capacity(sectors)
        return True

    async def change_unmap(self) -> bool:
        """See :meth:`DiskMedium.change_unmap`."""
        change = getattr(self.port.model, "change_unmap", None)
        if change is not None:
            change()
        return change is not None
