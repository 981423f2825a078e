"""DescriptorSource: descriptors that came with heads, and those that are read, in turn."""

from ringwalker.queue.chain.source import DescriptorSource
from ringwalker.spec.ring import DESC_BYTES
from ringwalker_sim.testing.inprocess import Bench, simulated
from ringwalker_sim.testing.surroundings import DmaReads

WIDTH = 64
TABLE = 0x1000


class Source(Bench):
    """``held`` are the descriptors that heads have brought, those of the oldest first."""

    @classmethod
    def component(cls):
        return DescriptorSource(WIDTH, 4, 8)

    def __init__(self):
        super().__init__()
        self.memory = bytearray(self.random.randbytes(1 << 14))
        self.reads = DmaReads(self, "read", self.memory, WIDTH)
        self.drive("max_read_request", 256)
        self.held: list[int] = []
        self.stall("ranges")
        self.each_cycle(self._hold)

    def _hold(self):
        del self.held[: self.value("brought.release")]

    def bring(self, slot, index, *raws):
        self.held += raws
        self.put("comes", {"slot": slot, "lap": 1, "index": index, "count": len(raws)})

    def ask(self, slot, index):
        self.put("requests", {"slot": slot, "index": index, "table_address": TABLE, "table_size": 64})

    def look(self, position):
        """The descriptor of the range that is offered; what heads brought answers at once."""
        self.drive("position", position)
        at = self.value("brought.position")
        self.drive("brought.raw", self.held[at] if at < len(self.held) else 0)
        return self.value("raw")

    async def take(self):
        """The range that is offered, with its descriptors from the one that it is about on."""
        await self.until(lambda: self.value("ranges.valid"), "a range")
        found = self.value("ranges.payload")
        first = found["index"] - found["first"]
        raws = [self.look(position) for position in range(first, found["count"])]
        self.drive("ranges.ready", 1)
        await self.cycles()
        self.drive("ranges.ready", 0)
        await self.cycles(2)
        return (found["slot"], found["index"], found["group"], found["error"]), raws

    def stored(self, index, count):
        at = TABLE + DESC_BYTES * index
        return [
            int.from_bytes(self.memory[at + DESC_BYTES * n : at + DESC_BYTES * (n + 1)], "little")
            for n in range(count)
        ]


@simulated(Source)
async def test_what_a_head_brought_is_offered_and_nothing_is_read(bench):
    bench.bring(3, 7, 111, 222)
    assert await bench.take() == ((3, 7, 0, 0), [111, 222])
    assert bench.held == []
    assert bench.reads.requests == []
    assert bench.value("idle")


@simulated(Source)
async def test_what_is_asked_for_is_read(bench):
    bench.ask(2, 5)
    assert await bench.take() == ((2, 5, 0, 0), bench.stored(5, 3))
    assert bench.value("idle")


@simulated(Source)
async def test_both_kinds_have_their_turn_each_in_its_order(bench):
    for n in range(4):
        bench.bring(n, n, 100 + n)
        bench.ask(10 + n, 4 * n)
    await bench.cycles(60)
    found = [await bench.take() for _ in range(8)]
    brought = [item for item in found if item[0][0] < 10]
    asked = [item for item in found if item[0][0] >= 10]
    assert brought == [((n, n, 0, 0), [100 + n]) for n in range(4)]
    assert asked == [((10 + n, 4 * n, 0, 0), bench.stored(4 * n, 4)) for n in range(4)]
    slots = [item[0][0] for item in found]
    assert {*slots[:3]} & {0, 1}
    assert {*slots[:3]} & {10, 11}
