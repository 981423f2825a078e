"""DescriptorFetch, with the store that it fills, against chains made in Python."""

import random
from itertools import pairwise

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from ringwalker.queue.ring.limits import LINE_BYTES
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ringwalker_sim.testing import parameters, run_bench
from ringwalker_sim.testing.descriptor_bench import INDIRECT, QUEUES, FetchAndStore, head
from ringwalker_sim.testing.descriptor_bench import DescriptorBench as Bench
from ringwalker_sim.testing.walker import until

MODULE = "tb.queue.chain.test_fetch"


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_chains_in_order(dut):
    bench = Bench(dut, 0.3, (1, 40))
    await bench.start()
    for _ in range(40):
        expected = []
        for queue in random.sample(range(QUEUES), QUEUES):
            left = random.sample(range(bench.size), bench.size)
            while left:
                length = min(len(left), random.choice([1, 1, 2, 3, 5, bench.size]))
                nested = random.choice([0, 0, random.randint(1, min(30, bench.size - length + 1))])
                first = len(left) == bench.size or random.random() < 0.3
                expected.append(
                    bench.chain(queue, [left.pop() for _ in range(length)], nested=nested, first=int(first))
                )
        for chain in expected:
            await bench.expect(chain)
    await bench.idle()
    assert bench.fail.count == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def long_chains_do_not_deadlock_a_small_store(dut):
    """Every chain is as long as a chain can be, and nothing is given back before the chain was passed on."""
    bench = Bench(dut, 0, (1, 20))
    await bench.start()
    for _ in range(10):
        expected = [
            bench.chain(queue, random.sample(range(bench.size), bench.size)) for queue in range(QUEUES)
        ]
        for chain in expected:
            await bench.expect(chain)
    await bench.idle()
    assert bench.fail.count == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def several_chains_are_walked_at_once(dut):
    """With a latency of 100 cycles, 12 chains of 3 take little more than 300 cycles."""
    if parameters()["chains"] < 12:
        return
    bench = Bench(dut, 0, (100, 100))
    await bench.start()
    expected = [bench.chain(n % QUEUES, [3 * (n // QUEUES) + k for k in range(3)]) for n in range(12)]
    cycles = await until(dut, lambda: len(bench.chains.received) == 12)
    dut._log.info("12 chains of 3 in %d cycles", cycles)
    assert cycles < 350
    for chain in expected:
        await bench.expect(chain)
    await bench.idle()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def single_descriptor_chains_take_at_most_four_cycles(dut):
    bench = Bench(dut, 0, (1, 1))
    await bench.start()
    expected = [bench.chain(n % QUEUES, [n // QUEUES]) for n in range(QUEUES * bench.size)][: 2 * bench.size]
    count = len(expected)
    await until(dut, lambda: len(bench.chains.received) >= 1)
    cycles = await until(dut, lambda: len(bench.chains.received) >= count // 2)
    dut._log.info("%.2f cycles a chain", cycles / (count // 2 - 1))
    if parameters()["chains"] >= 12:
        assert cycles <= 4 * (count // 2)
    for chain in expected:
        await bench.expect(chain)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_head_is_taken_every_two_cycles_at_most(dut):
    """So whether one is taken follows from a register."""
    bench = Bench(dut, 0, (1, 1))
    await bench.start()
    expected = [bench.chain(n % QUEUES, [n // QUEUES]) for n in range(8)]
    taken = []
    for cycle in range(200):
        await RisingEdge(dut.clk)
        if int(dut.heads_valid.value) and int(dut.heads_ready.value):
            taken.append(cycle)
    assert len(taken) == 8
    assert all(after - before >= 2 for before, after in pairwise(taken))
    for chain in expected:
        await bench.expect(chain)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def read_is_requested_within_six_cycles_of_the_head(dut):
    bench = Bench(dut)
    await bench.start()
    expected = bench.chain(0, [5])
    await until(dut, lambda: bool(int(dut.heads_valid.value)))
    cycles = await until(dut, lambda: bool(int(dut.read_requests_valid.value)))
    dut._log.info("read requested %d cycles after the head", cycles)
    assert cycles <= 6
    await until(dut, lambda: bool(int(dut.read_data_valid.value) and int(dut.read_data_last.value)))
    cycles = await until(dut, lambda: bool(int(dut.chains_valid.value)))
    dut._log.info("chain %d cycles after its descriptor", cycles)
    assert cycles <= 9
    await bench.expect(expected)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_right_guess_saves_the_time_of_a_read_and_a_wrong_one_leaves_nothing(dut):
    """Guesses that are right, such that are wrong and another head follows, and such that nothing follows."""
    bench = Bench(dut, 0, (60, 60))
    await bench.start()
    for _ in range(40):
        indices = random.sample(range(bench.size), min(3, bench.size))
        queue = random.randrange(QUEUES)
        kind = random.choice(["right", "right", "head", "queue", "same", "nothing"])
        chain = bench.chain(queue, indices, send=False)
        await bench.heads.send(
            head((queue + (kind == "queue")) % QUEUES, indices[0] ^ (kind == "head"), guess=1)
        )
        wait = random.choice([0, 1, 2, 10, 60, 300])
        for _ in range(wait):
            await RisingEdge(dut.clk)
        assert not bench.chains.received, "a guess came out as a chain"
        if kind not in ("right", "nothing"):
            bench.heads.queue(head(queue, indices[0]))
        await bench.judge("confirm" if kind == "right" else "withdraw")
        if kind == "nothing":
            await bench.idle()
            continue
        if wait == 300:
            cycles = await until(dut, lambda: bool(bench.chains.received))
            assert (cycles < 10) == (kind == "right")
        await bench.expect(chain)
        await bench.idle()
    assert bench.fail.count == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_bad_chain_fails_if_the_guess_was_right_and_only_then(dut):
    bench = Bench(dut, 0, (20, 20))
    await bench.start()
    for wait in (0, 200):
        for right in (False, True):
            for make in _bad_chains(bench):
                failures = bench.fail.count
                bench.broken.clear()
                make()
                good = bench.chain(1, [5], send=False)
                bench.heads.queue(head(0, 0, guess=1))
                await bench.heads.drained()
                for _ in range(wait):
                    await RisingEdge(dut.clk)
                assert bench.fail.count == failures
                await bench.judge("confirm" if right else "withdraw")
                bench.heads.queue(head(1, 5))
                await bench.expect(good)
                await bench.idle()
                assert bench.fail.count == failures + right


def _bad_chains(bench):
    """Name and maker of each kind of bad chain; each writes one at descriptors 0 to 3 of queue 0."""
    size = bench.size

    def put(index, flags, after=0, length=8):
        return bench.put(0, index, 0x1000, length, flags, after)

    def next_beyond_the_table():
        put(0, DESC_F_NEXT, size)

    def loop():
        put(0, DESC_F_NEXT, 1)
        put(1, DESC_F_NEXT | DESC_F_WRITE, 1)

    def loop_of_zero_length():
        put(0, DESC_F_NEXT, 0, 0)

    def point(length, flags=0):
        """Descriptor 1 points to an indirect table of good descriptors."""
        put(0, DESC_F_NEXT, 1)
        at = bench.indirect_table(8)
        bench.put(0, 1, at, length, DESC_F_INDIRECT | flags, 2)
        for index in range(8):
            bench.put_at(at + DESC_BYTES * index, 0x5000, 8, DESC_F_NEXT if index < 7 else 0, index + 1)
        return at

    def indirect_in_indirect():
        at = point(8 * DESC_BYTES)
        bench.put_at(at + DESC_BYTES, bench.indirect_table(1), DESC_BYTES, DESC_F_INDIRECT, 0)

    def indirect_with_next():
        point(8 * DESC_BYTES, DESC_F_NEXT)

    def indirect_table_of_no_length():
        point(0)

    def indirect_table_cut_short():
        point(8 * DESC_BYTES - 1)

    def indirect_table_longer_than_its_descriptors():
        point(8 * DESC_BYTES + 8)

    def next_beyond_the_indirect_table():
        point(7 * DESC_BYTES)

    def loop_in_an_indirect_table():
        bench.put_at(point(8 * DESC_BYTES) + 7 * DESC_BYTES, 0x5000, 0, DESC_F_NEXT, 3)

    def readable_in_an_indirect_table_after_writable():
        point(8 * DESC_BYTES)
        put(0, DESC_F_NEXT | DESC_F_WRITE, 1)

    def unreadable_indirect_table():
        bench.broken.add(point(8 * DESC_BYTES))

    def readable_after_writable():
        put(0, DESC_F_NEXT | DESC_F_WRITE, 1)
        put(1, 0)

    def readable_total_too_large():
        put(0, DESC_F_NEXT, 1, 0xFFFFFFFF)
        put(1, 0, 0, 1)

    def writable_total_too_large():
        put(0, DESC_F_NEXT, 1)
        put(1, DESC_F_NEXT | DESC_F_WRITE, 2, 0x80000000)
        put(2, DESC_F_WRITE, 0, 0x80000000)

    def failed_read():
        put(0, DESC_F_NEXT, 1)
        put(1, DESC_F_NEXT | DESC_F_WRITE, 2)
        bench.broken.add(put(2, 0))

    def failed_first_read():
        bench.broken.add(put(0, 0))

    return [function for name, function in locals().items() if name not in ("bench", "put", "point", "size")]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def bad_chains_fail_and_all_else_goes_on(dut):
    bench = Bench(dut, 0.2, (1, 20))
    await bench.start()
    for number, make in enumerate(_bad_chains(bench) * 2):
        bench.broken.clear()
        good = [bench.chain(1, [0, 1, 2])]
        make()
        bench.heads.queue(head(0, 0))
        good.append(bench.chain(2, [3, 1], lengths=[0xFFFFFFFF, 0], readable=0))
        for chain in good:
            await bench.expect(chain)
        await bench.idle()
        assert bench.fail.count == number + 1, make.__name__


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def without_the_feature_an_indirect_descriptor_is_bad(dut):
    bench = Bench(dut)
    dut.indirect.value = 0
    await bench.start()
    bench.chain(0, [0], nested=1)
    await bench.expect(bench.chain(0, [1]))
    bench.chain(0, [2, 3], nested=1)
    await bench.idle()
    assert bench.fail.count == 2


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_longest_legal_chain_passes(dut):
    bench = Bench(dut)
    await bench.start()
    for row in bench.table.rows.values():
        row["size"] = 4
    for indices, nested in (([3, 1, 0, 2], 0), ([1], 4), ([3, 2, 1], 2), ([3, 2, 1, 0], 1)):
        await bench.expect(bench.chain(0, indices, nested=nested))
    await bench.idle()
    assert bench.fail.count == 0
    for indices, nested in (([1], 5), ([3, 2, 1, 0], 2)):
        bench.chain(0, indices, nested=nested)
        await bench.idle()
    assert bench.fail.count == 2


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def an_indirect_table_of_any_size_is_read_no_further_than_its_end(dut):
    bench = Bench(dut)
    await bench.start()
    for nested in (1, 3, 15, 16):
        bench.read.requests.clear()
        await bench.expect(bench.chain(0, [5], nested=nested, readable=nested))
        await bench.idle()
        asked = [(at, length) for at, length in bench.read.requests if at >= INDIRECT]
        end = bench.indirect_at
        assert all(end - DESC_BYTES * (nested + 1) <= at and at + length <= end for at, length in asked)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def heads_of_one_snapshot_share_a_line(dut):
    bench = Bench(dut, 0, (60, 60))
    if parameters()["chains"] < 12:
        return
    await bench.start()
    expected = [bench.chain(1, [index], first=int(n == 0)) for n, index in enumerate([4, 7, 5, 6, 8, 9])]
    for chain in expected:
        await bench.expect(chain)
    desc = bench.table.rows[1]["desc"]
    assert bench.read.requests == [(desc + LINE_BYTES * n, LINE_BYTES) for n in (1, 2)]
    bench.read.requests.clear()
    # Each of these came with a new index, and the descriptor may be younger than the line in flight.
    expected = [bench.chain(1, [index], first=1) for index in (4, 5, 6)]
    for chain in expected:
        await bench.expect(chain)
    assert bench.read.requests == [(desc + LINE_BYTES, LINE_BYTES)] * 3
    await bench.idle()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def heads_share_a_line_too_while_all_slots_are_in_use(dut):
    """A head gets the slot of a chain that has left while the line of that chain still serves others."""
    bench = Bench(dut, 0, (60, 60))
    if parameters()["chains"] < 12:
        return
    await bench.start()
    expected = [bench.chain(1, [index], first=int(index == 0)) for index in range(bench.size)]
    for chain in expected:
        await bench.expect(chain)
    desc = bench.table.rows[1]["desc"]
    assert bench.read.requests == [
        (at, LINE_BYTES) for at in range(desc, desc + DESC_BYTES * bench.size, LINE_BYTES)
    ]
    await bench.idle()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_line_serves_the_chain_until_it_leaves_it(dut):
    bench = Bench(dut, 0, (10, 10))
    await bench.start()
    expected = bench.chain(2, [5, 7, 4, 6, 9, 8, 5 + 8, 3])
    await bench.expect(expected)
    desc = bench.table.rows[2]["desc"]
    assert bench.read.requests == [(desc + LINE_BYTES * n, LINE_BYTES) for n in (1, 2, 3, 0)]
    await bench.idle()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_line_is_read_no_further_than_its_table(dut):
    """The table begins and ends in the middle of lines."""
    bench = Bench(dut)
    await bench.start()
    bench.table.rows[0] |= {"desc": 0x1030, "size": 8}
    for index in range(8):
        await bench.expect(bench.chain(0, [index]))
    lines = [(0x1030, 16)] + [(0x1040, 64)] * 4 + [(0x1080, 48)] * 3
    assert bench.read.requests == lines
    await bench.idle()


OTHERS = ((256, 64, 16, 128), (512, 16, 1, 32))


@pytest.mark.slow
@pytest.mark.parametrize(("width", "queue_size", "chains", "segments"), [(64, 16, 4, 17), *OTHERS])
def test_descriptor_fetch(width, queue_size, chains, segments):
    run_bench(
        FetchAndStore(width, queue_size, chains, segments),
        MODULE,
        parameters={"width": width, "queue_size": queue_size, "chains": chains},
    )
