"""What a ring format is to the ring walker: one signature, and a record of what it wants around it.

A format is a folder beside ``split/`` and a row of :data:`~.formats.FORMATS`. It finds out which chains the
driver made available, and says where each begins; ``chain/`` walks them, and asks the format what a
descriptor means; the format reports those that are done, and says when the driver is to be notified.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...config import DeviceConfig
from ...interfaces import DmaReadPort, QueueClear, QueueRead, QueueRestore
from ...streams import Completed, Doorbell, Head, Visit, request_beat, stream_of
from .brought import BroughtPort

__all__ = ["ReaderKind", "RingFormat", "ring_members"]


@dataclass(frozen=True)
class ReaderKind:
    """A reader of guest memory that a block wants for itself.

    It has up to ``tags`` reads in flight, of up to ``slot_bytes`` each. The reads of one that is ``ordered``
    do not pass the posted writes that were taken before them.
    """

    name: str
    tags: int
    slot_bytes: int
    ordered: bool = False


@dataclass(frozen=True)
class RingFormat:
    """How a ring walker is made for a format.

    - ``component(config)``: the format, with the members that :func:`ring_members` gives for ``readers``,
      ``tables`` and ``writes``.
    - ``decoder()``: what a descriptor means, with the members of
      :class:`~.chain.descriptor.DescriptorDecoder`.
    - ``readers(config)``: the readers behind its ports ``NAME_read``.
    - ``tables``: its reads of the queue table, the ports ``NAME_table``.
    - ``writes``: its streams of posted writes, the ports ``NAME_writes``, those that go first before others.
    - ``brings``: its heads may bring descriptors along, in the port ``brought``.
    - ``features``: mask of the feature bits that a device offers because of it; ``required``: of those that a
      driver must accept.
    """

    component: Callable[[DeviceConfig], Component]
    decoder: Callable[[], Component]
    readers: Callable[[DeviceConfig], tuple[ReaderKind, ...]]
    tables: tuple[str, ...]
    writes: tuple[str, ...]
    brings: bool = False
    features: int = 0
    required: int = 0


def ring_members(
    data_width: int,
    readers: Sequence[str],
    tables: Sequence[str],
    writes: Sequence[str],
    brings: bool = False,
) -> dict[str, Any]:
    """The members of a ring format (W is ``data_width``).

    - ``visits`` In stream of Visit: queues to look at. A queue that is not enabled is left alone.
    - ``carried`` In 1, ``next`` In 16: as :class:`~.scheduler.Scheduler` gives them for the latest visit.
    - ``heads`` Out stream of Head: chains that the driver made available, in order.
    - ``confirm``, ``withdraw`` Out 1, pulses: what became of the latest head with ``guess``. It is a chain
      that is available, and does not come again as a head; or it is not. One of them comes after each such
      head, at least two cycles after it was taken, and before any other guess. A guess is offered only while
      nothing is in flight behind ``heads``. What may follow ``withdraw`` in the next cycle is a head.
    - ``completed`` In stream of Completed: chains that the function is done with, in the order of ``heads``.
    - ``revisits`` Out stream of Doorbell: queues that are to be visited again, though no doorbell was rung.
    - ``interrupts`` Out stream of 16-bit vectors: used buffer notifications.
    - ``clear`` In(QueueClear()): forget all positions of a queue.
    - ``restore`` In(QueueRestore()): after a reset of all registers of the format, go on with a queue where
      what the driver can see ends: positions are those after the last used element that a published index
      covers, so chains that were taken before come again as heads; the queue is visited; and the driver is
      notified if it may wait for what was used. It comes while nothing is in flight, one queue a cycle at
      most.
    - ``quiet`` In 1: nothing is in flight behind ``heads``.
    - ``hold`` In 1: payload waits for the link, so reports of completed chains may wait to become many.
    - ``features`` In 64: what was negotiated. ``msix_enable`` In 1: each queue has a vector of its own.
    - ``NAME_read`` Out(DmaReadPort(W)); ``NAME_table`` Out(QueueRead()); ``NAME_writes`` Out stream of
      request_beat(W).
    - ``max_read_request`` In 13: in bytes; reads are no longer.
    - ``halt`` In 1: nothing more is read of rings, but what was read already is used.
    - ``bound`` Out 1: the next of the first of its posted writes belongs to one that has left, so it leaves
      though the walker is stopped.
    - ``brought`` In(BroughtPort()), if the format ``brings`` descriptors.
    - ``fail`` Out 1, a pulse: the rings are malformed, or a read failed.
    - ``idle`` Out 1: nothing is in flight between ``visits`` and ``heads``, nor from ``completed`` on.
    """
    return {
        "visits": In(stream_of(Visit)),
        "carried": In(1),
        "next": In(16),
        "heads": Out(stream_of(Head)),
        "confirm": Out(1),
        "withdraw": Out(1),
        "completed": In(stream_of(Completed)),
        "revisits": Out(stream_of(Doorbell)),
        "interrupts": Out(stream_of(unsigned(16))),
        "clear": In(QueueClear()),
        "restore": In(QueueRestore()),
        "quiet": In(1),
        "hold": In(1),
        "features": In(64),
        "msix_enable": In(1),
        "max_read_request": In(13),
        "halt": In(1),
        "bound": Out(1),
        **({"brought": In(BroughtPort())} if brings else {}),
        **{f"{name}_read": Out(DmaReadPort(data_width)) for name in readers},
        **{f"{name}_table": Out(QueueRead()) for name in tables},
        **{f"{name}_writes": Out(stream_of(request_beat(data_width))) for name in writes},
        "fail": Out(1),
        "idle": Out(1, init=1),
    }
