"""ChainRetire: how good chains leave, and how the segments of bad ones go back."""

from ringwalker.queue.chain.retire import ChainRetire
from ringwalker_sim.testing.inprocess import Bench, simulated

TOTALS = {
    "readable": 300,
    "writable": 5000,
    "readable_segments": 2,
    "writable_segments": 3,
    "first_readable": 11,
    "first_writable": 22,
    "tail": 25,
}
NO_SEGMENTS = dict.fromkeys(TOTALS, 0)


def passed(owner, totals):
    """What is passed on of a chain."""
    return owner | {key: value for key, value in totals.items() if key != "tail"}


class Retire(Bench):
    @classmethod
    def component(cls):
        return ChainRetire()

    def show(self, owner, totals, failed=0, done=1):
        """This is the oldest chain."""
        self.drive("owner", owner)
        self.drive("totals", totals)
        self.drive("failed", failed)
        self.drive("done", done)

    async def retire(self, owner, totals, failed=0):
        """Show a chain until it is gone; gives the cycles that it took."""
        self.show(owner, totals, failed)
        waited = await self.until(lambda: self.value("release"), "release", 200)
        await self.cycles()
        self.drive("done", 0)
        return waited + 1


OWNER = {"queue": 3, "id": 0x1234, "span": 6}


@simulated(Retire)
async def test_a_good_chain_is_passed_on_with_its_owner_and_totals(bench):
    await bench.retire(OWNER, TOTALS)
    assert await bench.get("chains") == passed(OWNER, TOTALS)
    assert not bench.pending("drops")


@simulated(Retire)
async def test_a_good_chain_is_passed_on_one_cycle_later(bench):
    assert await bench.retire(OWNER, TOTALS) == 1
    assert bench.value("chains.valid")


@simulated(Retire)
async def test_nothing_leaves_until_the_chain_is_done(bench):
    for failed in (0, 1):
        bench.show(OWNER, TOTALS, failed, done=0)
        await bench.cycles(10)
        assert not bench.value("release")
        assert not bench.pending("chains")
        assert not bench.pending("drops")


@simulated(Retire)
async def test_good_chains_leave_one_a_cycle(bench):
    bench.show(OWNER, TOTALS)
    await bench.cycles(5)
    bench.drive("done", 0)
    await bench.cycles(2)
    assert bench.pending("chains") == 5


@simulated(Retire)
async def test_a_chain_stays_until_the_one_before_was_taken(bench):
    bench.stall("chains")
    await bench.cycles()
    await bench.retire(OWNER, TOTALS)
    bench.show(OWNER | {"id": 5}, TOTALS)
    await bench.cycles(10)
    assert not bench.value("release")
    bench.stall("chains", probability=0)
    await bench.until(lambda: bench.value("release"))
    await bench.cycles()
    bench.drive("done", 0)
    assert [(await bench.get("chains"))["id"] for _ in range(2)] == [0x1234, 5]


@simulated(Retire)
async def test_a_bad_chain_gives_back_both_lists(bench):
    await bench.retire(OWNER, TOTALS, failed=1)
    assert bench.got("drops") == [{"first": 11, "count": 2}, {"first": 22, "count": 3}]
    await bench.cycles(5)
    assert not bench.pending("chains")


@simulated(Retire)
async def test_both_lists_are_dropped_in_four_cycles(bench):
    assert await bench.retire(OWNER, TOTALS, failed=1) == 4


@simulated(Retire)
async def test_a_list_without_segments_is_not_given_back(bench):
    await bench.retire(OWNER, TOTALS | {"readable_segments": 0}, failed=1)
    assert bench.got("drops") == [{"first": 22, "count": 3}]
    await bench.retire(OWNER, TOTALS | {"writable_segments": 0}, failed=1)
    assert bench.got("drops") == [{"first": 11, "count": 2}]
    await bench.retire(OWNER, NO_SEGMENTS, failed=1)
    assert bench.got("drops") == []


@simulated(Retire)
async def test_a_bad_chain_without_segments_waits_for_nobody(bench):
    bench.stall("drops")
    await bench.cycles()
    assert await bench.retire(OWNER, NO_SEGMENTS, failed=1) == 4


@simulated(Retire)
async def test_a_bad_chain_stays_until_its_lists_were_taken(bench):
    bench.stall("drops")
    await bench.cycles()
    bench.show(OWNER, TOTALS, failed=1)
    await bench.cycles(20)
    assert not bench.value("release")
    bench.stall("drops", probability=0)
    await bench.until(lambda: bench.value("release"))
    await bench.cycles()
    assert len(bench.got("drops")) == 2


@simulated(Retire)
async def test_a_bad_chain_does_not_wait_for_the_good_one_before(bench):
    bench.stall("chains")
    await bench.cycles()
    await bench.retire(OWNER, TOTALS)
    await bench.retire(OWNER | {"id": 5}, TOTALS, failed=1)
    assert len(bench.got("drops")) == 2
    bench.stall("chains", probability=0)
    assert await bench.get("chains") == passed(OWNER, TOTALS)


@simulated(Retire)
async def test_random_chains_leave_in_order_and_lose_no_segment(bench):
    bench.stall(probability=0.4)
    rnd, chains, drops = bench.random, [], []
    for _ in range(300):
        owner = {"queue": rnd.getrandbits(10), "id": rnd.getrandbits(16), "span": rnd.getrandbits(16)}
        totals = {key: rnd.getrandbits(32 if key in ("readable", "writable") else 16) for key in TOTALS}
        for kind in ("readable", "writable"):
            if rnd.random() < 0.3:
                totals[f"{kind}_segments"] = 0
        failed = rnd.random() < 0.4
        await bench.retire(owner, totals, int(failed))
        if failed:
            lists = [
                (totals[f"first_{kind}"], totals[f"{kind}_segments"]) for kind in ("readable", "writable")
            ]
            drops += [{"first": first, "count": count} for first, count in lists if count]
        else:
            chains.append(passed(owner, totals))
        await bench.cycles(rnd.choice((0, 0, 1, 4)))
    await bench.cycles(20)
    assert bench.got("chains") == chains
    assert bench.got("drops") == drops
