"""Advanced error reporting: what becomes of an error, one fact each.

Ref: PCIe 3.1, 6.2.3.2.4 (advisory errors), 6.2.4 (first error, header log), 6.2.5 (figure 6-2).
"""

from ringwalker.dma.reader import DmaReader
from ringwalker.pci.edge import UNCLAIMED_CYCLES, UNEXPECTED_CYCLES
from ringwalker.pci.error_reporting import ErrorReporting
from ringwalker.spec.pci_extended import UncorrectableError as U
from ringwalker.spec.pcie import DeviceControl
from ringwalker.spec.tlp import ErrorMessage, RequestKind
from ringwalker.tlp.completion_router import CompletionRouter
from ringwalker.tlp.tags import TagRange
from ringwalker_sim.testing.inprocess import Bench, simulated

OUTCOMES = ("uncorrectable", "advisory", "correctable_error", "non_fatal_error", "fatal_error", "signaled")
REPORTS = (
    DeviceControl.CORRECTABLE_ERROR_ENABLE
    | DeviceControl.NON_FATAL_ERROR_ENABLE
    | DeviceControl.FATAL_ERROR_ENABLE
    | DeviceControl.UNSUPPORTED_REQUEST_ENABLE
)


class Errors(Bench):
    """Error reporting with all reports enabled, and its status register."""

    @classmethod
    def component(cls):
        return ErrorReporting(64)

    def __init__(self):
        super().__init__()
        self.status = 0
        self.drive("registers.control", int(REPORTS))
        self.each_cycle(self._log)

    def _log(self):
        self.status |= self.value("registers.uncorrectable")
        self.drive("registers.status", self.status)

    async def happen(self, *names, header=0):
        """These errors happen in one cycle; gives what is not 0 of the outcomes."""
        for name in names:
            self.drive(name, 1)
            self.drive(f"{name}_header", header)
        await self.cycles(0)
        outcome = {name: value for name in OUTCOMES if (value := self.value(f"registers.{name}"))}
        await self.cycles()
        for name in names:
            self.drive(name, 0)
        await self.cycles(5)
        return outcome

    def first(self):
        return self.value("registers.first"), self.value("registers.log")

    def sent(self):
        beats = self.got("messages")
        assert all(beat["header_kind"] == RequestKind.MESSAGE.value for beat in beats)
        return [ErrorMessage(beat["header_last_be"] << 4 | beat["header_first_be"]) for beat in beats]


@simulated(Errors)
async def test_an_error_that_nobody_else_learns_of_is_not_fatal(bench):
    outcome = await bench.happen("unsupported_posted", header=0x1234)
    assert outcome == {"uncorrectable": U.UNSUPPORTED_REQUEST, "non_fatal_error": 1}
    assert bench.first() == (20, 0x1234)
    assert bench.sent() == [ErrorMessage.NON_FATAL]


@simulated(Errors)
async def test_an_error_that_the_requester_learns_of_is_advisory(bench):
    outcome = await bench.happen("unsupported", header=0x1234)
    assert outcome == {"uncorrectable": U.UNSUPPORTED_REQUEST, "advisory": 1, "correctable_error": 1}
    assert bench.first() == (20, 0x1234)
    assert bench.sent() == [ErrorMessage.CORRECTABLE]


@simulated(Errors)
async def test_a_masked_advisory_error_is_counted_and_nothing_else(bench):
    bench.drive("registers.advisory_mask", 1)
    assert await bench.happen("unsupported") == {"advisory": 1, "correctable_error": 1}
    assert bench.sent() == []
    assert await bench.happen("timed_out") == {"uncorrectable": U.COMPLETION_TIMEOUT, "non_fatal_error": 1}


@simulated(Errors)
async def test_severity_makes_any_error_fatal(bench):
    bench.drive("registers.severity", int(U.UNSUPPORTED_REQUEST | U.POISONED))
    for name in ("unsupported", "poisoned_completion"):
        outcome = await bench.happen(name)
        assert set(outcome) == {"uncorrectable", "fatal_error"}
        assert bench.sent() == [ErrorMessage.FATAL]
    assert set(await bench.happen("unexpected")) == {"uncorrectable", "advisory", "correctable_error"}


@simulated(Errors)
async def test_a_masked_error_sets_its_bit_and_is_neither_first_nor_reported(bench):
    bench.drive("registers.mask", int(U.COMPLETION_TIMEOUT))
    outcome = await bench.happen("timed_out", header=7)
    assert outcome == {"uncorrectable": U.COMPLETION_TIMEOUT, "non_fatal_error": 1}
    assert bench.first() == (0, 0)
    assert bench.sent() == []


@simulated(Errors)
async def test_the_first_error_is_held_until_its_bit_is_cleared(bench):
    await bench.happen("unexpected", header=1)
    await bench.happen("unsupported_posted", header=2)
    assert bench.first() == (16, 1)
    bench.status &= ~U.UNSUPPORTED_REQUEST
    await bench.happen("poisoned", header=3)
    assert bench.first() == (16, 1), "its own bit is still set"
    bench.status = 0
    await bench.cycles()
    await bench.happen("poisoned", header=4)
    assert bench.first() == (12, 4)


@simulated(Errors)
async def test_device_control_and_serr_enable_messages(bench):
    bench.drive("registers.control", int(DeviceControl.NON_FATAL_ERROR_ENABLE))
    await bench.happen("unsupported_posted")
    assert bench.sent() == [], "unsupported requests have an enable of their own"
    await bench.happen("timed_out")
    assert bench.sent() == [ErrorMessage.NON_FATAL]
    await bench.happen("unexpected")
    assert bench.sent() == []
    bench.drive("registers.control", 0)
    bench.drive("registers.serr", 1)
    assert "signaled" in await bench.happen("unsupported_posted")
    assert bench.sent() == [ErrorMessage.NON_FATAL]
    assert "signaled" not in await bench.happen("unexpected")
    assert bench.sent() == []


@simulated(Errors)
async def test_messages_of_each_kind_wait_for_the_link(bench):
    bench.stall("messages")
    bench.drive("registers.severity", int(U.POISONED))
    for name in ("unexpected", "timed_out", "poisoned", "unexpected"):
        await bench.happen(name)
    assert not bench.value("idle")
    bench.stall("messages", probability=0)
    await bench.cycles(10)
    assert sorted(message.value for message in bench.sent()) == [0x30, 0x30, 0x31, 0x33]
    assert bench.value("idle")


@simulated(Errors)
async def test_of_several_errors_in_a_cycle_one_counts(bench):
    outcome = await bench.happen("unsupported_posted", "unexpected", header=5)
    assert outcome == {"uncorrectable": U.UNSUPPORTED_REQUEST, "non_fatal_error": 1}


class Router(Bench):
    @classmethod
    def component(cls):
        return CompletionRouter(64, [TagRange(low=0, low_count=2)])


@simulated(Router)
async def test_a_tag_that_is_nobodys_is_known_so_many_cycles_later(bench):
    bench.put("i", {"header_tag": 9, "first": 1, "last": 1})
    await bench.until(lambda: bench.value("i.valid"))
    assert await bench.until(lambda: bench.value("unexpected")) == UNCLAIMED_CYCLES


class Reader(Bench):
    @classmethod
    def component(cls):
        return DmaReader(64, TagRange(low=0, low_count=2), 64, 100)


@simulated(Reader)
async def test_a_tag_that_is_not_waited_for_is_known_so_many_cycles_later(bench):
    bench.put("completions", {"header_tag": 1, "first": 1, "last": 1})
    await bench.until(lambda: bench.value("completions.valid"))
    # The router takes a cycle.
    assert 1 + await bench.until(lambda: bench.value("unexpected")) == UNEXPECTED_CYCLES
