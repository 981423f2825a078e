"""The reset sequencer: what is waited for and for how long, the right rows, in order."""

from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.spec.modern import NO_VECTOR
from ringwalker.transport.quiet import QUIET_CYCLES
from ringwalker.transport.reset_sequencer import CLOSE_CYCLES, DRAIN_CYCLES, STOP_CYCLES, ResetSequencer
from ringwalker_sim.testing.inprocess import Bench, simulated

QUEUES = 5
QUEUE_SIZE = 128
STATES = ("halted", "departed", "answered", "settled")
EVENTS = ("flush", "clearing", "device_done", "queue_done")
SOON = 3 * QUIET_CYCLES + CLOSE_CYCLES + 2 * QUEUES + 8
"""Cycles of a request when nothing has to be waited for, at most."""


class Sequencer(Bench):
    """The sequencer. ``rows`` are those that it wrote, ``restored`` the queues that it restored."""

    @classmethod
    def component(cls) -> ResetSequencer:
        return ResetSequencer(DeviceConfig(queues=QUEUES, queue_size=QUEUE_SIZE))

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []
        self.restored: list[int] = []
        self.events: list[str] = []
        self.closed = 0
        self.each_cycle(self._look)

    def _look(self) -> None:
        value: Any = self.value
        writing = value("table_write.en")
        assert value("clear.en") == writing
        assert not writing or (value("halt") and not value("ready"))
        assert not value("flush") or (value("halt") and value("stop"))
        assert value("forget") or not value("clearing")
        assert not value("forget") or (value("whole") and value("halt") and not value("stop"))
        if writing:
            row = {"size": QUEUE_SIZE, "vector": NO_VECTOR}
            fields = {key: number for key, number in value("table_write.row").items() if number}
            assert fields == row
            assert value("table_write.mask") == 0xFFFF_FFFF
            assert value("clear.index") == value("table_write.index")
            assert value("clear.position") == 0
            assert not self.events or self.closed >= CLOSE_CYCLES, "the registers were not closed in time"
            self.rows.append(value("table_write.index"))
        else:
            self.closed = 0 if value("ready") else self.closed + 1
        if value("restore.en"):
            self.restored.append(value("restore.index"))
        self.events += [name for name in EVENTS if value(name)]

    async def start(self, *states: str) -> None:
        """Let power-up pass; then the states that are named are up."""
        await self.cycles(QUEUES + 3)
        assert self.rows == list(range(QUEUES))
        self.rows.clear()
        self.say(*states)

    def say(self, *states: str) -> None:
        """These states are up from now on, and no others."""
        for name in STATES:
            self.drive(name, int(name in states))

    async def done(self, name: str, cycles: int) -> int:
        """Wait for the report, and take the requests away; gives the cycles."""
        took = await self.until(lambda: self.value(name), name, cycles)
        self.drive("device_request", 0)
        self.drive("queue_request", 0)
        await self.cycles(2)
        assert not self.value("halt")
        return took

    def ask(self, queue: int | None = None) -> None:
        """Ask for a reset of a queue, or of the device."""
        self.drive("queue_index", queue or 0)
        self.drive("device_request" if queue is None else "queue_request", 1)


@simulated(Sequencer)
async def test_power_up_rewrites_all_rows(bench: Sequencer) -> None:
    await bench.start()
    assert bench.events == []
    assert bench.value("ready")
    assert not bench.value("halt")


@simulated(Sequencer)
async def test_a_device_reset_stops_forgets_and_clears(bench: Sequencer) -> None:
    await bench.start(*STATES)
    bench.ask()
    await bench.done("device_done", SOON)
    assert bench.events == ["flush", "clearing", "device_done"]
    assert bench.rows == list(range(QUEUES))
    assert bench.restored == []


@simulated(Sequencer)
async def test_notifications_are_void_from_when_the_device_is_quiet_until_its_reset_is_done(
    bench: Sequencer,
) -> None:
    await bench.start(*STATES)
    bench.count("forget")
    bench.ask(1)
    await bench.done("queue_done", SOON)
    assert bench.counts["forget"] == 0
    bench.ask()
    await bench.until(lambda: "flush" in bench.events)
    until_done = await bench.done("device_done", SOON)
    assert bench.counts["forget"] == until_done


@simulated(Sequencer)
async def test_a_queue_that_is_idle_in_time_is_not_flushed(bench: Sequencer) -> None:
    await bench.start("departed", "answered", "settled")
    bench.ask(3)
    await bench.cycles(DRAIN_CYCLES - 2 * QUIET_CYCLES)
    assert bench.value("halt")
    assert not bench.value("stop")
    assert not bench.value("whole")
    bench.say(*STATES)
    await bench.done("queue_done", SOON)
    assert bench.events == ["queue_done"]
    assert bench.rows == [3]
    assert bench.restored == []


@simulated(Sequencer)
async def test_a_queue_that_is_not_idle_in_time_is_flushed_and_the_others_go_on(bench: Sequencer) -> None:
    await bench.start("departed", "answered", "settled")
    bench.ask(3)
    assert await bench.done("queue_done", DRAIN_CYCLES + SOON) >= DRAIN_CYCLES
    assert bench.events == ["flush", "queue_done"]
    assert bench.rows == [3]
    assert bench.restored == list(range(QUEUES))


@simulated(Sequencer)
async def test_what_departs_is_waited_for(bench: Sequencer) -> None:
    await bench.start("halted", "answered", "settled")
    bench.ask()
    await bench.cycles(2 * STOP_CYCLES)
    assert bench.value("stop")
    assert bench.events == []
    # It must be gone for some cycles in a row.
    for _ in range(5):
        bench.say(*STATES)
        await bench.cycles(QUIET_CYCLES - 1)
        bench.say("halted", "answered", "settled")
        await bench.cycles(1)
    assert bench.events == []
    bench.say(*STATES)
    await bench.done("device_done", SOON)


@simulated(Sequencer)
async def test_answers_are_waited_for_but_not_for_ever(bench: Sequencer) -> None:
    await bench.start("halted", "departed", "settled")
    bench.ask()
    await bench.cycles(STOP_CYCLES // 2)
    assert bench.events == []
    bench.say(*STATES)
    await bench.done("device_done", SOON)
    bench.say("halted", "departed", "settled")
    bench.ask()
    assert await bench.done("device_done", STOP_CYCLES + SOON) >= STOP_CYCLES


@simulated(Sequencer)
async def test_draining_and_stopping_have_one_limit(bench: Sequencer) -> None:
    await bench.start("departed", "settled")
    bench.ask(1)
    assert await bench.done("queue_done", STOP_CYCLES + SOON) >= STOP_CYCLES
    assert bench.events == ["flush", "queue_done"]


@simulated(Sequencer)
async def test_what_was_sent_leaves_before_the_report(bench: Sequencer) -> None:
    await bench.start("halted", "departed", "answered")
    for queue in (None, 2):
        bench.ask(queue)
        await bench.cycles(300)
        assert bench.value("hold")
        assert bench.value("ready"), "registers must be served meanwhile"
        assert not {"device_done", "queue_done"} & set(bench.events)
        bench.say(*STATES)
        await bench.done("device_done" if queue is None else "queue_done", SOON)
        bench.events.clear()
        bench.say("halted", "departed", "answered")


@simulated(Sequencer)
async def test_a_device_request_overtakes_a_queue_request(bench: Sequencer) -> None:
    for states in (("departed", "answered"), ("answered", "settled"), ("halted", "departed", "answered")):
        await bench.cycles(QUEUES + 3)
        bench.rows.clear()
        bench.events.clear()
        bench.say(*states)
        bench.ask(2)
        await bench.cycles(DRAIN_CYCLES + 100)
        bench.ask()
        await bench.cycles(2)
        assert bench.value("whole")
        bench.say(*STATES)
        await bench.done("device_done", SOON)
        assert bench.rows == list(range(QUEUES))
        assert bench.events[-3:] == ["flush", "clearing", "device_done"]
        assert "queue_done" not in bench.events


@simulated(Sequencer)
async def test_a_device_that_failed_becomes_quiet_once(bench: Sequencer) -> None:
    await bench.start("halted", "answered", "settled")
    bench.drive("failed", 1)
    await bench.cycles(100)
    assert bench.value("stop")
    assert bench.value("whole")
    bench.say(*STATES)
    await bench.cycles(200)
    assert bench.events == ["flush"]
    assert not bench.value("halt")
    assert bench.rows == []
    # Its reset is as any other.
    bench.ask()
    await bench.until(lambda: bench.value("clearing"), "clearing", SOON)
    bench.drive("failed", 0)
    await bench.done("device_done", SOON)
    assert bench.events == ["flush", "flush", "clearing", "device_done"]
    bench.drive("failed", 1)
    await bench.cycles(200)
    assert bench.events[4:] == ["flush"]


@simulated(Sequencer)
async def test_a_failure_goes_before_the_reset_of_a_queue(bench: Sequencer) -> None:
    await bench.start("departed", "answered", "settled")
    bench.ask(1)
    await bench.cycles(100)
    bench.drive("failed", 1)
    await bench.cycles(100)
    assert bench.events == ["flush"]
    bench.say(*STATES)
    await bench.done("queue_done", SOON)
    assert bench.rows == [1]
