"""A first-fit allocator for a range of addresses."""

from bisect import bisect_left

from .errors import EXIT_FAILED, RingwalkerError

__all__ = ["Allocator", "MemoryFault"]


class MemoryFault(RingwalkerError, ValueError):
    """An access outside guest memory, exhausted memory, or a wrong ``free``; the message has the address."""

    exit_code = EXIT_FAILED


class Allocator:
    """Hands out pieces of ``size`` addresses from ``base`` on; free neighbours are joined again."""

    def __init__(self, base: int, size: int):
        self._starts = [base]
        self._sizes = [size]
        self._taken: dict[int, int] = {}
        self._freed: set[int] = set()
        self.allocated = 0

    def allocate(self, size: int, align: int) -> int:
        """The address of ``size`` free addresses at a multiple of ``align``.

        Errors: ``ValueError`` for a size below 1 or an alignment that is not a power of two;
        :class:`MemoryFault` when nothing fits.
        """
        if size < 1 or align < 1 or align & (align - 1):
            raise ValueError(f"cannot allocate {size} bytes aligned to {align}")
        for index, (start, room) in enumerate(zip(self._starts, self._sizes, strict=True)):
            address = -(-start // align) * align
            if address + size <= start + room:
                self._take(index, address, size)
                return address
        free = sum(self._sizes)
        raise MemoryFault(f"no {size} bytes aligned to {align} are left ({free} free in all)")

    def _take(self, index: int, address: int, size: int) -> None:
        start, end = self._starts[index], self._starts[index] + self._sizes[index]
        pieces = [(start, address - start), (address + size, end - address - size)]
        pieces = [piece for piece in pieces if piece[1]]
        self._starts[index : index + 1] = [piece[0] for piece in pieces]
        self._sizes[index : index + 1] = [piece[1] for piece in pieces]
        self._taken[address] = size
        self._freed.discard(address)
        self.allocated += size

    def free(self, address: int) -> None:
        """Give back an allocation. Errors: :class:`MemoryFault` if there is none at ``address``."""
        size = self._taken.pop(address, None)
        if size is None:
            why = "it was freed before" if address in self._freed else "nothing was allocated there"
            raise MemoryFault(f"cannot free {address:#x}: {why}")
        self._freed.add(address)
        self.allocated -= size
        index = bisect_left(self._starts, address)
        if index < len(self._starts) and address + size == self._starts[index]:
            size += self._sizes[index]
            del self._starts[index], self._sizes[index]
        if index and self._starts[index - 1] + self._sizes[index - 1] == address:
            self._sizes[index - 1] += size
        else:
            self._starts.insert(index, address)
            self._sizes.insert(index, size)
