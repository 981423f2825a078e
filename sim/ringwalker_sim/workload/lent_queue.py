"""A split virtqueue that a pump in C++ has for a while, in place of the driver in Python."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.native.pump import CPumpQueue, NativePump, request_type
from ..guest.port import Event
from ..guest.ring_queue import QueueSignals
from ..guest.split_queue import SplitVirtqueue
from ..guest.split_rings import RingState
from ..guest.virtqueue import Chain, Virtqueue

__all__ = ["LentQueue", "signals_of", "until_stopped"]

_PLACES = ("place0", "place1", "place2")


def signals_of(vq: Virtqueue) -> QueueSignals | None:
    """The signals of a queue that C++ can have; None if it is not as C++ knows it."""
    if not isinstance(vq, SplitVirtqueue) or not vq.plain:
        return None
    return vq.signals()


class LentQueue:
    """``vq`` with its ``signals`` as C++ gets it: ``queue``, good until :meth:`take_back`.

    ``describe(row, chain)`` fills in what a row of ``request_type`` says of a chain in flight beside its
    descriptors, its room and its number.
    """

    def __init__(self, vq: SplitVirtqueue, signals: QueueSignals, describe: Callable[[Any, Chain], None]):
        self._vq = vq
        state = vq.state()
        self._free = np.zeros(vq.size, np.uint16)
        self._free[: len(state.free)] = state.free
        self._outstanding = np.zeros(vq.size, request_type)
        for row, chain in zip(self._outstanding, state.outstanding, strict=False):
            row["descriptors"], row["room"], row["number"] = len(chain.place), chain.writable, chain.number
            for name, at in zip(_PLACES, chain.place, strict=False):
                row[name] = at
            describe(row, chain)
        self.queue = CPumpQueue(
            table=vq.desc_address,
            driver_area=vq.driver_address,
            device_area=vq.device_address,
            indirect_tables=vq.indirect_tables(),
            doorbell=signals.doorbell,
            message_address=signals.message[0],
            message_data=signals.message[1],
            free_array=self._free.ctypes.data,
            outstanding_array=self._outstanding.ctypes.data,
            free_count=len(state.free),
            outstanding_count=len(state.outstanding),
            size=vq.size,
            index=signals.name,
            event_index=int(vq.event_idx),
            interrupt_after=vq.interrupt_after,
            indirect=int(vq.indirect),
            doorbell_carries_index=int(signals.carries_index),
            added=state.added,
            last_used=state.last_used,
            kicks=vq.kicks,
            interrupts=vq.interrupts,
            spurious=vq.spurious,
            number=state.number,
            queue=vq.index,
        )

    def take_back(self, queue: CPumpQueue, chain_of: Callable[[Any], Chain]) -> list[Chain]:
        """Let the driver go on from ``queue``, as C++ leaves it. ``chain_of(row)`` is the chain of a request
        in flight; all of them, in the order of adding."""
        chains = []
        for row in self._outstanding[: queue.outstanding_count]:
            chain = chain_of(row)
            chain.place = [int(row[name]) for name in _PLACES[: row["descriptors"]]]
            chain.number = int(row["number"])
            chains.append(chain)
        counts = (queue.kicks, queue.interrupts, queue.spurious)
        free = self._free[: queue.free_count].tolist()
        self._vq.restore(RingState(free, queue.added, queue.last_used, queue.number, counts, chains))
        return chains


async def until_stopped(
    port: Any, pump: NativePump, wake: Event, patience: int, look: Callable[[], bool]
) -> bool:
    """Wait until ``pump`` has nothing left to do or cannot go on, or ``look`` gives False. False: nothing has
    ended for ``patience`` cycles. ``look``, which takes what has ended, is called now and then, and when
    somebody else sets ``wake``.
    """
    status = 0

    def notice(told: int) -> None:
        nonlocal status
        status = told
        wake.set()

    port.on_pump = notice
    wake.clear()
    try:
        while not status:
            before = pump.taken
            woken = await wake.wait(patience)
            wake.clear()
            if not look():
                break
            if not woken and pump.taken == before:
                return False
        return True
    finally:
        port.on_pump = None
