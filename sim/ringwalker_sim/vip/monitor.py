"""Watches one virtio device: registers, accesses to memory and interrupts. It never drives anything.

What the driver has asked for is taken from the accesses to registers and from guest memory, so any driver
will do.
"""

from collections.abc import Iterable

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import NO_VECTOR

from ..guest.port import Port
from .chains import Chain, Span
from .notices import Notices
from .packed import PackedChecker
from .register_checker import RegisterChecker
from .ring_checker import RingChecker
from .rules import Finding, Findings
from .split import SplitChecker
from .view import DeviceView, QueueView, RegisterAccess

__all__ = ["Monitor"]

_FORMATS: tuple[type[RingChecker], type[RingChecker]] = (SplitChecker, PackedChecker)
"""The checkers of split and of packed rings."""


class Monitor:
    """Holds a device to :data:`.rules.RULES`; what it breaks goes to ``findings``.

    ``port`` is the time, and its RAM what the device reaches. ``mmio``: the registers are those of the
    memory-mapped transport, and the interrupt is a line. ``patience``: cycles in which a notification has to
    come. ``granule``: bytes that a read of the device gets at least, so that what is beside a buffer is read
    with it; a power of two. While ``paused`` nothing is judged.
    """

    def __init__(
        self,
        port: Port,
        findings: Findings,
        name: str = "device",
        *,
        mmio: bool = False,
        patience: int = 20_000,
        granule: int = 4,
    ):
        self.port = port
        self.memory = port.memory
        self.findings = findings
        self.name = name
        self.granule = granule
        self.paused = False
        self.device_type = 0
        self.view = DeviceView()
        self.registers = RegisterChecker(self.view, self, mmio)
        self.checkers: dict[int, RingChecker] = {}
        self.notices = Notices(port, patience, self.report)
        self._mmio = mmio

    # --- what is found -------------------------------------------------------------------------------------

    def report(self, rule: str, clause: str, text: str, queue: int | None = None) -> None:
        """The device has broken a clause."""
        if not self.paused:
            self.findings.add(Finding(rule, clause, text, self.port.now(), self.name, queue))

    def look(self, rule: str) -> None:
        """A rule is looked at."""
        if not self.paused:
            self.findings.looked[rule] += 1

    # --- registers -----------------------------------------------------------------------------------------

    def register_written(self, access: RegisterAccess) -> None:
        """The driver writes a register; called before the device has it."""
        selected = self.view.queue
        self.registers.before_write(access)
        self.view.written(access)
        if access.name == "device_status" and access.value == 0:
            self.checkers.clear()
            self.notices.forget()
        elif access.name == "queue_enable" and access.value:
            self._begin(selected)

    def register_read(self, access: RegisterAccess) -> None:
        """The driver has read a register."""
        self.registers.read(access)
        self.view.read(access)
        if self.view.queue.off:
            self.checkers.pop(self.view.queue.index, None)

    def config_read(self, offset: int, size: int, value: int) -> None:
        """The driver has read device configuration."""
        self.registers.config_read(offset, size, value)

    def config_written(self, offset: int, size: int) -> None:
        """The driver writes device configuration."""
        self.registers.config_written(offset, size)

    def _begin(self, queue: QueueView) -> None:
        kind = _FORMATS[self.view.has(Feature.RING_PACKED)]
        if not queue.size:
            return
        self.checkers[queue.index] = kind(
            queue,
            self.memory,
            self.view.features,
            self.device_type,
            self.look,
            lambda rule, clause, text: self.report(rule, clause, text, queue.index),
            lambda expectation: self.notices.expect(checker, expectation),
        )
        checker = self.checkers[queue.index]

    # --- memory --------------------------------------------------------------------------------------------

    @property
    def _judges(self) -> bool:
        """Whether all queues that the device has are followed."""
        enabled = sum(queue.enabled for queue in self.view.queues.values())
        return not self.view.resetting and enabled == len(self.checkers)

    def memory_read(self, address: int, length: int) -> None:
        """The device has read memory."""
        if self._left_alone("reads", address, length):
            return
        for checker in self.checkers.values():
            checker.catch_up()
        self.look("read_granted")
        granule = self.granule
        for word in range(address & -granule, address + length, granule):
            kinds = [
                found[0].kind
                for at in range(max(word, address), min(word + granule, address + length))
                if (found := self._locate(at)) is not None
            ]
            if all(kind == "writable" for kind in kinds):
                self._wrong_read(address, length, word, bool(kinds))
                return

    def _wrong_read(self, address: int, length: int, word: int, writable: bool) -> None:
        queue = self._off_queue(word)
        if queue is not None:
            self._report_off(queue, "reads", address, length)
            return
        packed = self.view.has(Feature.RING_PACKED)
        what = "a device-writable buffer" if writable else "nothing that it may read"
        text = f"{length} bytes at {address:#x} are read; at {word:#x} is {what}"
        self.report("read_granted", "core-13.02" if packed else "core-07.02", text)

    def memory_written(self, address: int, length: int) -> None:
        """The device has written memory, which has the new bytes."""
        if self._left_alone("writes", address, length):
            return
        for checker in self.checkers.values():
            checker.catch_up()
        self.look("write_granted")
        showing: list[RingChecker] = []
        at, end = address, address + length
        while at < end:
            place = self._locate(at)
            if place is None:
                stop = min([end, *(start for start in self._starts() if at < start)])
                self._wrong_write(at, stop - at)
                at = stop
                continue
            span, chain, checker = place
            stop = min(end, span.end)
            if self._part_written(checker, span, chain, at, stop):
                showing.append(checker)
            at = stop
        for checker in showing:
            checker.shown()

    def _part_written(
        self, checker: RingChecker, span: Span, chain: Chain | None, at: int, stop: int
    ) -> bool:
        """Bytes of a span were written; whether they show used buffers."""
        self.look("used_before_driver_ok")
        self.look("rings_not_written")
        if not self.view.running and span.kind in ("writable", "device"):
            text = f"{stop - at} bytes at {at:#x} are written before DRIVER_OK"
            self.report("used_before_driver_ok", "core-01.01", text, checker.queue.index)
        if chain is None:
            return checker.area_written(span, at, stop)
        if span.kind == "writable":
            first = at - span.address + span.offset
            chain.written[first : first + stop - at] = b"\1" * (stop - at)
            return False
        text = f"{stop - at} bytes at {at:#x} of buffer {chain.head} are written"
        if span.kind == "table":
            self.report("rings_not_written", "core-07.04", f"{text}, its indirect table", checker.queue.index)
        else:
            clause = "core-13.01" if checker.packed else "core-07.01"
            text = f"{text}, which is for the device to read"
            self.report("write_granted", clause, text, checker.queue.index)
        return False

    def _wrong_write(self, at: int, length: int) -> None:
        packed = self.view.has(Feature.RING_PACKED)
        off = self._off_queue(at)
        if off is not None:
            self._report_off(off, "writes", at, length)
            return
        for checker in self.checkers.values():
            self.look("late_data")
            if (chain := checker.late(at)) is not None:
                clause = "core-13.04" if packed else "core-10.02"
                text = f"{length} bytes at {at:#x} are written into buffer {chain.head} behind its use"
                self.report("late_data", clause, text, checker.queue.index)
                return
        text = f"{length} bytes at {at:#x} are written, where no buffer is available"
        self.report("write_granted", "core-13.01" if packed else "core-07.01", text)

    def _locate(self, address: int) -> tuple[Span, Chain | None, RingChecker] | None:
        for checker in self.checkers.values():
            if (found := checker.locate(address)) is not None:
                return *found, checker
        return None

    def _starts(self) -> Iterable[int]:
        for checker in self.checkers.values():
            yield from checker.starts()

    def _left_alone(self, verb: str, address: int, length: int) -> bool:
        """Whether an access cannot be judged by the rings, since there are none."""
        if self.view.quiet:
            self.look("memory_after_reset")
            text = f"the device {verb} {length} bytes at {address:#x} after a reset"
            self.report("memory_after_reset", "core-03.02", text)
            return True
        return not self._judges

    def _off_queue(self, address: int) -> QueueView | None:
        """The queue that is off and has an address."""
        packed = self.view.has(Feature.RING_PACKED)
        for queue in self.view.queues.values():
            if not queue.enabled and queue.off and queue.registers:
                self.look("queue_off")
                places = queue.areas(packed).values()
                if any(start <= address < start + length for start, length in places):
                    return queue
        return None

    def _report_off(self, queue: QueueView, verb: str, address: int, length: int) -> None:
        text = f"the device {verb} {length} bytes at {address:#x} of a queue that is off"
        ring_reset = self.view.has(Feature.RING_RESET)
        clause = "mmio-01.07" if self._mmio and not ring_reset else "core-05.01"
        self.report("queue_off", clause, text, queue.index)

    # --- interrupts ----------------------------------------------------------------------------------------

    def line_changed(self, asserted: bool) -> None:
        """The interrupt line of all queues."""
        self.notices.asserted = asserted
        if asserted:
            self.interrupted(None)

    def interrupted(self, vector: int | None) -> None:
        """An interrupt arrives: of an MSI-X vector, or of all that the device has to say."""
        if vector is None or vector == self.view.config_vector:
            self.notices.configuration += 1
        for checker in self.checkers.values():
            own = checker.queue.vector
            if vector is None or own == vector != NO_VECTOR:
                self.notices.arrived(checker, self.look, alone=self._alone(vector))

    def _alone(self, vector: int | None) -> bool:
        """Whether an interrupt can be of one queue only."""
        if vector is None:
            return False
        sources = [checker.queue.vector for checker in self.checkers.values()]
        return sources.count(vector) == 1 and vector != self.view.config_vector

    @property
    def waiting(self) -> bool:
        """Whether there are notifications that have to come yet."""
        return self.notices.waiting
