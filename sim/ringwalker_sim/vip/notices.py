"""Notifications that have to come: each is looked for when the patience with it is over."""

from collections import deque
from collections.abc import Callable
from typing import Any

from ..guest.port import Port
from .ring_checker import Expectation, RingChecker

__all__ = ["Notices"]


class Notices:
    """Counts the interrupts of a device, and reports those that do not come within ``patience`` cycles.

    ``asserted`` is the interrupt line, where there is one; ``configuration`` counts what may be a
    configuration change notification.
    """

    def __init__(self, port: Port, patience: int, report: Callable[..., None]):
        self.patience = patience
        self.asserted = False
        self.configuration = 0
        self._port = port
        self._report = report
        self._due: deque[tuple[int, Callable[[], None]]] = deque()
        self._added: Any = None

    @property
    def waiting(self) -> bool:
        """Whether something has to come yet."""
        return bool(self._due)

    def forget(self) -> None:
        """The device was reset: nothing has to come any more."""
        self._due.clear()

    # --- what has to come ----------------------------------------------------------------------------------

    def later(self, look: Callable[[], None]) -> None:
        """Call ``look()`` when the patience is over."""
        if self._added is None:
            self._added = self._port.event()
            self._port.start(self._watch())
        self._due.append((self._port.now() + self.patience, look))
        self._added.set()

    async def _watch(self) -> None:
        while True:
            await self._added.wait()
            self._added.clear()
            while self._due:
                due, look = self._due[0]
                if due > self._port.now():
                    await self._port.sleep(due - self._port.now())
                # A reset may have taken it away meanwhile.
                if self._due and self._due[0][1] is look:
                    self._due.popleft()
                    look()

    def expect(self, checker: RingChecker, expectation: Expectation) -> None:
        """A used buffer notification of a queue has to come."""
        checker.look("interrupt_sent")
        if self.asserted:
            checker.notifications += 1
            return

        def look() -> None:
            if checker.notifications == expectation.number and expectation.wanted():
                text = f"{expectation.text} within {self.patience} cycles"
                self._report("interrupt_sent", expectation.clause, text, checker.queue.index)

        self.later(look)

    def expect_configuration(self, text: str) -> None:
        """A configuration change notification has to come, or has come before."""
        before = self.configuration

        def look() -> None:
            if self.configuration == before and not self.asserted:
                self._report("failure_notified", "core-01.03", f"{text} within {self.patience} cycles")

        if not before and not self.asserted:
            self.later(look)

    # --- what comes ----------------------------------------------------------------------------------------

    def arrived(self, checker: RingChecker, look: Callable[[str], None], alone: bool) -> None:
        """A used buffer notification of a queue. ``alone``: it can be of no other."""
        checker.notifications += 1
        quiet = checker.quiet_uses and not checker.loud_uses and checker.suppressed
        checker.quiet_uses = checker.loud_uses = 0
        if alone:
            look("interrupt_suppressed")
        if alone and quiet:
            text = "a notification comes, while the flags have suppressed it since before the last use"
            self._report("interrupt_suppressed", "core-09.02", text, checker.queue.index)
