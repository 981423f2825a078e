"""The long load that coverage is counted with: what it is made of, and that a device carries it."""

from itertools import islice, pairwise
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

from ringwalker.spec.modern import COMMON, DeviceStatus
from ringwalker.spec.ring import DESC_BYTES, DESC_F_INDIRECT, DESC_F_NEXT
from ringwalker_sim.fuzz import load
from ringwalker_sim.fuzz.case import Case
from ringwalker_sim.fuzz.coverage import joined, packed_bits
from ringwalker_sim.fuzz.executor import HOST, Executor
from ringwalker_sim.fuzz.load import stretches
from ringwalker_sim.fuzz.load_chains import ROOM_BYTES
from ringwalker_sim.fuzz.load_stretch import Stretch
from ringwalker_sim.fuzz.operations import Kind, Operation, expect_register
from ringwalker_sim.fuzz.outcome import Finding, Outcome
from ringwalker_sim.fuzz.spaces import Space
from ringwalker_sim.fuzz.target import MEMORY_BYTES
from ringwalker_sim.host import HostParameters

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
    sizes, jumps, begins = set(), set(), set()
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
        places = sorted({head.value % MEMORY_BYTES for head in _tables(operations)})
        begins |= {place % DESC_BYTES for place in places}
        assert min((high - low for low, high in pairwise(places)), default=DESC_BYTES) >= DESC_BYTES
    assert begins == set(range(DESC_BYTES))
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


def test_some_of_a_load_is_run_again_on_a_slow_link_and_a_finding_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[tuple[HostParameters, Case]] = []

    class Device:
        """Finds something in every case."""

        def __init__(self, _key: str, *, host: HostParameters, **_others: object):
            self.host = host

        def __enter__(self) -> "Device":
            return self

        def __exit__(self, *_args: object) -> None:
            pass

        def run(self, case: Case) -> Outcome:
            ran.append((self.host, case))
            return Outcome((Finding("read", "so", 9, 0),), 100)

    class Watch:
        """One counter has counted on each link."""

        def __init__(self, device: Device, _library: object):
            self._host = device.host

        def toggled(self) -> str:
            return packed_bits(np.array([self._host is HOST, self._host is not HOST, False]))

    monkeypatch.setattr(load, "Executor", Device)
    monkeypatch.setattr(load, "Watch", Watch)
    monkeypatch.setattr(load, "coverage_model", lambda _device, _say: None)
    monkeypatch.setattr(load, "read_layout", lambda _library: SimpleNamespace(counters=3))
    result = load.run_load(print, "rng:split:transitional", 1, SHORT)
    hosts = [host for host, _case in ran]
    usual = hosts.count(HOST)
    assert (usual, len(hosts)) == (SHORT + 1, SHORT + 3)
    slow = hosts[-1]
    assert (slow.link_bytes_per_cycle, slow.max_payload) == (4, 512)
    # Those without losses.
    assert [case for _host, case in ran[usual:]] == [ran[0][1], ran[3][1]]
    assert [item["text"] for item in result["findings"]] == ["so"] * usual + ["so (on a slow link)"] * 2
    assert (result["stretches"], result["cycles"]) == (usual + 2, 100 * (usual + 2))
    assert joined([result["toggled"]], 3).tolist() == [True, True, False]
