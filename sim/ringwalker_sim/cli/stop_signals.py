"""The signals that ask a command to end, as something to wait for."""

import contextlib
import os
import select
import signal
from typing import Any, Self

__all__ = ["StopSignals"]

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """SIGINT, SIGTERM and SIGHUP, from :meth:`take` to the end of a ``with`` block.

    Behind nohup, SIGHUP stays ignored.
    """

    def __init__(self):
        self.come = False
        """Whether one has come."""
        self._before: dict[signal.Signals, Any] = {}
        # A handler runs between any two steps of the main thread: it must not need a lock that may be held.
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def take(self) -> None:
        """From now on the signals are waited for. Outside of the main thread nothing changes."""
        with contextlib.suppress(ValueError):
            for number in _NUMBERS:
                if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._note)

    def _note(self, _number: int, _frame: Any) -> None:
        self.come = True
        os.eventfd_write(self._event, 1)

    def wait(self, seconds: float) -> bool:
        """Wait for a signal, for ``seconds`` at most; whether one has come."""
        poll = select.poll()
        poll.register(self._event, select.POLLIN)
        poll.poll(1000 * seconds)
        return self.come

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._event)
