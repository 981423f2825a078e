"""The disk behind the device's storage port, as a part of the native engine."""

from typing import TYPE_CHECKING, ClassVar

from ringwalker.streams import StorageOp

from ...disk_image import DiskImage
from .peripheral import HANDLE, POINTER, U32, U64, Functions, Peripheral

if TYPE_CHECKING:
    from .engine import NativeEngine

__all__ = ["StoragePeripheral"]


class StoragePeripheral(Peripheral):
    """The engine's ``disk``; without one a blank disk in memory, of the configured capacity."""

    functions: ClassVar[Functions] = {
        "rw_storage_attach": (None, [HANDLE, POINTER, U64, U32]),
        "rw_storage_attach_file": (None, [HANDLE, U32, U64, U32]),
        "rw_storage_capacity": (None, [HANDLE, U64]),
        "rw_storage_fail": (None, [HANDLE, U64]),
    }

    def __init__(self, engine: "NativeEngine"):
        super().__init__(engine)
        # A function of one's own may have storage and say nothing of its size.
        capacity = getattr(getattr(engine.config, "settings", None), "capacity", 0)
        if engine.disk is None and capacity:
            engine.disk = DiskImage.blank(capacity)
        self._disk = disk = engine.disk
        if disk is not None and disk.in_memory:
            self._call("rw_storage_attach", disk.array.ctypes.data, disk.size, int(disk.read_only))
        elif disk is not None:
            self._call("rw_storage_attach_file", disk.descriptor, disk.size, int(disk.read_only))

    def set_capacity(self, sectors: int) -> None:
        """Drive the device's ``capacity`` port; the image behind the storage port stays as it is."""
        self._call("rw_storage_capacity", sectors)

    def inject_error(self, nth: int = 0) -> None:
        """Let the ``nth`` read or write from now fail; 0 is the next."""
        self._call("rw_storage_fail", nth)

    def failed(self, op: StorageOp, offset: int, number: int) -> None:
        """The store under the disk has refused ``op``; see :meth:`~..disk_image.DiskImage.failed`."""
        if self._disk is not None:
            self._disk.failed(op, offset, number)
