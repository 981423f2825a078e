"""DescriptorUnpack: descriptors out of the beats of reads, whatever their width."""

import pytest

from ringwalker.queue.packed.unpack import DescriptorUnpack
from ringwalker_sim.testing.inprocess import Bench


class Unpack(Bench):
    WIDTH = 64

    @classmethod
    def component(cls):
        return DescriptorUnpack(cls.WIDTH)

    def read(self, raws, error=0):
        """The answer to a read of these descriptors."""
        self.put("counts", len(raws))
        content = b"".join(raw.to_bytes(16, "little") for raw in raws)
        size = self.WIDTH // 8
        beats = [content[at : at + size] for at in range(0, len(content), size)]
        for n, beat in enumerate(beats):
            noise = self.random.randbytes(size - len(beat))
            item = {"data": int.from_bytes(beat + noise, "little"), "error": error}
            self.put("data", item | {"first": int(n == 0), "last": int(n == len(beats) - 1)})


class Unpack128(Unpack):
    WIDTH = 128


class Unpack256(Unpack):
    WIDTH = 256


class Unpack512(Unpack):
    WIDTH = 512


@pytest.mark.parametrize("make", [Unpack, Unpack128, Unpack256, Unpack512])
@pytest.mark.parametrize("stalls", [0, 0.3])
def test_each_descriptor_comes_out_once_and_the_last_is_marked(make, stalls):
    async def body(bench):
        bench.stall(probability=stalls)
        wanted = []
        for _ in range(40):
            raws = [bench.random.getrandbits(128) for _ in range(bench.random.randint(1, 16))]
            error = int(bench.random.random() < 0.1)
            bench.read(raws, error)
            wanted += [(raw, int(n == len(raws) - 1), error) for n, raw in enumerate(raws)]
        for raw, last, error in wanted:
            found = await bench.get("o")
            fields = [found[f"raw_{name}"] for name in ("addr", "len", "id", "flags")]
            joined = fields[0] | fields[1] << 64 | fields[2] << 96 | fields[3] << 112
            assert (joined, found["last"], found["error"]) == (raw, last, error)
        await bench.cycles(3)
        assert bench.value("idle")

    make().run(body)
