"""Events, tasks and time of cocotb's scheduler, for the guest's side."""

from collections.abc import Coroutine
from typing import Any

import cocotb
from cocotb.triggers import Event, First, Timer
from cocotb.utils import get_sim_time

__all__ = ["CocotbEvent", "CocotbTask", "CocotbTime"]


class CocotbEvent:
    """The :class:`~ringwalker_sim.guest.port.Event` of cocotb."""

    def __init__(self, cycle_steps: int):
        self._event = Event()
        self._cycle_steps = cycle_steps

    def set(self) -> None:
        """Raise the flag."""
        self._event.set()

    def clear(self) -> None:
        """Lower the flag."""
        self._event.clear()

    def is_set(self) -> bool:
        """Whether the flag is up."""
        return self._event.is_set()

    async def wait(self, timeout_cycles: int | None = None) -> bool:
        """True when the flag is up, False after ``timeout_cycles``."""
        if self._event.is_set():
            return True
        if timeout_cycles is None:
            await self._event.wait()
            return True
        await First(self._event.wait(), Timer(max(1, timeout_cycles) * self._cycle_steps, "step"))
        return self._event.is_set()


class CocotbTask:
    """The :class:`~ringwalker_sim.guest.port.Task` of cocotb."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]):
        self._finished = Event()
        self._result: Any = None
        self._error: BaseException | None = None
        self._joined = False
        self._task = cocotb.start_soon(self._run(coroutine))

    async def _run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            self._result = await coroutine
        except Exception as error:
            if not self._joined:
                raise
            self._error = error
        finally:
            self._finished.set()

    async def join(self) -> Any:
        """Its result when it has ended; its exception is raised here."""
        self._joined = True
        await self._finished.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        """End it where it waits."""
        self._task.cancel()
        self._finished.set()


class CocotbTime:
    """The time of a :class:`~ringwalker_sim.guest.port.Port` under cocotb.

    ``cycle_steps``: a cycle of the device's clock in steps of the simulator.
    """

    cycle_steps: int

    def now(self) -> int:
        """Clock cycles since the start."""
        return int(get_sim_time("step")) // self.cycle_steps

    async def sleep(self, cycles: int) -> None:
        """Let ``cycles`` pass."""
        if cycles > 0:
            await Timer(cycles * self.cycle_steps, "step")

    def event(self) -> CocotbEvent:
        """A new event."""
        return CocotbEvent(self.cycle_steps)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> CocotbTask:
        """Run ``coroutine`` beside the caller."""
        return CocotbTask(coroutine)
