"""What a set-up has left behind: the queues and buffers that a case begins with."""

from dataclasses import dataclass
from enum import Enum

from .spaces import Space

__all__ = ["Queue", "Role", "Scene"]


class Role(Enum):
    """What a queue's buffers are for."""

    BLOCK = "block"
    RECEIVE = "receive"
    TRANSMIT = "transmit"
    CONTROL = "control"
    ENTROPY = "entropy"


@dataclass(frozen=True)
class Queue:
    """A queue that is enabled: ``size`` entries, and the addresses of its three areas.

    ``index`` chains were made available and used before. ``at`` and ``wrap`` are where the next descriptor of
    a packed ring comes.
    """

    number: int
    size: int
    packed: bool
    desc: int
    driver: int
    device: int
    role: Role
    index: int = 0
    at: int = 0
    wrap: int = 1


@dataclass(frozen=True)
class Scene:
    """A device that is ready: its queues, guest memory that is free for buffers, and features as a mask.

    ``registers`` is the face that the driver uses. ``memory`` is where guest memory begins and ends.
    """

    function: str
    registers: Space
    queues: tuple[Queue, ...]
    buffers: tuple[int, int]
    memory: tuple[int, int]
    features: int = 0
    header_bytes: int = 12
    """Of the header of a frame."""
    losses: bool = True
    """Completions may be lost or malformed: the device gives up soon, and reads again soon after."""

    def has(self, feature: int) -> bool:
        """Whether a feature was negotiated."""
        return bool(self.features >> feature & 1)
