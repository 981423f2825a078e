"""What a link allows a virtio device: bytes on the wire for each request, and the rate that follows.

Both directions are counted and the slower one rules. A payload counts whole dwords. Shared by a batch of N
X
request is a chain of three descriptors, header, data and status, read together: they lie side by side in
the ring's table, or in an indirect table, which one more descriptor in the ring leads to.

Ref: Neugebauer et al., "Understanding PCIe performance for end host networking", SIGCOMM 2018, section 3;
virtio 1.4, 2.7 (split virtqueues), 2.8 (packed virtqueues).
"""

from dataclasses import dataclass
from typing import Any

from ringwalker.spec.blk import BlkRequestHeader
from ringwalker.spec.features import Feature
from ringwalker.spec.packed import EVENT_BYTES
from ringwalker.spec.ring import AVAIL_ENTRY_BYTES, DESC_BYTES, USED_ENTRY_BYTES

from ..guest.net_header import net_header_bytes
from ..host.link import COMPLETION_BYTES, REQUEST_64_BYTES, Link
from ..host.parameters import Split
from ..memory import dtype_of

__all__ = ["RINGS", "Cost", "RingUse", "blk_cost", "net_cost", "read_cost", "write_cost"]

RINGS = ("split", "packed")

_DWORD = 4
_NOTIFICATION_BYTES = 4
_INDEX_BYTES = 2
_STATUS_BYTES = 1
_BLK_DESCRIPTORS = 3
_BLK_HEADER_BYTES = dtype_of(BlkRequestHeader).itemsize


@dataclass(frozen=True)
class Cost:
    """Bytes on the wire, ``up`` from the device and ``down`` to it; costs add up and scale."""

    up: float = 0.0
    down: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.up + other.up, self.down + other.down)

    def __mul__(self, times: float) -> "Cost":
        return Cost(self.up * times, self.down * times)

    def rate(self, link: Link) -> float:
        """How many of these a second ``link`` carries."""
        return link.bytes_per_second / max(self.up, self.down)


def _dwords(size: int) -> int:
    return -(-size // _DWORD) * _DWORD


def write_cost(link: Link, size: int) -> Cost:
    """A DMA write of ``size`` bytes from an aligned address on."""
    return Cost(up=-(-size // link.max_payload) * REQUEST_64_BYTES + _dwords(size))


def read_cost(link: Link, size: int) -> Cost:
    """A DMA read of ``size`` bytes from an aligned address on."""
    piece = link.max_payload if link.split is Split.LARGEST else link.read_completion_boundary
    whole, rest = divmod(size, link.max_read_request)
    completions = whole * -(-link.max_read_request // piece) + -(-rest // piece)
    return Cost(
        up=-(-size // link.max_read_request) * REQUEST_64_BYTES,
        down=completions * COMPLETION_BYTES + _dwords(size),
    )


def _check(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")


@dataclass(frozen=True)
class RingUse:
    """How requests go through a queue: its format, and how many share a notification.

    ``suppression``: in a packed ring it is read whether the driver wants an interrupt, once a batch. Errors:
    ``ValueError``.
    """

    ring: str = "split"
    batch: int = 1
    in_order: bool = False
    suppression: bool = False

    def __post_init__(self):
        if self.ring not in RINGS:
            raise ValueError(f"ring is {self.ring!r}; it must be one of {', '.join(RINGS)}")
        _check("batch", self.batch)


def _ring_cost(link: Link, use: RingUse, descriptors: Cost, span: int = 1) -> Cost:
    """What one request, which takes ``span`` descriptors of the ring, pays for its queue; ``descriptors``
    reads those of the whole batch."""
    notification = write_cost(link, _NOTIFICATION_BYTES)
    shared = descriptors + notification + Cost(down=notification.up)
    used = 1 if use.in_order else use.batch
    if use.ring == "split":
        shared += read_cost(link, _INDEX_BYTES) + read_cost(link, use.batch * AVAIL_ENTRY_BYTES)
        shared += write_cost(link, used * USED_ENTRY_BYTES) + write_cost(link, _INDEX_BYTES)
    else:
        # Used descriptors stand where chains began, so those of longer chains lie apart.
        shared += write_cost(link, used * DESC_BYTES) if span == 1 else write_cost(link, DESC_BYTES) * used
        if use.suppression:
            shared += read_cost(link, EVENT_BYTES)
    return shared * (1 / use.batch)


def net_cost(link: Link, direction: str, size: int, *, legacy: bool = False, **use: Any) -> Cost:
    """A frame of ``size`` bytes with its header in one descriptor, ``direction`` ``"tx"`` or ``"rx"``;
    ``legacy``: the header is that of the legacy interface.

    ``size`` counts the frame check sequence for the smallest frame alone, as is usual: 64 are 60 in memory.
    ``use`` are fields of :class:`RingUse`. Errors: ``ValueError``.
    """
    queue = RingUse(**use)
    _check("size", size)
    if direction not in ("tx", "rx"):
        raise ValueError(f"direction is {direction!r}; it must be tx or rx")
    data = net_header_bytes(0 if legacy else 1 << Feature.VERSION_1) + (60 if size == 64 else size)
    moved = read_cost(link, data) if direction == "tx" else write_cost(link, data)
    return moved + _ring_cost(link, queue, read_cost(link, queue.batch * DESC_BYTES))


def blk_cost(link: Link, direction: str, size: int, *, indirect: bool = False, **use: Any) -> Cost:
    """A block request of ``size`` bytes, ``direction`` ``"read"`` or ``"write"``.

    ``use`` are fields of :class:`RingUse`. Errors: ``ValueError``.
    """
    queue = RingUse(**use)
    _check("size", size)
    if direction not in ("read", "write"):
        raise ValueError(f"direction is {direction!r}; it must be read or write")
    moved = write_cost(link, size) if direction == "read" else read_cost(link, size)
    own = read_cost(link, _BLK_HEADER_BYTES) + moved + write_cost(link, _STATUS_BYTES)
    chain = read_cost(link, _BLK_DESCRIPTORS * DESC_BYTES)
    if indirect:
        return own + chain + _ring_cost(link, queue, read_cost(link, queue.batch * DESC_BYTES))
    # Chains of a packed ring follow each other, those of a split ring stand anywhere.
    together = read_cost(link, queue.batch * _BLK_DESCRIPTORS * DESC_BYTES)
    in_ring = together if queue.ring == "packed" else chain * queue.batch
    return own + _ring_cost(link, queue, in_ring, _BLK_DESCRIPTORS)
