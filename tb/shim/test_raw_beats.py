"""RawPacker and RawUnpacker: header and payload on a bus of raw dwords, and back."""

import pytest

from ringwalker.shim.raw_beats import RawPacker, RawUnpacker
from ringwalker_sim.testing.inprocess import Bench


def header_of(random, dwords, length):
    """A raw header of 3 or 4 dwords with so many of payload."""
    words = [random.getrandbits(32) for _ in range(dwords)]
    words[0] = words[0] & ~(0x6000_03FF) | (dwords == 4) << 29 | (length > 0) << 30 | length & 0x3FF
    return words


def joined(words):
    return sum(word << 32 * n for n, word in enumerate(words))


def beats_of(words, lanes, header=None):
    """``words`` as beats of a bus with so many lanes."""
    groups = [words[n : n + lanes] for n in range(0, len(words), lanes)] or [[]]
    last = len(groups) - 1
    beats = [
        {"data": joined(group), "dwords": (1 << len(group)) - 1, "first": int(n == 0), "last": int(n == last)}
        for n, group in enumerate(groups)
    ]
    return [{**beat, "header": joined(header)} for beat in beats] if header else beats


def benches(kind):
    def bench(width):
        class Made(Bench):
            @classmethod
            def component(cls):
                return kind(width)

        return Made

    return {width: bench(width) for width in (64, 128)}


PACKERS, UNPACKERS = benches(RawPacker), benches(RawUnpacker)


def packets(random, count=20):
    for _ in range(count):
        length = random.choice([0, 1, 2, 3, random.randint(1, 40)])
        dwords = random.choice([3, 4])
        yield header_of(random, dwords, length), [random.getrandbits(32) for _ in range(length)]


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_the_header_is_put_before_the_payload(width, stall):
    async def body(bench):
        bench.stall(probability=stall)
        expected = []
        for header, payload in packets(bench.random):
            bench.put("i", *beats_of(payload, width // 32, header))
            expected += beats_of([*header, *payload], width // 32)
        assert [await bench.get("o") for _ in expected] == expected
        await bench.cycles(3)
        assert bench.value("idle")

    PACKERS[width]().run(body)


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_the_header_is_taken_from_the_payload(width, stall):
    async def body(bench):
        bench.stall(probability=stall)
        sent = list(packets(bench.random))
        for header, payload in sent:
            bench.put("i", *beats_of([*header, *payload], width // 32))
        for header, payload in sent:
            for wanted in beats_of(payload, width // 32, header):
                beat = await bench.get("o")
                mask = (1 << 32 * wanted["dwords"].bit_count()) - 1
                beat = {**beat, "data": beat["data"] & mask, "header": beat["header"]}
                assert beat["header"] & (1 << 32 * len(header)) - 1 == joined(header)
                assert {**beat, "header": 0} == {**wanted, "header": 0}
        await bench.cycles(4)
        assert bench.value("idle")

    UNPACKERS[width]().run(body)


def test_what_a_packet_has_beyond_its_length_is_dropped_and_what_it_lacks_is_there():
    async def body(bench):
        for payload, length in (([1, 2, 3, 4, 5, 6], 2), ([1], 4), ([7, 8], 2)):
            header = header_of(bench.random, 3, length)
            bench.put("i", *beats_of([*header, *payload], 2))
        beats = [await bench.get("o") for _ in range(4)]
        assert [beat["dwords"] for beat in beats] == [3, 3, 3, 3]
        assert (beats[0]["data"], beats[3]["data"]) == (2 << 32 | 1, 8 << 32 | 7)

    UNPACKERS[64]().run(body)


def test_a_packet_that_is_cut_ends():
    async def body(bench):
        header = header_of(bench.random, 3, 6)
        whole = beats_of([*header, 1, 2, 3, 4, 5, 6], 2)
        bench.put("i", *whole[:3])
        await bench.cycles(10)
        bench.drive("cut", 1)
        await bench.cycles(1)
        bench.drive("cut", 0)
        await bench.until(lambda: bench.value("idle"), "the end", 20)
        assert [beat["last"] for beat in bench.got("o")] == [0, 0, 1]
        bench.begin_anew("i")
        bench.put("i", *beats_of([*header_of(bench.random, 3, 1), 9], 2))
        assert (await bench.get("o"))["data"] & 0xFFFF_FFFF == 9

    UNPACKERS[64]().run(body)
