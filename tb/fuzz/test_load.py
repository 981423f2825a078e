"""The long load that coverage is counted with: what it is made of, and that a device carries it."""

from itertools import islice, pairwise
from random import Random

import pytest

from ringwalker.spec.modern import COMMON, DeviceStatus
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT
from ringwalker_sim.fuzz.case import Case
from ringwalker_sim.fuzz.executor import Executor
from ringwalker_sim.fuzz.load import stretches
from ringwalker_sim.fuzz.load_chains import ROOM_BYTES
from ringwalker_sim.fuzz.load_stretch import Stretch
from ringwalker_sim.fuzz.operations import Kind, Operation, expect_register
from ringwalker_sim.fuzz.spaces import Space
from ringwalker_sim.fuzz.target import MEMORY_BYTES

KEY = "rng:packed:modern"
BLOCK = "blk:split:transitional:counted"
QUEUES = "blk:split:modern"
SHORT = 4


@pytest.mark.parametrize("key", ["blk:packed:transitional:counted", "net:split:legacy:counted"])
def test_a_load_is_cases_that_follow_from_its_seed(key: str) -> None:
    made, same, other = (list(islice(stretches(key, seed, SHORT), SHORT + 1)) for seed in (1, 1, 2))
    assert len(made) == SHORT + 1
    assert made == same
    assert made != other
    case, chains = made[0]
    assert Case.parse(case.text()) == case
    assert chains > 0


@pytest.mark.parametrize("key", ["rng:split:legacy:counted", "rng:packed:transitional:counted"])
def test_numbers_of_rings_wrap(key: str) -> None:
    case, chains = list(stretches(key, 1, 0))[-1]
    notices = sum(operation.kind is Kind.NOTIFY for operation in case.operations)
    assert chains > 1 << 16 < notices * 64


def test_notifications_carry_indices_of_all_16_bits() -> None:
    case = list(stretches(BLOCK, 2, 0))[-1][0]
    seen = 0
    for operation in case.operations:
        if operation.kind is Kind.NOTIFY:
            seen |= operation.value >> 16
    assert seen == 0xFFFF


def _tables(operations: list[Operation]) -> list[Operation]:
    """Descriptors of a split ring that lead to indirect tables."""
    return [o for o in operations if o.kind is Kind.DESCRIPTOR and o.extra >> 32 & DESC_F_INDIRECT]


def test_chains_go_far_in_indirect_tables_and_stay_in_memory() -> None:
    sizes, jumps = set(), set()
    for seed in range(40):
        stretch = Stretch(BLOCK, Random(seed))
        operations = [*stretch.setup(), *stretch.lap()]
        memory = {o.address: o for o in operations if o.kind is Kind.DESCRIPTOR}
        for head in _tables(operations):
            rows = (head.extra & 0xFFFF_FFFF) // DESC_BYTES
            at, row = head.value, 0
            while True:
                found = memory[at + DESC_BYTES * row]
                assert row < rows
                assert at % MEMORY_BYTES + DESC_BYTES * (row + 1) <= MEMORY_BYTES
                if not found.extra >> 32 & DESC_F_NEXT:
                    break
                row = found.extra >> 48
                jumps.add(row)
            sizes.add(rows)
    assert max(jumps) > 1 << 15
    assert max(sizes) > 1 << 20


def test_queues_never_share_memory() -> None:
    stretch = Stretch(BLOCK, Random(1))
    for turn in range(200):
        list(stretch.again(turn % 3))
        areas = sorted(
            area % MEMORY_BYTES
            for queue in stretch.queues
            for area in (queue.desc, queue.driver, queue.device)
        )
        assert all(before // ROOM_BYTES != after // ROOM_BYTES for before, after in pairwise(areas))


def test_a_driver_that_asks_too_much_is_refused() -> None:
    register = COMMON.device_status
    with Executor(KEY) as executor:
        for status in (DeviceStatus.DEVICE_NEEDS_RESET, 0):
            operations = [
                *Stretch(KEY, Random(1)).refused(),
                expect_register(
                    Space.COMMON, register.offset, 1, status, 100, mask=DeviceStatus.DEVICE_NEEDS_RESET
                ),
            ]
            found = executor.run(Case(KEY, "msix", tuple(operations))).findings
            assert [item.rule for item in found] == ([] if status else ["expected"])


def test_queues_that_are_reset_together_work_on() -> None:
    stretch = Stretch(QUEUES, Random(2))
    operations = [*stretch.setup(), *stretch.lap(), *stretch.again(3, 0, 2), *stretch.lap(), stretch.well()]
    with Executor(QUEUES) as executor:
        assert executor.run(Case(QUEUES, "msix", tuple(operations))).findings == ()


def test_a_device_carries_a_load_and_is_well_in_the_end() -> None:
    *cases, _long = (case for case, _chains in stretches(KEY, 1, SHORT))
    with Executor(KEY) as executor:
        assert [executor.run(case).findings for case in cases] == [()] * len(cases)
        # Behind a reset it is not.
        first, *_others, last = cases[0].operations
        found = executor.run(cases[0].with_operations([first, last])).findings
        assert [item.rule for item in found] == ["expected"]


def test_a_packed_ring_goes_round_until_its_numbers_have_wrapped() -> None:
    *_others, long = (case for case, _chains in stretches(KEY, 1, 0))
    with Executor(KEY, most_cycles=2_000_000) as executor:
        assert executor.run(long).findings == ()


def test_a_chain_as_long_as_its_ring_is_used() -> None:
    case = list(stretches(BLOCK, 1, 0))[-2][0]
    pieces = [o for o in case.operations if o.kind is Kind.DESCRIPTOR]
    links = [o for o in pieces if o.extra >> 32 & DESC_F_NEXT]
    lengths = [o.extra & 0xFFFF_FFFF for o in pieces]
    assert max(lengths) == 1 << 19
    # All but one descriptor of each lead to another: whole disks, whole rings, two pieces beside every fifth
    # of them, and 16 on each queue, two at once.
    assert len(pieces) - len(links) == 10 + 10 + 4 + 80
    assert len(links) == 10 * 2 + 10 * 31 + 4 + 80 * 15
