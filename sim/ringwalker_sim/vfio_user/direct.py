"""The usual messages of a peer, which C++ carries out while the device runs (``src/peer_messages.h``)."""

import ctypes

from ..engine.native.engine import NativeEvent
from ..engine.native.served import CPeer, ServedEngine
from .interrupts import Vectors
from .peer import Peer
from .regions import Regions

__all__ = ["DirectMessages"]


class DirectMessages:
    """Accesses of ``regions`` and interrupts of ``msix`` without a step in Python, for ``engine``'s peer.

    They are counted where Python counts its own. All other messages, and whatever is wrong with one, stay in
    the socket.
    """

    def __init__(self, engine: ServedEngine, regions: Regions, msix: Vectors):
        self._engine = engine
        self._regions = regions
        self._msix = msix
        self._peer = CPeer(
            eventfds_array=ctypes.addressof(msix.eventfds),
            vectors=len(msix),
            windows_array=ctypes.addressof(regions.windows),
        )

    def run(self, peer: Peer, max_cycles: int) -> tuple[list[NativeEvent], bool]:
        """Let the device run, as :meth:`~..engine.native.served.ServedEngine.serve` does; its events, and
        whether the next message is for Python.
        """
        shared, regions = self._peer, self._regions
        shared.socket, shared.stop = peer.fileno(), peer.interrupt & 0xFFFFFFFF
        events = self._engine.serve(max_cycles, shared)
        regions.begun = shared.read_ticket
        regions.accesses["bar_reads"] += shared.bar_reads
        regions.accesses["bar_writes"] += shared.bar_writes
        self._msix.fired += shared.fired
        shared.read_ticket = shared.bar_reads = shared.bar_writes = shared.fired = 0
        return events, bool(shared.left or regions.begun)
