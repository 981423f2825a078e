"""EntropyFunction, one fact each: when a packet begins."""

from ringwalker.config import DeviceConfig
from ringwalker.function.entropy.function import EntropyFunction
from ringwalker_sim.testing.inprocess import Bench, simulated


class Entropy(Bench):
    """The function at 64 bits."""

    @classmethod
    def component(cls):
        return EntropyFunction(DeviceConfig(function="rng", data_width=64))


@simulated(Entropy)
async def test_a_packet_waits_for_the_noise_of_its_last_bytes(bench):
    bench.put("chain.chains", {"writable": 12})
    bench.put("noise", 0x1111)
    await bench.cycles(20)
    assert bench.got("chain.replies") == []
    bench.put("noise", 0x2222)
    first, second = await bench.get("chain.replies"), await bench.get("chain.replies")
    assert (first["data"], first["count"], first["last"]) == (0x1111, 8, 0)
    assert (second["data"], second["count"], second["last"]) == (0x2222, 4, 1)


@simulated(Entropy)
async def test_a_chain_is_answered_when_its_readable_bytes_have_come(bench):
    bench.put("noise", 0x1111)
    bench.put("chain.chains", {"readable": 16, "writable": 8})
    bench.put("chain.readable", {"count": 8, "first": 1})
    await bench.cycles(30)
    assert bench.got("chain.replies") == [], "the host is still being read"
    bench.put("chain.readable", {"count": 8, "last": 1})
    assert (await bench.get("chain.replies"))["data"] == 0x1111
