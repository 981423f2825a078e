"""PendingFetches: which chain is asked for next. LineSharing: which heads need not ask."""

from ringwalker.queue.chain.pending_fetches import LineSharing, PendingFetches
from ringwalker_sim.testing.inprocess import Bench, simulated

CHAINS = 4


class Pending(Bench):
    @classmethod
    def component(cls):
        return PendingFetches(CHAINS)

    def __init__(self):
        super().__init__()
        self.may_withdraw("o")
        self.drive("roomy", 1)

    async def add(self, *slots):
        """Put these chains at the end, one a cycle."""
        for slot in slots:
            await self.until(lambda: not self.value("busy"))
            self.drive("added", fetch(slot))
            self.drive("adds", 1)
            await self.cycles()
            self.drive("adds", 0)

    async def give_back(self, slot):
        """A chain needs another descriptor."""
        self.drive("returned", fetch(slot))
        self.drive("returns", 1)
        assert self.value("busy")
        await self.cycles()
        self.drive("returns", 0)

    async def slots(self, count):
        """The next chains that come out."""
        return [(await self.get("o"))["slot"] for _ in range(count)]


def fetch(slot):
    return {"slot": slot, "lap": slot & 1, "index": 100 + slot, "group": slot >> 1 & 1, "length": slot}


@simulated(Pending)
async def test_what_is_added_comes_out_one_cycle_later(bench):
    await bench.add(3)
    assert bench.value("o.valid")
    assert await bench.get("o") == fetch(3)


@simulated(Pending)
async def test_chains_come_out_in_the_order_in_which_they_were_put(bench):
    await bench.add(2, 0)
    await bench.give_back(3)
    await bench.add(1)
    assert await bench.slots(4) == [2, 0, 3, 1]


@simulated(Pending)
async def test_all_chains_fit(bench):
    bench.stall("o")
    await bench.cycles()
    await bench.add(*range(CHAINS))
    bench.stall("o", probability=0)
    assert await bench.slots(CHAINS) == list(range(CHAINS))


@simulated(Pending)
async def test_without_room_only_the_oldest_chain_comes_out(bench):
    bench.drive("roomy", 0)
    bench.drive("oldest", 2)
    await bench.add(0, 1, 2, 3)
    assert await bench.slots(1) == [2]
    await bench.cycles(30)
    assert not bench.pending("o")


@simulated(Pending)
async def test_the_others_come_out_when_there_is_room_again(bench):
    bench.drive("roomy", 0)
    bench.drive("oldest", 2)
    await bench.add(0, 1, 3)
    await bench.cycles(30)
    bench.drive("roomy", 1)
    assert sorted(await bench.slots(3)) == [0, 1, 3]


@simulated(Pending)
async def test_the_oldest_comes_out_though_all_chains_are_in_front_of_it(bench):
    bench.drive("roomy", 0)
    bench.drive("oldest", CHAINS - 1)
    await bench.add(*range(CHAINS))
    assert await bench.until(lambda: bench.pending("o")) <= 2 * CHAINS + 1


@simulated(Pending)
async def test_nothing_may_be_added_while_a_front_goes_to_the_end(bench):
    bench.drive("roomy", 0)
    bench.drive("oldest", 2)
    await bench.add(0)
    assert not bench.value("busy")
    await bench.cycles()
    assert bench.value("busy")


@simulated(Pending)
async def test_a_chain_is_given_back_though_a_front_would_go_to_the_end(bench):
    bench.drive("roomy", 0)
    bench.drive("oldest", 2)
    await bench.add(0)
    await bench.cycles()
    await bench.give_back(1)
    bench.drive("roomy", 1)
    assert sorted(await bench.slots(2)) == [0, 1]


@simulated(Pending)
async def test_a_front_that_was_not_taken_is_withdrawn_when_there_is_no_room_any_more(bench):
    bench.stall("o")
    await bench.cycles()
    await bench.add(0)
    assert bench.value("o.valid")
    bench.drive("roomy", 0)
    bench.drive("oldest", 2)
    assert not bench.value("o.valid")


@simulated(Pending)
async def test_random_chains_come_out_once_and_only_when_they_may(bench):
    """Each chain is outside, or in here once; what comes out may be asked for in that cycle."""
    rnd, inside, outside = bench.random, [], set(range(CHAINS))
    stay = dict.fromkeys(range(CHAINS), 0)
    seen = 0

    def follow() -> None:
        nonlocal seen
        for slot in stay:
            stay[slot] = stay[slot] + 1 if slot in inside and slot == bench.value("oldest") else 0
        for got in bench.got("o"):
            slot = got["slot"]
            assert got == fetch(slot)
            assert slot == bench.value("oldest") or bench.value("roomy")
            inside.remove(slot)
            outside.add(slot)
            seen += 1
        assert max(stay.values()) < 60, "the oldest does not come out"

    bench.each_cycle(follow)
    bench.stall("o", probability=0.4)
    for _ in range(2500):
        bench.drive("adds", 0)
        bench.drive("returns", 0)
        if rnd.random() < 0.1:
            bench.drive("roomy", rnd.getrandbits(1))
        if rnd.random() < 0.02:
            bench.drive("oldest", rnd.randrange(CHAINS))
        if outside and rnd.random() < 0.4:
            slot = rnd.choice(sorted(outside))
            if rnd.random() < 0.5:
                bench.drive("returned", fetch(slot))
                bench.drive("returns", 1)
                put = True
            else:
                bench.drive("added", fetch(slot))
                put = not bench.value("busy")
                bench.drive("adds", int(put))
            if put:
                outside.remove(slot)
                inside.append(slot)
        await bench.cycles()
    assert seen > 200


class Sharing(Bench):
    @classmethod
    def component(cls):
        return LineSharing()

    async def lead(self, slot=1, lap=0, line=50):
        """A head gets this slot, and its line is asked for."""
        self.drive("line", line)
        self.drive("slot", slot)
        self.drive("lap", lap)
        self.drive("first", 1)
        self.drive("accept", 1)
        await self.cycles()
        self.drive("first", 0)
        self.drive("accept", 0)

    async def show(self, leader=1, lap=0):
        """The line of a leader is offered."""
        self.drive("leader", leader)
        self.drive("leader_lap", lap)
        self.drive("shown", 1)
        await self.cycles()

    def joins(self, line, first=0):
        self.drive("line", line)
        self.drive("first", first)
        return self.value("joins")


@simulated(Sharing)
async def test_there_is_no_line_to_join_at_first(bench):
    assert not bench.joins(0)


@simulated(Sharing)
async def test_a_head_in_the_line_of_the_last_joins_it(bench):
    await bench.lead(line=50)
    assert bench.joins(50)
    assert not bench.joins(51)


@simulated(Sharing)
async def test_a_head_that_is_read_alone_does_not_join(bench):
    await bench.lead(line=50)
    bench.drive("alone", 1)
    assert not bench.joins(50)


@simulated(Sharing)
async def test_what_is_read_alone_is_not_joined(bench):
    await bench.lead(line=50)
    bench.drive("alone", 1)
    await bench.lead(slot=2, line=60)
    bench.drive("alone", 0)
    assert not bench.joins(60)
    assert not bench.joins(50)


@simulated(Sharing)
async def test_a_head_that_was_made_available_later_does_not_join(bench):
    await bench.lead(line=50)
    assert not bench.joins(50, first=1)


@simulated(Sharing)
async def test_a_head_that_joins_leaves_the_line_to_others(bench):
    await bench.lead(line=50)
    assert bench.joins(50)
    bench.drive("slot", 2)
    bench.drive("accept", 1)
    await bench.cycles()
    assert bench.joins(50)
    await bench.show(leader=1)
    assert not bench.joins(50)


@simulated(Sharing)
async def test_a_head_of_another_line_is_the_one_to_join(bench):
    await bench.lead(line=50)
    await bench.lead(slot=2, line=60)
    assert bench.joins(60)
    assert not bench.joins(50)


@simulated(Sharing)
async def test_a_line_is_joined_in_the_first_cycle_in_which_it_is_offered_and_no_more(bench):
    await bench.lead(line=50)
    bench.joins(50)
    bench.drive("leader", 1)
    bench.drive("shown", 1)
    assert bench.joins(50)
    await bench.cycles()
    assert not bench.joins(50)
    bench.drive("shown", 0)
    await bench.cycles(3)
    assert not bench.joins(50)


@simulated(Sharing)
async def test_the_line_of_another_leader_ends_nothing(bench):
    await bench.lead(slot=1, lap=1, line=50)
    await bench.show(leader=2, lap=1)
    assert bench.joins(50)
    await bench.show(leader=1, lap=0)
    assert bench.joins(50)


@simulated(Sharing)
async def test_what_was_begun_for_a_head_that_is_withdrawn_is_not_joined(bench):
    await bench.lead(line=50)
    bench.drive("withdrawn", 1)
    await bench.cycles()
    bench.drive("withdrawn", 0)
    assert not bench.joins(50)


@simulated(Sharing)
async def test_random_heads_join_as_in_the_model(bench):
    """The model is what is open: the line of the last head that did not join, until it is offered."""
    rnd, opened, joined = bench.random, None, 0
    for _ in range(3000):
        line, slot, lap = rnd.randrange(3), rnd.randrange(3), rnd.getrandbits(1)
        first, accept = int(rnd.random() < 0.3), int(rnd.random() < 0.5)
        shown, withdrawn = int(rnd.random() < 0.4), int(rnd.random() < 0.05)
        leader, leader_lap = rnd.randrange(3), rnd.getrandbits(1)
        values = {"line": line, "slot": slot, "lap": lap, "first": first, "accept": accept, "shown": shown}
        values |= {"withdrawn": withdrawn, "leader": leader, "leader_lap": leader_lap}
        for name, value in values.items():
            bench.drive(name, value)
        joins = opened is not None and not first and line == opened[2]
        assert bench.value("joins") == joins
        joined += joins
        if accept and not joins:
            opened = (slot, lap, line)
        elif withdrawn or (shown and opened and opened[:2] == (leader, leader_lap)):
            opened = None
        await bench.cycles()
    assert joined > 200
