"""The bridge from vfio-user to the native engine: the simulated device behind a server."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ringwalker.pci.capabilities import msix_bar
from ringwalker.spec.pci import MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY, MsixVectorControl
from ringwalker.spec.tlp import ErrorMessage

from ..engine.native.abi import STATS, EventKind
from ..engine.native.engine import NativeEvent
from ..engine.native.served import ServedEngine
from .bodies import DmaMap, DmaUnmap, IrqSet, RegionAccess
from .conversation import Step
from .direct import DirectMessages
from .dma_messages import DmaMessages
from .interrupts import Interrupts, Intx, Vectors
from .mappings import Mappings
from .peer import Peer
from .protocol import Region
from .regions import Regions

__all__ = ["EngineBridge"]

log = logging.getLogger("ringwalker.vfio_user")

_SLICE = 128
"""Cycles between two polls of the socket by Python."""

_UNMAP_CYCLES = 1_000_000
"""Cycles that an unmapping waits for the device."""

STILL_CYCLES = 1_000_000
"""Cycles without traffic, beyond the device's completion timeout, after which the device counts as stuck."""

_STATS_CYCLES = 20_000
"""Cycles after which the counters for other threads are read again, and the most that C++ lets pass."""

_MOST_LOGGED = 20
"""Unmapped accesses, and reads without an answer, that are logged for each peer."""


class EngineBridge:
    """A :class:`~.conversation.Device`: the device that ``engine`` simulates, whatever its function.

    Accesses to regions become requests, mappings become memory, messages of interrupts and changes of INTx
    become writes of eventfds, and DMA to memory that was mapped without a descriptor becomes messages to the
    peer. Events of the device are carried out in order, so an interrupt never overtakes data. A message to
    the peer is sent only while the peer does not wait for an answer; later events wait behind it. With
    ``direct`` C++ carries out the usual messages (:class:`~.direct.DirectMessages`), unless somebody waits
    for ``on_time``. With ``runs_on`` the device always has something to do, and is never waited for.

    ``on_trouble`` is called with a line of text when the device breaks a rule of PCI Express or makes an
    unmapped access; ``on_time`` after time has passed. ``name`` is the prefix of lines in the log.
    """

    def __init__(
        self, engine: ServedEngine, name: str = "device", direct: bool = True, runs_on: bool = False
    ):
        self.engine = engine
        self.name = name
        self._runs_on = runs_on
        self.on_trouble: Callable[[str], None] | None = None
        self.on_time: Callable[[], None] | None = None
        self._regions = Regions(engine)
        self._mappings = Mappings(engine)
        self._intx = Intx()
        self._msix = Vectors(engine.config.vectors, self._program_vectors)
        self._msi = Vectors(engine.config.pci.msi, self._regions.listen)
        self._interrupts = Interrupts(self._intx, self._msix, self._msi)
        self._messages = DmaMessages(self._mappings, self._fault)
        self._direct = DirectMessages(engine, self._regions, self._msix) if direct else None
        self._events: deque[NativeEvent] = deque()
        self._delivering = False
        self._epoch = 0
        self._traffic: tuple[int, ...] = ()
        self._busy_at = engine.now
        self._counts = dict.fromkeys(("peers", "resets", "violations", "faults", "timeouts"), 0)
        self._logged = 0
        self._note_stats()

    # --- the server's device ------------------------------------------------------------------------------

    def region_size(self, region: int) -> int:
        """Bytes in a region, 0 if it is absent."""
        return self._regions.size(region)

    def irq_info(self, index: int) -> tuple[int, int]:
        """Flags and number of vectors of an interrupt kind."""
        return self._interrupts.info(index)

    def region_read(self, access: RegionAccess) -> bytes:
        """Read bytes of a region, after all earlier writes have reached the device."""
        before = self.engine.timeouts
        data = self._regions.read(access)
        if self.engine.timeouts != before:
            self._unanswered(access)
        self._passed()
        return data

    def region_write(self, access: RegionAccess) -> None:
        """Write a region. Writes of BARs are posted: they may still be in flight when this returns.

        A function-level reset clears the device's MSI-X table, which is then as the peer's eventfds say.
        """
        if self._regions.write(access):
            log.info("%s: function-level reset at cycle %d", self.name, self.engine.now)
            self._counts["resets"] += 1
            self._msix.apply()
        self._passed()

    def dma_map(self, mapping: DmaMap, fd: int | None) -> None:
        """Map guest memory for the device; owns ``fd``. Errors: ``OSError``."""
        self._mappings.map(mapping, fd)
        log.debug("%s: mapped %s%s", self.name, mapping, " by message" if fd is None else "")

    def dma_unmap(self, mapping: DmaUnmap) -> None:
        """Unmap guest memory, after waiting until the device is idle. What a device that does not become idle
        does with it afterwards is an unmapped access, also what waits to be asked of the peer. A range with
        no mapping is as it should be: QEMU unmaps all of an address space, as an IOMMU is switched on or off.
        Errors: ``OSError``.
        """
        mappings = self._mappings
        addresses = mappings.all() if mapping.all else mappings.inside(mapping.address, mapping.size)
        if addresses:
            self._settle()
            mappings.unmap(addresses)

    def set_irqs(self, request: IrqSet, fds: list[int]) -> None:
        """Arm, mask, unmask or disarm interrupts; owns ``fds``. Errors: ``OSError``."""
        log.debug("%s: %s with %d descriptors", self.name, request, len(fds))
        self._interrupts.set(request, fds)
        self._passed()

    def reset(self) -> None:
        """Reset the device; requests and events in flight are dropped. Mappings and eventfds stay."""
        log.info("%s: reset at cycle %d", self.name, self.engine.now)
        self._counts["resets"] += 1
        self._reset()
        self._msix.apply()
        self._passed()

    def attached(self, peer: Peer) -> None:
        """A peer has connected."""
        self._messages.peer = peer
        self._logged = 0
        self._counts["peers"] += 1

    def detached(self) -> None:
        """The peer has gone: drop its mappings and eventfds, and reset the device."""
        self._messages.peer = None
        self._interrupts.disarm()
        self._reset()
        self._mappings.clear()
        self._note_stats()

    def advance(self) -> Step:
        """Run the device until a message has to be received or a slice of time has passed."""
        self._deliver()
        if self._events:
            return Step.MESSAGE
        peer = self._messages.peer
        left = False
        if self._direct is not None and peer is not None and not self.on_time:
            events, left = self._direct.run(peer, _STATS_CYCLES)
            self._note(events)
            if self._regions.begun:
                return Step.MESSAGE  # The peer waits for an answer, so nothing can be asked of it.
        elif peer is not None and peer.wait(0.0):
            return Step.MESSAGE
        else:
            self._note(self.engine.run_until_quiet(_SLICE))
        self._passed()
        busy = not self.engine.quiet() or bool(self._events)
        if not busy or self.engine.now >= self._snapshot_due:
            self._note_stats()
        if left:
            return Step.MESSAGE
        return Step.BUSY if busy and not self._stuck() else Step.IDLE

    # --- time ---------------------------------------------------------------------------------------------

    def _passed(self) -> None:
        """Collect events and counters after time has passed."""
        if self.on_time:
            self.on_time()
        self._deliver()

    def _settle(self) -> None:
        """Run until the device is idle or stuck."""
        engine = self.engine
        end = engine.now + (_SLICE if self._runs_on else _UNMAP_CYCLES)
        while True:
            self._note(engine.run_until_quiet(_SLICE))
            self._passed()
            if not self._events and engine.quiet():
                return
            if self._runs_on and not self._events and engine.now >= end:
                return
            if self._events or engine.now >= end:
                reason = "waits for memory by message" if self._events else f"is busy at cycle {engine.now}"
                log.warning("%s: memory is unmapped while the device %s", self.name, reason)
                return

    def _stuck(self) -> bool:
        """Whether the device has been busy without traffic for longer than its completion timeout."""
        limit = self.engine.config.completion_timeout + STILL_CYCLES
        if self._runs_on or self.engine.now - self._busy_at < limit:
            return False
        stats = self.engine.stats()
        traffic = tuple(value for key, value in stats.items() if key != "cycles")
        if traffic != self._traffic:
            self._traffic, self._busy_at = traffic, self.engine.now
            return False
        log.warning(
            "%s: the device waits for an answer that will not come; its clock stops at cycle %d",
            self.name,
            self.engine.now,
        )
        self._busy_at = self.engine.now
        return True

    def _reset(self) -> None:
        self._epoch += 1
        self._note(self.engine.drain())
        self.engine.reset()
        self._note(self.engine.run_until_quiet(_SLICE))
        self._intx.level = self._intx.line
        self._events.clear()
        self._regions.reset()

    # --- events of the device -----------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Carry out events in order, as long as messages to the peer are allowed."""
        if self._delivering:
            return  # A message crossed one of ours: the events that it caused come after that one.
        self._delivering = True
        try:
            while True:
                self._note(self.engine.drain())
                if not self._events:
                    break
                event = self._events[0]
                external = event.kind in (EventKind.EXTERNAL_READ, EventKind.EXTERNAL_WRITE)
                peer = self._messages.peer
                if external and (peer is None or peer.answering):
                    break
                self._events.popleft()
                self._act(event)
        finally:
            self._delivering = False
        self._complain()

    def _note(self, events: list[NativeEvent]) -> None:
        """Append events to the queue."""
        for event in events:
            if event.kind is EventKind.INTX:
                self._intx.line = bool(event.b)
        self._events.extend(events)

    def _act(self, event: NativeEvent) -> None:
        match event.kind:
            case EventKind.MESSAGE:
                if event.a == self.engine.host.msi_window[0]:
                    self._msix.fire(event.b)
                elif event.a == self._regions.msi_address:
                    self._msi.fire(event.b)
            case EventKind.INTX:
                self._intx.set_level(bool(event.b))
            case EventKind.ERROR_MESSAGE:
                log.warning("%s: the device reports an error: %s", self.name, ErrorMessage(event.status).name)
            case EventKind.EXTERNAL_READ:
                self._external_read(event)
            case EventKind.EXTERNAL_WRITE:
                self._messages.write(event.a, self.engine.external_data(event))

    def _external_read(self, event: NativeEvent) -> None:
        epoch = self._epoch
        data = self._messages.read(event.a, event.b)
        if epoch == self._epoch:
            self.engine.answer_external(event, data)

    def _complain(self) -> None:
        """Log broken rules and unmapped accesses of the device."""
        engine = self.engine
        if engine.violations:
            for text in engine.violations:
                log.warning("%s: the device broke a rule: %s", self.name, text)
                self._trouble(text)
            self._counts["violations"] += len(engine.violations)
            engine.violations.clear()
        if engine.faults:
            for fault in engine.faults:
                kind = "wrote" if fault.write else "read"
                place = f"{fault.length} bytes at {fault.address:#x}"
                why = "whose memory the peer has taken away" if fault.gone else "which is not mapped for it"
                self._fault(f"cycle {fault.cycle}: the device {kind} {place}, {why}")
            engine.faults.clear()

    def _unanswered(self, access: RegionAccess) -> None:
        what = "configuration space" if access.region == Region.CONFIG else f"BAR {access.region}"
        place, cycles = (
            f"{access.count} bytes at {access.offset:#x} of {what}",
            self.engine.host.completion_timeout,
        )
        self._counts["timeouts"] += 1
        self._warn(f"a read of {place} was not answered in {cycles} cycles; it gives all ones")

    def _fault(self, text: str) -> None:
        self._counts["faults"] += 1
        self._warn(text)

    def _warn(self, text: str) -> None:
        if self._logged < _MOST_LOGGED:
            self._logged += 1
            more = "; further ones are not shown" if self._logged == _MOST_LOGGED else ""
            log.warning("%s: %s%s", self.name, text, more)
        self._trouble(text)

    def _trouble(self, text: str) -> None:
        if self.on_trouble:
            self.on_trouble(text)

    # --- MSI-X --------------------------------------------------------------------------------------------

    def _program_vectors(self, first: int, armed: Sequence[bool]) -> None:
        """Write entries of the device's MSI-X table: the data of a message is the number of its vector.

        The guest's own table stays with the peer. A vector without an eventfd is masked, so that its message
        stays pending until it gets one.
        """
        address = self.engine.host.msi_window[0]
        writes = []
        for vector, wanted in enumerate(armed, first):
            entry = {
                "address_low": address & 0xFFFFFFFF,
                "address_high": address >> 32,
                "data": vector,
                "vector_control": 0 if wanted else int(MsixVectorControl.MASK),
            }
            base = vector * MSIX_ENTRY_BYTES
            writes += [(base + MSIX_TABLE_ENTRY[name].offset, value) for name, value in entry.items()]
        self._regions.write_registers(msix_bar(self.engine.config), writes)

    # --- statistics ---------------------------------------------------------------------------------------

    def _note_stats(self) -> None:
        self._snapshot = self.engine.raw_stats()
        self._snapshot_due = self.engine.now + _STATS_CYCLES

    def stats(self) -> dict[str, Any]:
        """Counters by name, which may lag behind a little; may be called from another thread.

        ``config_reads``, ``config_writes``, ``bar_reads``, ``bar_writes``, ``mappings``, ``dma_messages``,
        ``peers``, ``resets``, ``msix``, ``msi``, ``intx``, ``violations``, ``faults``, ``timeouts``, and all
        counters of the engine.
        """
        snapshot = self._snapshot
        return {
            **{name: getattr(snapshot, name) for name in STATS},
            **self._regions.accesses,
            **self._counts,
            "mappings": self._mappings.made,
            "dma_messages": self._messages.count,
            "msix": self._msix.fired,
            "msi": self._msi.fired,
            "intx": self._intx.fired,
        }
