"""The guard of a function that cannot forget chains: void ones end, and new ones know nothing of them."""

from collections import deque
from typing import Any

import pytest

from ringwalker.function.chain_guard import ChainGuard
from ringwalker_sim.testing.dma import packet_beats
from ringwalker_sim.testing.inprocess import Bench, simulated

WIDTH = 64


class Guard(Bench):
    """The guard between a walker that resets, and a function that takes chains and packets as they come.

    ``ahead``: the function takes packets before their chains. ``answering``: it answers what it has.
    """

    @classmethod
    def component(cls) -> ChainGuard:
        return ChainGuard(WIDTH)

    def __init__(self) -> None:
        super().__init__()
        self.drive("function.idle", 1)
        self.chains: deque[Any] = deque()
        self.packets: deque[tuple[bytes, bool]] = deque()
        self.beats: list[Any] = []
        self.answers: list[int] = []
        self.answering = True
        self.on("function.chains", self.chains.append)
        self.on("function.readable", self._beat)
        self.on("walker.replies", lambda reply: self.answers.append(reply["data"]))
        self.each_cycle(self._answer)

    def _beat(self, beat: Any) -> None:
        self.beats.append(beat)
        if beat["last"]:
            content = b"".join(item["data"].to_bytes(8, "little")[: item["count"]] for item in self.beats)
            self.packets.append((content, bool(beat["error"])))
            self.beats = []

    def _answer(self) -> None:
        """The oldest chain: its answer is the sum of its bytes, and nothing for one with an error."""
        if not self.answering or not self.chains or self.pending("function.replies"):
            return
        chain = self.chains[0]
        total = 0
        if chain["readable"]:
            if not self.packets:
                return
            content, error = self.packets.popleft()
            wrong = not error and chain["writable"] and len(content) != chain["readable"]
            assert not wrong, "a packet of another chain"
            total = 0 if error else sum(content)
        self.chains.popleft()
        reply = {"data": total, "count": 0, "first": 1, "last": 1, "done": 1}
        self.put("function.replies", reply)

    def offer(self, content: bytes) -> int:
        """Offer a chain with these readable bytes; gives its answer."""
        self.put("walker.chains", {"readable": len(content), "writable": 4})
        if content:
            self.put("walker.readable", *(dict(beat) for beat in packet_beats(content, WIDTH)))
        return sum(content)

    async def forget(self) -> None:
        """The walker forgets everything in flight."""
        self.drive("walker.forget", 1)
        await self.cycles()
        self.drive("walker.forget", 0)
        self.begin_anew("walker.chains", "walker.readable", "walker.replies")
        self.answers.clear()

    async def check_new(self) -> None:
        """New chains are answered, and rightly."""
        wanted = [self.offer(bytes([n]) * n) for n in (3, 0, 17, 8)]
        await self.until(lambda: len(self.answers) >= len(wanted), "the answers")
        await self.cycles(20)
        assert self.answers == wanted
        assert self.value("walker.idle")
        assert not self.value("function.halt")


@simulated(Guard)
async def test_chains_pass_in_the_same_cycle(bench: Guard) -> None:
    await bench.check_new()
    assert bench.value("active") == 0


@simulated(Guard)
async def test_halt_passes(bench: Guard) -> None:
    bench.drive("walker.halt", 1)
    assert bench.value("function.halt")
    bench.drive("function.idle", 0)
    assert not bench.value("walker.idle")


@simulated(Guard)
async def test_nothing_in_flight_is_forgotten_at_once(bench: Guard) -> None:
    await bench.forget()
    await bench.cycles(2)
    assert not bench.value("function.halt")
    await bench.check_new()


@simulated(Guard)
async def test_a_packet_in_the_middle_ends_with_an_error(bench: Guard) -> None:
    bench.answering = False
    bench.offer(bytes(100))
    await bench.cycles(6)
    assert bench.beats
    await bench.forget()
    await bench.until(lambda: bench.packets)
    assert bench.packets[0][1]
    assert bench.value("function.halt")
    assert not bench.value("walker.idle")
    bench.answering = True
    await bench.check_new()


@simulated(Guard)
async def test_a_packet_that_never_came_is_a_beat_with_an_error(bench: Guard) -> None:
    bench.put("walker.chains", {"readable": 5000}, {"readable": 0}, {"readable": 9})
    await bench.until(lambda: len(bench.chains) == 2)
    await bench.forget()
    await bench.check_new()


@simulated(Guard)
async def test_packets_before_their_chains_get_chains_without_room(bench: Guard) -> None:
    bench.stall("function.chains")
    bench.stall("walker.chains")
    bench.offer(bytes(30))
    bench.offer(bytes(50))
    await bench.until(lambda: bench.packets)
    await bench.forget()
    bench.stall("function.chains", probability=0)
    bench.stall("walker.chains", probability=0)
    await bench.check_new()


@simulated(Guard)
async def test_a_packet_that_was_offered_before_its_chain_gets_one_without_room(bench: Guard) -> None:
    bench.stall("function.readable")
    bench.put("walker.readable", *(dict(beat) for beat in packet_beats(bytes(30), WIDTH)))
    await bench.cycles(4)
    await bench.forget()
    await bench.until(lambda: bench.chains, "a chain, before which this function takes no packet")
    bench.stall("function.readable", probability=0)
    await bench.check_new()


@simulated(Guard)
async def test_replies_that_take_long_hold_up_new_chains_only(bench: Guard) -> None:
    bench.answering = False
    bench.offer(bytes(8))
    await bench.until(lambda: bench.chains and bench.packets)
    await bench.forget()
    wanted = bench.offer(b"later")
    await bench.cycles(300)
    assert len(bench.chains) == 1
    assert not bench.answers
    bench.answering = True
    await bench.until(lambda: bench.answers)
    assert bench.answers == [wanted]


@pytest.mark.parametrize("seed", range(6))
def test_forgetting_at_any_moment(seed: int) -> None:
    async def body(bench: Guard) -> None:
        bench.random.seed(seed)
        for _ in range(40):
            for name in ("walker.chains", "walker.readable", "function.chains", "function.readable"):
                bench.stall(name, probability=bench.random.choice([0, 0.3, 0.9]))
            bench.stall("function.replies", probability=bench.random.choice([0, 0.5]))
            for _ in range(bench.random.randrange(6)):
                bench.offer(bench.random.randbytes(bench.random.choice([0, 1, 8, 60])))
            await bench.cycles(bench.random.randrange(30))
            for _ in range(bench.random.choice([1, 1, 2])):
                await bench.forget()
                await bench.cycles(bench.random.choice([0, 1, 5]))
            bench.stall(probability=0)
            await bench.check_new()
            bench.answers.clear()

    Guard().run(body)
