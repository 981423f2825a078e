"""A small cooperative scheduler: runs driver coroutines over anything that can advance time.

An engine derives from :class:`Loop`, supplies :meth:`Loop.now` and :meth:`Loop.advance`, and inherits
``run``, ``sleep``, ``event``, ``start`` and ``future``. Callbacks and ``Future.set`` may be called inside
``advance``.
"""

import heapq
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from ..errors import EXIT_FAILED, RingwalkerError

__all__ = ["Future", "Loop", "LoopEvent", "LoopTask", "StuckError"]


class StuckError(RingwalkerError):
    """Every coroutine waits and no event is due."""

    exit_code = EXIT_FAILED


class Future:
    """A value that one or more coroutines can await, set once."""

    __slots__ = ("_loop", "_waiters", "done", "value")

    def __init__(self, loop: "Loop"):
        self._loop = loop
        self._waiters: list[LoopTask] = []
        self.done = False
        self.value: Any = None

    def set(self, value: Any = None) -> None:
        """Set the value and wake the coroutines that wait. A second value is ignored."""
        if self.done:
            return
        self.done = True
        self.value = value
        self._loop._ready.extend(self._waiters)
        self._waiters.clear()

    def __await__(self) -> Generator["Future", None, Any]:
        if not self.done:
            yield self
        return self.value


class LoopEvent:
    """The :class:`~.port.Event` of a :class:`Loop`."""

    __slots__ = ("_flag", "_loop", "_waiters")

    def __init__(self, loop: "Loop"):
        self._loop = loop
        self._flag = False
        self._waiters: list[Future] = []

    def set(self) -> None:
        """Raise the flag and wake everyone."""
        self._flag = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set(True)

    def clear(self) -> None:
        """Lower the flag."""
        self._flag = False

    def is_set(self) -> bool:
        """Whether the flag is up."""
        return self._flag

    async def wait(self, timeout_cycles: int | None = None) -> bool:
        """True when the flag is up, False after ``timeout_cycles``."""
        if self._flag:
            return True
        future = Future(self._loop)
        self._waiters.append(future)
        if timeout_cycles is None:
            return await future
        timer = self._loop._call_at(self._loop.now() + timeout_cycles, future)
        if await future:
            timer.cancel()
            return True
        if future in self._waiters:
            self._waiters.remove(future)
        return False


class _Action:
    """A callback that runs when a timer ends."""

    __slots__ = ("set",)

    def __init__(self, action: Callable[[], None]):
        self.set = lambda _value: action()


class _Timer:
    __slots__ = ("future", "loop")

    def __init__(self, loop: "Loop", future: Future | _Action):
        self.loop = loop
        self.future: Future | _Action | None = future

    def cancel(self) -> None:
        if self.future is not None:
            self.future = None
            self.loop._cancelled += 1


class LoopTask:
    """A running coroutine."""

    __slots__ = ("_coroutine", "_error", "_finished", "_joined", "_loop", "_waiting")

    def __init__(self, loop: "Loop", coroutine: Coroutine[Any, Any, Any]):
        self._loop = loop
        self._coroutine = coroutine
        self._finished = Future(loop)
        self._error: BaseException | None = None
        self._joined = False
        self._waiting: Future | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._finished.done

    async def join(self) -> Any:
        """Wait for its end; its result, or its exception raised here."""
        self._joined = True
        await self._finished
        return self.result()

    def result(self) -> Any:
        """The result of a task that has ended, or its exception raised here."""
        if self._error is not None:
            raise self._error
        return self._finished.value

    def cancel(self) -> None:
        """End it where it waits. Coroutines that join it get None."""
        if not self.done:
            if self._waiting is not None and self in self._waiting._waiters:
                self._waiting._waiters.remove(self)
            self._loop._tasks.discard(self)
            self._finished.set(None)
            self._coroutine.close()

    def _step(self) -> None:
        if self.done:
            return
        try:
            future = self._coroutine.send(None)
        except StopIteration as stop:
            self._loop._tasks.discard(self)
            self._finished.set(stop.value)
        except Exception as error:
            self._error = error
            self._loop._tasks.discard(self)
            self._finished.set(None)
            if not self._joined:
                self._loop._failed = self._loop._failed or self
        else:
            if not isinstance(future, Future):
                raise TypeError(f"a coroutine awaited {future!r}, which is not a primitive of the port")
            self._waiting = future
            if future.done:
                self._loop._ready.append(self)
            else:
                future._waiters.append(self)


class Loop(ABC):
    """Base of ports whose time is advanced from Python."""

    def __init__(self) -> None:
        self._ready: deque[LoopTask] = deque()
        self._timers: list[tuple[int, int, _Timer]] = []
        self._timer_number = 0
        self._cancelled = 0
        self._tasks: set[LoopTask] = set()
        self._failed: LoopTask | None = None
        self.turning = False
        """A coroutine or a callback is running: nothing else can be run meanwhile."""

    @abstractmethod
    def now(self) -> int:
        """Cycles since the start."""

    @abstractmethod
    def advance(self, deadline: int | None) -> None:
        """Advance time until a callback ran, a future was set, or ``now() >= deadline``.

        ``deadline`` None means no limit. It may return early at any time. Errors: :class:`StuckError` when
        no event is due and there is no deadline.
        """

    def event(self) -> LoopEvent:
        """A new event."""
        return LoopEvent(self)

    def future(self) -> Future:
        """A new future, for engines."""
        return Future(self)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> LoopTask:
        """Run ``coroutine`` concurrently, from the next turn on."""
        task = LoopTask(self, coroutine)
        self._tasks.add(task)
        self._ready.append(task)
        return task

    async def sleep(self, cycles: int) -> None:
        """Let ``cycles`` pass."""
        future = Future(self)
        self._call_at(self.now() + cycles, future)
        await future

    def schedule(self, cycles: int, action: Callable[[], None]) -> None:
        """Run ``action`` in ``cycles`` cycles. :meth:`run` raises what it raises."""
        self._call_at(self.now() + cycles, _Action(action))

    def run(self, coroutine: Coroutine[Any, Any, Any], keep: bool = False) -> Any:
        """Run ``coroutine`` to its end and return its result. Tasks that it started and that are still
        running then are cancelled; with ``keep`` they go on in the next call.

        Errors: the exception of ``coroutine``, or of a failed task that nobody joins.
        """
        before = self.running()
        main = self._begin(coroutine)
        try:
            while not self._turn(main):
                pass
        finally:
            for task in {main} if keep else self.running() - before:
                task.cancel()
        return main.result()

    async def run_beside(
        self, coroutine: Coroutine[Any, Any, Any], others: Callable[[], Awaitable[Any]]
    ) -> Any:
        """As :meth:`run` with ``keep``, in a coroutine of somebody else's scheduler: ``await others()`` lets
        that one go on, after every step in time. Several may be in flight.
        """
        main = self._begin(coroutine)
        try:
            while not self._turn(main):
                await others()
        finally:
            main.cancel()
        return main.result()

    def _begin(self, coroutine: Coroutine[Any, Any, Any]) -> LoopTask:
        main = self.start(coroutine)
        main._joined = True
        return main

    def _turn(self, main: LoopTask) -> bool:
        """Let all that are ready take a step, or else time pass; whether ``main`` has ended."""
        self.turning = True
        try:
            if not main.done:
                self._run_ready()
                self._raise_failure()
            if not main.done and not self._ready:
                self.advance(self._next_deadline())
                self._fire_timers()
        finally:
            self.turning = False
        return main.done

    def running(self) -> set[LoopTask]:
        """The tasks that have not ended."""
        return set(self._tasks)

    def run_until(self, cycle: int) -> None:
        """Run the started tasks until ``now() >= cycle``. Tasks that have not ended go on in the next call.

        For several loops whose clocks must stay together. Errors: the exception of a failed task that nobody
        joins.
        """
        while True:
            while self._ready:
                self._run_ready()
                self._raise_failure()
            if self.now() >= cycle:
                return
            deadline = self._next_deadline()
            self.advance(cycle if deadline is None else min(deadline, cycle))
            self._fire_timers()

    def _raise_failure(self) -> None:
        if self._failed is not None:
            failed, self._failed = self._failed, None
            if not failed._joined:
                assert failed._error is not None
                raise failed._error

    def _run_ready(self) -> None:
        ready = self._ready
        for _ in range(len(ready)):
            ready.popleft()._step()

    def _call_at(self, cycle: int, future: Future | _Action) -> _Timer:
        timer = _Timer(self, future)
        self._timer_number += 1
        heapq.heappush(self._timers, (cycle, self._timer_number, timer))
        if self._cancelled > 64 and self._cancelled * 2 > len(self._timers):
            self._timers = [item for item in self._timers if item[2].future is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0
        return timer

    def _next_deadline(self) -> int | None:
        while self._timers and self._timers[0][2].future is None:
            heapq.heappop(self._timers)
            self._cancelled -= 1
        return self._timers[0][0] if self._timers else None

    def _fire_timers(self) -> None:
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.future is None:
                self._cancelled -= 1
            else:
                future, timer.future = timer.future, None
                future.set(False)
