"""Guest RAM: a numpy array over a mapping, so that only what is touched costs memory.

Addresses are guest physical addresses in bytes. Layouts of the specification (``data.Struct`` classes) become
numpy dtypes, so rings are read and written in place.
"""

import mmap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data

from .allocator import Allocator, MemoryFault

__all__ = [
    "PAGE",
    "Access",
    "Buffer",
    "GuestMemory",
    "MemoryFault",
    "ScatterGather",
    "Watch",
    "anonymous",
    "dtype_of",
    "scatter_gather",
]

PAGE = 4096

_MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
"""Python knows the name from 3.13 on; this is its value on Linux."""

ScatterGather = list[tuple[int, int]]
"""Pieces of guest memory in order: (address, length in bytes)."""


@cache
def dtype_of(struct: Any) -> np.dtype:
    """The numpy dtype of a ``data.Struct`` class or ``data.Layout``: little-endian, offsets from the layout.

    Errors: ``ValueError`` for a field that does not start on a byte or is not 8, 16, 32 or 64 bits wide.
    """
    layout: Any = data.Layout.cast(struct)
    names, formats, offsets = [], [], []
    for name, item in layout:
        if item.offset % 8:
            raise ValueError(f"field {name!r} of {struct!r} starts at bit {item.offset}, not on a byte")
        names.append(str(name))
        formats.append(_format_of(struct, name, item.shape))
        offsets.append(item.offset // 8)
    size = (layout.size + 7) // 8
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


def _format_of(struct: Any, name: object, shape: Any) -> Any:
    if isinstance(shape, data.ArrayLayout):
        return (_format_of(struct, name, shape.elem_shape), (shape.length,))
    if isinstance(shape, data.Layout) or (isinstance(shape, type) and issubclass(shape, data.Struct)):
        return dtype_of(shape)
    cast = Shape.cast(shape)
    if cast.width not in (8, 16, 32, 64):
        raise ValueError(
            f"field {name!r} of {struct!r} is {cast.width} bits wide; numpy has 8, 16, 32 and 64"
        )
    return np.dtype(f"<{'i' if cast.signed else 'u'}{cast.width // 8}")


def scatter_gather(pieces: Iterable["Buffer | tuple[int, int]"]) -> ScatterGather:
    """The (address, length) list of buffers and pieces, in order."""
    return [(p.address, p.length) if isinstance(p, Buffer) else p for p in pieces]


def anonymous(size: int) -> np.ndarray:
    """``size`` zero bytes that occupy memory only once they are written."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    try:
        return np.frombuffer(mmap.mmap(-1, size, flags=flags), dtype=np.uint8)
    except OSError as error:
        raise MemoryError(f"cannot map {size} bytes: {error.strerror}") from None


@dataclass(frozen=True)
class Access:
    """One access by the device: ``cycle``, ``address``, ``length`` in bytes, and whether it wrote.

    ``gone``: it failed, since whoever shares the memory has taken it away.
    """

    cycle: int
    address: int
    length: int
    write: bool
    gone: bool = False


@dataclass(eq=False)
class Watch:
    """A range of guest memory whose accesses by the device are reported.

    ``reads`` and ``writes`` choose which; ``hits`` collects them, and ``callback`` is called for each.
    """

    address: int
    length: int
    reads: bool = True
    writes: bool = True
    callback: Callable[[Access], None] | None = None
    hits: list[Access] = field(default_factory=list)

    def report(self, access: Access) -> None:
        """Note ``access`` and call the callback."""
        self.hits.append(access)
        if self.callback:
            self.callback(access)


@dataclass(frozen=True)
class Buffer:
    """A piece of guest memory that was allocated: ``array`` is the bytes in place."""

    memory: "GuestMemory"
    address: int
    length: int

    @property
    def array(self) -> np.ndarray:
        """The bytes, without a copy."""
        return self.memory.view(self.address, self.length)

    @property
    def sg(self) -> ScatterGather:
        """The buffer as a scatter-gather list of one piece."""
        return [(self.address, self.length)]

    def free(self) -> None:
        """Give the memory back."""
        self.memory.free(self.address)

    def __len__(self) -> int:
        return self.length

    def __enter__(self) -> "Buffer":
        return self

    def __exit__(self, *_args: object) -> None:
        self.free()


class GuestMemory:
    """``size`` bytes of guest RAM from guest physical address ``base`` on, as numpy array ``array``.

    Errors: :class:`MemoryFault` for anything outside, for exhausted memory and for a wrong ``free``.
    """

    def __init__(self, size: int, base: int = 0):
        if size <= 0 or size % PAGE or base < 0 or base % PAGE:
            raise ValueError(f"size {size:#x} and base {base:#x} must be multiples of {PAGE}, size not 0")
        self.size = size
        self.base = base
        self.array: np.ndarray = anonymous(size)
        self.watches: list[Watch] = []
        self.watch_version = 0
        """Changes with every change of ``watches``, so that an engine notices."""
        self._allocator = Allocator(base, size)

    @classmethod
    def over(cls, buffer: Any, base: int = 0) -> "GuestMemory":
        """Guest RAM that is a buffer of whole pages: a numpy array, a ``bytearray``, ...

        Errors: ``ValueError`` for one that cannot be written, is not in one piece, or has another size.
        """
        array = buffer if isinstance(buffer, np.ndarray) else np.frombuffer(buffer, np.uint8)
        if not array.flags.writeable or not array.flags.c_contiguous:
            raise ValueError("the buffer of guest RAM must be writable and in one piece")
        memory = cls(array.nbytes, base)
        memory.array = array.reshape(-1).view(np.uint8)
        return memory

    def _offset(self, address: int, length: int) -> int:
        offset = address - self.base
        if length < 0 or offset < 0 or offset + length > self.size:
            end = self.base + self.size
            raise MemoryFault(f"{length} bytes at {address:#x} are not inside {self.base:#x} to {end:#x}")
        return offset

    def contains(self, address: int, length: int = 1) -> bool:
        """Whether all ``length`` bytes at ``address`` exist."""
        return length >= 0 and self.base <= address and address + length <= self.base + self.size

    def view(self, address: int, length: int) -> np.ndarray:
        """``length`` bytes at ``address`` in place, shape ``(length,)``, dtype uint8."""
        offset = self._offset(address, length)
        return self.array[offset : offset + length]

    def read(self, address: int, length: int) -> bytes:
        """A copy of ``length`` bytes at ``address``."""
        return self.view(address, length).tobytes()

    def write(self, address: int, content: Any) -> None:
        """Put ``content`` (bytes, or an array of any dtype) at ``address``."""
        if isinstance(content, np.ndarray):
            raw = np.ascontiguousarray(content).reshape(-1).view(np.uint8)
        else:
            raw = np.frombuffer(content, dtype=np.uint8)
        self.view(address, len(raw))[:] = raw

    def fill(self, address: int, length: int, value: int = 0) -> None:
        """Set ``length`` bytes at ``address`` to ``value``."""
        self.view(address, length)[:] = value

    def struct_view(self, address: int, struct: Any, count: int = 1) -> np.ndarray:
        """``count`` structs at ``address`` in place, shape ``(count,)``. ``struct`` may also be a dtype."""
        dtype = struct if isinstance(struct, np.dtype) else dtype_of(struct)
        return self.view(address, dtype.itemsize * count).view(dtype)

    # --- allocation ----------------------------------------------------------------------------------------

    def allocate(self, size: int, align: int = 16) -> Buffer:
        """A buffer of ``size`` bytes at a multiple of ``align`` (a power of two), filled with zeros."""
        address = self._allocator.allocate(size, align)
        self.fill(address, size)
        return Buffer(self, address, size)

    def allocate_pages(self, count: int = 1) -> Buffer:
        """``count`` whole 4 KiB pages."""
        return self.allocate(count * PAGE, PAGE)

    def free(self, buffer: Buffer | int) -> None:
        """Give back what :meth:`allocate` gave, by buffer or by its address."""
        self._allocator.free(buffer.address if isinstance(buffer, Buffer) else buffer)

    @property
    def allocated(self) -> int:
        """Bytes that are allocated now."""
        return self._allocator.allocated

    # --- watching ------------------------------------------------------------------------------------------

    def watch(
        self,
        address: int,
        length: int,
        callback: Callable[[Access], None] | None = None,
        *,
        reads: bool = True,
        writes: bool = True,
    ) -> Watch:
        """Report the device's accesses to a range from now on. The CPU's own accesses are not seen."""
        self._offset(address, length)
        item = Watch(address, length, reads, writes, callback)
        self.watches.append(item)
        self.watch_version += 1
        return item

    def unwatch(self, item: Watch) -> None:
        """Stop reporting to ``item``."""
        self.watches.remove(item)
        self.watch_version += 1

    def note_access(self, access: Access) -> None:
        """Report an access to the watches; called by engines whose DMA is in Python."""
        for item in tuple(self.watches):
            wanted = item.writes if access.write else item.reads
            apart = access.address >= item.address + item.length
            if wanted and not apart and access.address + access.length > item.address:
                item.report(access)
