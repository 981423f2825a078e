"""The cooperative scheduler, on a clock that jumps."""

import heapq
from collections.abc import Callable

import pytest

from ringwalker_sim.guest.loop import Loop, StuckError


class Clock(Loop):
    """Time jumps to the next thing that was scheduled."""

    def __init__(self) -> None:
        super().__init__()
        self.cycle = 0
        self.agenda: list[tuple[int, int, Callable[[], None]]] = []

    def now(self) -> int:
        return self.cycle

    def at(self, cycle: int, action: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (cycle, len(self.agenda), action))

    def advance(self, deadline: int | None) -> None:
        if self.agenda and (deadline is None or self.agenda[0][0] <= deadline):
            self.cycle, _, action = heapq.heappop(self.agenda)
            action()
        elif deadline is None:
            raise StuckError("stuck")
        else:
            self.cycle = max(self.cycle, deadline)


def test_sleeping_tasks_run_in_order_of_time() -> None:
    clock = Clock()
    seen: list[tuple[str, int]] = []

    async def sleeper(name: str, cycles: int) -> str:
        await clock.sleep(cycles)
        seen.append((name, clock.now()))
        return name

    async def main() -> list[str]:
        tasks = [clock.start(sleeper(*item)) for item in (("c", 30), ("a", 10), ("b", 20))]
        return [await task.join() for task in tasks]

    assert clock.run(main()) == ["c", "a", "b"]
    assert seen == [("a", 10), ("b", 20), ("c", 30)]


def test_event_wakes_all_waiters_and_stays_up() -> None:
    clock = Clock()
    event = clock.event()
    woken: list[int] = []

    async def waiter(number: int) -> None:
        assert await event.wait()
        woken.append(number)

    async def main() -> None:
        tasks = [clock.start(waiter(number)) for number in range(3)]
        clock.at(7, event.set)
        for task in tasks:
            await task.join()
        assert clock.now() == 7
        assert await event.wait(0)
        event.clear()
        assert not await event.wait(5)
        assert clock.now() == 12

    clock.run(main())
    assert woken == [0, 1, 2]


def test_wait_with_a_limit_is_ended_by_whichever_is_first() -> None:
    clock = Clock()
    event = clock.event()

    async def main() -> None:
        clock.at(50, event.set)
        assert not await event.wait(49)
        assert await event.wait(49)
        event.clear()
        # Thousands of waits whose limits never come must not pile up.
        for step in range(5000):
            clock.at(clock.now() + 1, event.set)
            assert await event.wait(1_000_000), step
            event.clear()
        assert len(clock._timers) < 1000

    clock.run(main())


def test_exception_of_a_joined_task_reaches_who_joins() -> None:
    clock = Clock()

    async def bad() -> None:
        await clock.sleep(1)
        raise KeyError("x")

    async def main() -> str:
        task = clock.start(bad())
        with pytest.raises(KeyError):
            await task.join()
        return "done"

    assert clock.run(main()) == "done"


def test_exception_of_a_task_nobody_joins_ends_the_run() -> None:
    clock = Clock()

    async def bad() -> None:
        raise KeyError("x")

    async def main() -> None:
        clock.start(bad())
        await clock.sleep(1000)

    with pytest.raises(KeyError):
        clock.run(main())
    # The loop can be used again.
    assert clock.run(clock.sleep(1)) is None


def test_tasks_left_over_are_ended_with_the_run() -> None:
    clock = Clock()
    ended: list[str] = []

    async def forever() -> None:
        try:
            while True:
                await clock.sleep(10)
        finally:
            ended.append("forever")

    async def main() -> None:
        clock.start(forever())
        await clock.sleep(25)

    clock.run(main())
    assert ended == ["forever"]


def test_a_cancelled_task_does_not_run_on() -> None:
    clock = Clock()
    event = clock.event()
    seen: list[int] = []

    async def waiter() -> None:
        await event.wait()
        seen.append(1)

    async def main() -> None:
        task = clock.start(waiter())
        await clock.sleep(1)
        task.cancel()
        event.set()
        await clock.sleep(1)
        assert await task.join() is None

    clock.run(main())
    assert seen == []


def test_nothing_can_happen_is_an_error() -> None:
    clock = Clock()
    with pytest.raises(StuckError):
        clock.run(clock.event().wait())


def test_what_is_not_a_primitive_of_the_port_is_refused() -> None:
    import asyncio

    clock = Clock()
    with pytest.raises(TypeError, match="not a primitive"):
        clock.run(asyncio.sleep(0))
