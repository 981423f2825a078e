"""ConsoleReceive, one fact each: when a chain is answered."""

from ringwalker.function.console.receive import ConsoleReceive
from ringwalker_sim.testing.inprocess import Bench, simulated


class Receive(Bench):
    """At 64 bits; a chain that has bytes is finished after 10 cycles without one."""

    @classmethod
    def component(cls):
        return ConsoleReceive(64, 10)


@simulated(Receive)
async def test_a_chain_is_answered_when_no_more_bytes_come(bench):
    bench.put("chain.chains", {"writable": 12})
    bench.put("i", 0x41)
    reply = await bench.get("chain.replies")
    assert (reply["data"], reply["count"], reply["done"]) == (0x41, 1, 1)


@simulated(Receive)
async def test_a_chain_is_answered_when_its_readable_bytes_have_come(bench):
    bench.put("chain.chains", {"readable": 16, "writable": 1})
    bench.put("i", 0x41)
    bench.put("chain.readable", {"count": 8, "first": 1})
    await bench.cycles(30)
    assert bench.got("chain.replies") == [], "the host is still being read"
    bench.put("chain.readable", {"count": 8, "last": 1})
    assert (await bench.get("chain.replies"))["data"] == 0x41
