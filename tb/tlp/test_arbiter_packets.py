"""TlpArbiter, one fact each: what it says between the beats of a packet."""

from ringwalker.spec.tlp import RequestKind
from ringwalker.tlp.arbiter import TlpArbiter
from ringwalker_sim.testing.inprocess import Bench, simulated


class Two(Bench):
    """Two inputs of 64 bits."""

    @classmethod
    def component(cls):
        return TlpArbiter(64, 2)


def beat(*, first, last):
    kind = RequestKind.MEMORY_WRITE.value
    return {"header_kind": kind, "header_length": 4, "dwords": 3, "first": first, "last": last}


@simulated(Two)
async def test_it_is_not_idle_between_two_beats_of_a_packet(bench):
    bench.put("i0", beat(first=1, last=0))
    await bench.get("o")
    await bench.cycles(5)
    assert not bench.value("o.valid")
    assert not bench.value("idle")
    bench.put("i0", beat(first=0, last=1))
    await bench.get("o")
    await bench.cycles(2)
    assert bench.value("idle")
