"""What a driver gives a device and gets back, buffer by buffer, so that two devices can be compared."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..memory import GuestMemory
from .virtqueue import Chain

__all__ = ["Recorder", "UsedBuffer"]


@dataclass(frozen=True)
class UsedBuffer:
    """A buffer that a device has used: number ``number`` of its queue, in the order of adding.

    ``readable`` was in it, ``room`` bytes could be written, and ``written`` are as many bytes of it as the
    device says that it has written.
    """

    queue: int
    number: int
    readable: bytes
    room: int
    written: bytes


@dataclass
class Recorder:
    """All that happens on the queues of one function.

    ``queues`` has size, format and features of each queue by its number, ``used`` the buffers in the order in
    which the driver finds them. ``interrupts`` counts messages by vector, and assertions of INTA as -1.
    """

    queues: dict[int, tuple[int, str, int]] = field(default_factory=dict)
    used: list[UsedBuffer] = field(default_factory=list)
    interrupts: Counter[int] = field(default_factory=Counter)
    _open: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def set_up(self, index: int, size: int, kind: str, features: int) -> None:
        """The driver has made a queue."""
        self.queues[index] = size, kind, features

    def added(self, index: int, memory: GuestMemory, chain: Chain) -> None:
        """The driver has added a buffer."""
        self._open[index, chain.number] = b"".join(memory.read(*piece) for piece in chain.sg[: chain.out_num])

    def taken(self, index: int, memory: GuestMemory, chain: Chain, length: int) -> None:
        """The driver has found a used buffer."""
        readable = self._open.pop((index, chain.number), b"")
        writable = chain.sg[chain.out_num :]
        written = b"".join(memory.read(*piece) for piece in writable)[:length]
        room = sum(size for _address, size in writable)
        self.used.append(UsedBuffer(index, chain.number, readable, room, written))

    def counted(self, key: int, callback: Callable[[], None]) -> Callable[[], Any]:
        """``callback``, counted as an interrupt of ``key``."""

        def arrive() -> None:
            self.interrupts[key] += 1
            callback()

        return arrive
