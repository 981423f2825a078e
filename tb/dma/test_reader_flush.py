"""A reader that forgets its client: what is in flight comes to its end unseen, and no tag is used before."""

from typing import Any

import pytest

from ringwalker.dma.reader import DmaReader
from ringwalker.spec.tlp import CompletionStatus
from ringwalker.tlp.tags import TagRange
from ringwalker_sim.testing.inprocess import Bench, simulated

WIDTH = 64
TIMEOUT = 300
TAGS = TagRange(low=3, low_count=4)
EARLY = {
    "header_tag": TAGS.low,
    "header_status": CompletionStatus.COMPLETER_ABORT.value,
    "first": 1,
    "last": 1,
}
"""A completion with the first tag that is used; nobody has asked for it yet."""


class Reader(Bench):
    """The reader. ``asked`` are the requests at the host, by tag; a tag that is there already is an error."""

    @classmethod
    def component(cls) -> DmaReader:
        return DmaReader(WIDTH, TAGS, 64, TIMEOUT)

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[int, Any] = {}
        self.on("requests", self._request)
        self.count("failed", "unexpected")

    def _request(self, beat: Any) -> None:
        tag = beat["header_tag"]
        assert tag not in self.asked, f"tag {tag} can still be answered"
        self.asked[tag] = beat

    def read(self, *numbers: int) -> None:
        """Read 8 bytes each; the number is the address in units of 64 bytes."""
        self.put("port.requests", *({"address": 64 * number, "length": 8} for number in numbers))

    def answer(self, tag: int, status: CompletionStatus = CompletionStatus.SUCCESS) -> None:
        """Answer the request with this tag: the data is its address."""
        header = self.asked.pop(tag)
        good = int(status is CompletionStatus.SUCCESS)
        beat = {"header_tag": tag, "header_status": status.value, "first": 1, "last": 1}
        if good:
            beat |= {"header_has_data": 1, "header_length": 2, "header_byte_count": 8, "dwords": 3}
            beat["data"] = header["header_address"]
        self.put("completions", beat)

    async def flush(self) -> None:
        """Forget the client."""
        self.drive("abort", 1)
        self.drive("flush", 1)
        await self.cycles()
        self.drive("abort", 0)
        self.drive("flush", 0)
        self.begin_anew("port.requests", "port.data", "requests")
        self._streams["port.data"].items.clear()

    async def check_new(self, *numbers: int) -> None:
        """New reads are answered in order, each with its own data."""
        self.read(*numbers)
        got: list[int] = []

        def done() -> bool:
            for tag in list(self.asked):
                self.answer(tag)
            got.extend(beat["data"] for beat in self.got("port.data"))
            return len(got) == len(numbers)

        await self.until(done, "the data")
        assert got == [64 * number for number in numbers]
        await self.cycles(3)
        assert self.value("idle")
        assert self.value("answered")


@simulated(Reader)
async def test_at_rest(bench: Reader) -> None:
    await bench.flush()
    await bench.check_new(*range(10))


@simulated(Reader)
async def test_tags_in_flight_are_not_used_before_they_are_answered(bench: Reader) -> None:
    bench.read(1, 2, 3)
    await bench.until(lambda: len(bench.asked) == 3)
    assert not bench.value("answered")
    await bench.flush()
    bench.read(7)
    await bench.cycles(50)
    assert len(bench.asked) == 3, "a read was sent"
    assert not bench.value("idle")
    for tag in list(bench.asked):
        bench.answer(tag)
    await bench.until(lambda: bench.asked, "the new read")
    (tag,) = bench.asked
    bench.answer(tag)
    assert (await bench.get("port.data"))["data"] == 7 * 64
    assert bench.counts["unexpected"] == 0


@simulated(Reader)
async def test_data_that_was_not_taken_is_dropped(bench: Reader) -> None:
    bench.stall("port.data")
    bench.read(1, 2)
    await bench.until(lambda: len(bench.asked) == 2)
    for tag in list(bench.asked):
        bench.answer(tag)
    await bench.until(lambda: bench.value("port.data.valid"))
    await bench.flush()
    await bench.cycles(2)
    assert not bench.value("port.data.valid")
    bench.stall("port.data", probability=0)
    await bench.check_new(4, 5)


@simulated(Reader)
async def test_a_request_that_was_not_taken_is_withdrawn(bench: Reader) -> None:
    bench.stall("requests")
    bench.read(1)
    await bench.until(lambda: bench.value("requests.valid"))
    await bench.flush()
    bench.stall("requests", probability=0)
    await bench.cycles(20)
    assert not bench.asked
    await bench.check_new(2, 3)


@simulated(Reader)
async def test_a_completion_before_its_request_is_unexpected(bench: Reader) -> None:
    bench.stall("requests")
    bench.read(1)
    await bench.until(lambda: bench.value("requests.valid"))
    bench.put("completions", EARLY)
    await bench.cycles(8)
    assert bench.counts == {"failed": 0, "unexpected": 1}
    bench.stall("requests", probability=0)
    await bench.until(lambda: bench.asked)
    bench.answer(TAGS.low)
    assert (await bench.get("port.data"))["data"] == 64
    await bench.check_new(2, 3)


@simulated(Reader)
async def test_a_completion_of_a_withdrawn_request_is_unexpected(bench: Reader) -> None:
    for cycles_before in range(5):
        bench.stall("requests")
        bench.read(1)
        await bench.until(lambda: bench.value("requests.valid"))
        bench.put("completions", {**EARLY, "header_tag": bench.value("requests.payload")["header_tag"]})
        await bench.cycles(cycles_before)
        await bench.flush()
        bench.stall("requests", probability=0)
        await bench.cycles(20)
        assert bench.counts == {"failed": 0, "unexpected": cycles_before + 1}
        assert bench.value("answered")
        await bench.check_new(2, 3)


@simulated(Reader)
async def test_failures_of_forgotten_reads_are_nobodys(bench: Reader) -> None:
    bench.read(1, 2)
    await bench.until(lambda: len(bench.asked) == 2)
    await bench.flush()
    first, _second = bench.asked
    bench.answer(first, CompletionStatus.UNSUPPORTED_REQUEST)
    await bench.cycles(2 * TIMEOUT + 50)
    assert bench.counts["failed"] == 0
    # The other one has timed out: its tag may be used again after as long.
    bench.asked.clear()
    await bench.check_new(8)


@pytest.mark.parametrize("seed", range(3))
def test_a_flush_at_any_moment(seed: int) -> None:
    async def body(bench: Reader) -> None:
        bench.random.seed(seed)
        answering = True

        def answers() -> None:
            if answering and bench.asked and bench.random.random() < 0.2:
                bench.answer(bench.random.choice(list(bench.asked)))

        bench.each_cycle(answers)
        for turn in range(60):
            bench.stall(probability=bench.random.choice([0, 0.5]))
            bench.read(*(100 * turn + n for n in range(bench.random.randrange(8))))
            await bench.cycles(bench.random.randrange(40))
            # As the walker does: not while a request is on its way out.
            bench.drive("abort", 1)
            bench.stall("requests", probability=0)
            await bench.until(lambda: not bench.value("requests.valid"))
            await bench.flush()
            bench.stall(probability=0)
            await bench.check_new(*range(turn, turn + 6))
        assert bench.counts == {"failed": 0, "unexpected": 0}

    Reader().run(body)


@simulated(Reader)
async def test_a_quarantine_is_said_for_as_long_as_reads_wait_for_its_end(bench: Reader) -> None:
    bench.read(1)
    await bench.cycles(10)
    assert not bench.value("quarantined")
    assert (await bench.get("port.data"))["error"]
    assert bench.value("quarantined")
    bench.read(2)
    for _ in range(TIMEOUT - 10):
        await bench.cycles()
        assert bench.value("quarantined")
        assert len(bench.asked) == 1
    await bench.cycles(20)
    assert not bench.value("quarantined")
    assert len(bench.asked) == 2
