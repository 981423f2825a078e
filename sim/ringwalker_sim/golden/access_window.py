"""The virtio PCI access window of the golden model. Ref: virtio 1.4, 4.1.4.9."""

from collections.abc import Callable

from ringwalker.spec.pci import VIRTIO_PCI_CAPABILITY

from .config_space import ConfigSpace, get_register

__all__ = ["AccessWindow"]

_SIZES = (1, 2, 4)


class AccessWindow:
    """The window of ``space`` into the BARs, which ``read(bar, offset, size)`` and ``write(..., value)``
    access. A window of a size that it cannot have shows 0.
    """

    def __init__(
        self,
        space: ConfigSpace,
        read: Callable[[int, int, int], int],
        write: Callable[[int, int, int, int], None],
    ):
        self.space = space
        self._read, self._write = read, write
        self._at = space.layout.places.get("window")

    def _aim(self) -> tuple[int, int, int] | None:
        assert self._at is not None
        names = ("bar", "offset", "size")
        bar, offset, size = (
            get_register(self.space.bytes, VIRTIO_PCI_CAPABILITY, name, self._at) for name in names
        )
        inside = bar in self.space.bars and offset + size <= self.space.bars[bar].size
        return (bar, offset, size) if inside and size in _SIZES and offset % size == 0 else None

    def covers(self, offset: int) -> bool:
        """Whether an access of configuration space at ``offset`` is one of the window."""
        if self._at is None:
            return False
        row = VIRTIO_PCI_CAPABILITY.window
        return self._at + row.offset <= offset < self._at + row.offset + row.size

    def read(self, offset: int, size: int) -> int:
        """Read through the window."""
        place, start = self._aim(), 8 * (offset % 4)
        return 0 if place is None else self._read(*place) >> start & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """Write through the window."""
        place = self._aim()
        if place is not None and offset % 4 == 0:
            self._write(*place, value & (1 << 8 * place[2]) - 1)
