"""DescriptorCheck: what a descriptor adds to its chain, and which descriptors are bad."""

from dataclasses import dataclass

from ringwalker.queue.chain.check import DescriptorCheck
from ringwalker.spec.ring import DESC_BYTES
from ringwalker_sim.testing.inprocess import Bench, simulated

MOST = 256
REACHABLE = 1 << 16
"""A descriptor names the next with 16 bits."""

END = 1 << 64
"""The first address that there is not."""

EMPTY = {
    "readable": 0,
    "writable": 0,
    "readable_segments": 0,
    "writable_segments": 0,
    "first_readable": 0,
    "first_writable": 0,
    "tail": 0,
}


@dataclass(frozen=True)
class Result:
    """What came of a descriptor: the chain with it, and the bits that say what happens next."""

    after: dict[str, int]
    said: frozenset[str]
    table: tuple[int, int]


class Check(Bench):
    @classmethod
    def component(cls):
        return DescriptorCheck(MOST)

    def __init__(self):
        super().__init__()
        self.drive("indirect", 1)

    async def check(self, before=EMPTY, *, segment=7, error=0, size=64, nested=0, limit=64, **descriptor):
        """Show a descriptor; what is said of it a cycle later."""
        found = {f"descriptor_{key}": value for key, value in descriptor.items()}
        self.drive("found", found | {"error": error, "size": size, "nested": nested, "limit": limit})
        self.drive("before", before)
        self.drive("segment", segment)
        await self.cycles()
        table = self.value("table")
        names = ("stores", "joins", "follow", "descends", "bad")
        return Result(
            self.value("after"),
            frozenset(name for name in names if self.value(name)),
            (table["address"], table["size"]),
        )


def chain(**known):
    return EMPTY | known


@simulated(Check)
async def test_a_readable_buffer_begins_a_chain(bench):
    got = await bench.check(address=0x1000, length=100)
    assert got.said == {"stores"}
    assert got.after == chain(readable=100, readable_segments=1, first_readable=7, tail=7)


@simulated(Check)
async def test_a_writable_buffer_begins_a_chain(bench):
    got = await bench.check(length=100, writable=1)
    assert got.said == {"stores"}
    assert got.after == chain(writable=100, writable_segments=1, first_writable=7, tail=7)


@simulated(Check)
async def test_the_result_comes_one_cycle_later_but_for_the_segment(bench):
    await bench.check(length=100, segment=7)
    bench.drive("segment", 9)
    assert bench.value("after")["tail"] == 9
    bench.drive("found", {"descriptor_length": 5, "size": 64, "limit": 64, "descriptor_follows": 1})
    assert not bench.value("follow")
    await bench.cycles()
    assert bench.value("follow")


@simulated(Check)
async def test_another_buffer_of_its_kind_joins_it(bench):
    before = chain(readable=100, readable_segments=1, first_readable=7, tail=7)
    got = await bench.check(before, length=20, segment=9)
    assert got.said == {"stores", "joins"}
    assert got.after == chain(readable=120, readable_segments=2, first_readable=7, tail=9)
    before = chain(writable=1, writable_segments=1, first_writable=3, tail=3)
    got = await bench.check(before, length=2, segment=4, writable=1)
    assert got.said == {"stores", "joins"}
    assert got.after == chain(writable=3, writable_segments=2, first_writable=3, tail=4)


@simulated(Check)
async def test_the_first_writable_buffer_begins_a_list_of_its_own(bench):
    before = chain(readable=100, readable_segments=1, first_readable=7, tail=7)
    got = await bench.check(before, length=20, segment=9, writable=1)
    assert got.said == {"stores"}
    assert got.after == before | {"writable": 20, "writable_segments": 1, "first_writable": 9, "tail": 9}


@simulated(Check)
async def test_a_readable_buffer_after_a_writable_one_is_bad(bench):
    before = chain(writable=1, writable_segments=1)
    assert (await bench.check(before, length=1)).said == {"bad"}


@simulated(Check)
async def test_a_bad_descriptor_leaves_the_chain_as_it_was(bench):
    before = chain(readable=100, readable_segments=1, first_readable=3, tail=3)
    got = await bench.check(before, length=20, error=1)
    assert got == Result(before, frozenset({"bad"}), got.table)


@simulated(Check)
async def test_a_buffer_of_length_0_counts(bench):
    got = await bench.check(length=0)
    assert got.said == {"stores"}
    assert got.after["readable_segments"] == 1


@simulated(Check)
async def test_a_read_that_failed_is_bad_whatever_it_gave(bench):
    assert (await bench.check(length=16, error=1)).said == {"bad"}
    assert (await bench.check(length=16, error=1, indirect=1)).said == {"bad"}
    assert (await bench.check(length=16, error=1, follows=1)).said == {"bad"}


@simulated(Check)
async def test_the_next_descriptor_must_be_in_the_table(bench):
    assert (await bench.check(length=1, follows=1, next=63)).said == {"stores", "follow"}
    assert (await bench.check(length=1, follows=1, next=64)).said == {"bad"}
    assert (await bench.check(length=1, follows=1, next=0xFFFF)).said == {"bad"}
    assert (await bench.check(length=1, follows=1, next=0xFFFF, size=REACHABLE)).said == {"stores", "follow"}


@simulated(Check)
async def test_the_next_descriptor_means_nothing_when_none_follows(bench):
    assert (await bench.check(length=1, next=0xFFFF)).said == {"stores"}


@simulated(Check)
async def test_a_chain_has_no_more_buffers_than_its_queue_has_descriptors(bench):
    before = chain(readable=2, readable_segments=2)
    assert (await bench.check(before, length=1, limit=4, follows=1)).said == {"stores", "joins", "follow"}
    before = chain(readable=2, readable_segments=2, writable=1, writable_segments=1)
    assert (await bench.check(before, length=1, limit=4, writable=1, follows=1)).said == {"bad"}
    assert (await bench.check(before, length=1, limit=4, writable=1)).said == {"stores", "joins"}


@simulated(Check)
async def test_the_longest_chain_is_counted(bench):
    before = chain(readable_segments=MOST - 1)
    got = await bench.check(before, length=1, limit=MOST)
    assert got.after["readable_segments"] == MOST


@simulated(Check)
async def test_each_total_is_below_4_gib(bench):
    for kind, writable in (("readable", 0), ("writable", 1)):
        before = chain(**{kind: 0xFFFF_FFF0, f"{kind}_segments": 1})
        got = await bench.check(before, length=15, writable=writable)
        assert got.after[kind] == 0xFFFF_FFFF
        assert (await bench.check(before, length=16, writable=writable)).said == {"bad"}
    before = chain(readable=0xFFFF_FFFF, readable_segments=1)
    assert (await bench.check(before, length=0xFFFF_FFFF, writable=1)).said == {"stores"}


@simulated(Check)
async def test_a_buffer_may_end_with_the_last_address_and_no_later(bench):
    for writable in (0, 1):
        for length in (1, 2, 0x100, 0xFFFF_FFFF):
            for beyond in (1, 2, 0x80, 0xFFFF_FFFE):
                got = await bench.check(address=END - length, length=length, writable=writable)
                assert got.said == {"stores"}
                if beyond < length:
                    address = END - length + beyond
                    got = await bench.check(address=address, length=length, writable=writable)
                    assert got == Result(EMPTY, frozenset({"bad"}), got.table), (hex(address), length)
        assert (await bench.check(address=END - 1, length=0, writable=writable)).said == {"stores"}
        assert (await bench.check(address=0, length=0xFFFF_FFFF, writable=writable)).said == {"stores"}


@simulated(Check)
async def test_the_end_of_a_lower_block_is_no_end(bench):
    for bit in range(32, 64):
        got = await bench.check(address=END - 0x100 - (1 << bit), length=0x200)
        assert got.said == {"stores"}, bit


@simulated(Check)
async def test_an_indirect_table_may_end_with_the_last_address_and_no_later(bench):
    got = await bench.check(address=END - 48, length=48, indirect=1)
    assert (got.said, got.table) == ({"descends"}, (END - 48, 3))
    for address in (END - 32, END - 47, END - 16):
        assert (await bench.check(address=address, length=48, indirect=1)).said == {"bad"}


@simulated(Check)
async def test_an_indirect_descriptor_leads_to_its_table(bench):
    before = chain(readable=100, readable_segments=1, first_readable=3, tail=3)
    for writable in (0, 1):
        got = await bench.check(before, address=0x12340, length=48, indirect=1, writable=writable)
        assert got == Result(before, frozenset({"descends"}), (0x12340, 3))


@simulated(Check)
async def test_an_indirect_descriptor_may_come_after_writable_buffers(bench):
    got = await bench.check(chain(writable_segments=1), length=16, indirect=1)
    assert got.said == {"descends"}


@simulated(Check)
async def test_an_indirect_table_is_used_as_far_as_next_reaches(bench):
    got = await bench.check(length=DESC_BYTES * REACHABLE, indirect=1)
    assert got.table[1] == REACHABLE
    got = await bench.check(length=DESC_BYTES * (REACHABLE + 1), indirect=1)
    assert got.table[1] == REACHABLE
    got = await bench.check(length=0xFFFF_FFF0, indirect=1)
    assert (got.said, got.table[1]) == ({"descends"}, REACHABLE)


@simulated(Check)
async def test_an_indirect_table_is_a_whole_number_of_descriptors(bench):
    for length in (0, 1, 15, 17, 0xFFFF_FFFF):
        assert (await bench.check(length=length, indirect=1)).said == {"bad"}


@simulated(Check)
async def test_an_indirect_descriptor_is_the_last_of_its_table(bench):
    assert (await bench.check(length=16, indirect=1, follows=1)).said == {"bad"}


@simulated(Check)
async def test_an_indirect_table_has_none_within(bench):
    assert (await bench.check(length=16, indirect=1, nested=1)).said == {"bad"}


@simulated(Check)
async def test_without_the_feature_an_indirect_descriptor_is_bad(bench):
    bench.drive("indirect", 0)
    assert (await bench.check(length=16, indirect=1)).said == {"bad"}
    assert (await bench.check(length=16)).said == {"stores"}


class Model:
    """A chain as the specification has it: its buffers in order. Ref: virtio 1.4, 2.7.4.2, 2.7.5."""

    def __init__(self, size, limit):
        self.buffers: list[tuple[int, bool, int]] = []  # length, writable, segment
        self.size, self.limit = size, limit
        self.nested = False

    def is_bad(self, found, indirect):
        if found["address"] + found["length"] > END:
            return True
        buffers = [*self.buffers, (found["length"], bool(found["writable"]), 0)]
        writable = [written for _length, written, _segment in buffers]
        if found["indirect"]:
            whole = found["length"] > 0 and found["length"] % DESC_BYTES == 0
            return not (indirect and whole) or self.nested or bool(found["follows"])
        totals = [sum(length for length, w, _s in buffers if w == kind) for kind in (False, True)]
        return (
            (found["follows"] and (found["next"] >= self.size or len(buffers) >= self.limit))
            or writable != sorted(writable)
            or max(totals) >= 1 << 32
        )

    def totals(self):
        known = dict(EMPTY)
        for kind, name in ((False, "readable"), (True, "writable")):
            mine = [(length, segment) for length, writable, segment in self.buffers if writable == kind]
            known[name] = sum(length for length, _segment in mine)
            known[f"{name}_segments"] = len(mine)
            known[f"first_{name}"] = mine[0][1] if mine else 0
        known["tail"] = self.buffers[-1][2] if self.buffers else 0
        return known


@simulated(Check)
async def test_random_chains_are_as_in_the_model(bench):
    outcomes = {"bad": 0, "descends": 0, "done": 0, "limit": 0}
    for _ in range(500):
        rnd = bench.random
        limit = rnd.choice((1, 2, 4, 8, MOST))
        model = Model(limit, limit)
        allowed = rnd.random() < 0.8
        bench.drive("indirect", int(allowed))
        error, writing = False, False
        while True:
            writing |= rnd.random() < 0.2
            small, large = rnd.randint(0, 5000), rnd.getrandbits(32)
            top = END - rnd.choice((1, 16, rnd.randint(1, 5000), rnd.randint(1, 1 << 32)))
            found = {
                "address": top if rnd.random() < 0.1 else rnd.getrandbits(64),
                "length": rnd.choice((0, DESC_BYTES, DESC_BYTES * small, small, small, large)),
                "writable": int(writing ^ (rnd.random() < 0.05)),
                "indirect": int(rnd.random() < 0.2),
                "follows": int(rnd.random() < 0.8),
                "next": rnd.randrange(model.size) if rnd.random() < 0.97 else rnd.getrandbits(16),
            }
            if found["indirect"] and rnd.random() < 0.7:
                found["follows"] = 0
            error, segment = rnd.random() < 0.02, rnd.getrandbits(16)
            before = model.totals()
            got = await bench.check(
                before,
                segment=segment,
                error=int(error),
                size=model.size,
                nested=int(model.nested),
                limit=limit,
                **found,
            )
            if error or model.is_bad(found, allowed):
                assert got == Result(before, frozenset({"bad"}), got.table)
                outcomes["bad"] += 1
                break
            if found["indirect"]:
                model.size, model.nested = min(found["length"] // DESC_BYTES, REACHABLE), True
                assert got == Result(before, frozenset({"descends"}), (found["address"], model.size))
                outcomes["descends"] += 1
                continue
            joins = bool(before["writable_segments" if found["writable"] else "readable_segments"])
            model.buffers.append((found["length"], bool(found["writable"]), segment))
            said = {"stores"} | ({"joins"} if joins else set()) | ({"follow"} if found["follows"] else set())
            assert (got.after, got.said) == (model.totals(), said)
            outcomes["limit"] += len(model.buffers) == limit
            if not found["follows"]:
                outcomes["done"] += 1
                break
    assert min(outcomes.values()) > 20
