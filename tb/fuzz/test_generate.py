"""Cases are made from numbers alone: the same again, all different, of every kind, and with a text form."""

from collections import Counter
from dataclasses import replace
from random import Random

from ringwalker.spec.features import Feature
from ringwalker.spec.pcie import PCIE_CAPABILITY
from ringwalker_sim.fuzz.case import Case
from ringwalker_sim.fuzz.generate import CaseMaker, generated, recovery_of
from ringwalker_sim.fuzz.mutate import MOST_OPERATIONS, mutated, spoiled
from ringwalker_sim.fuzz.operations import Kind, Operation, Recovery, to_binary, write
from ringwalker_sim.fuzz.scene import Queue, Role, Scene
from ringwalker_sim.fuzz.spaces import Space

DEVICE = "blk:both:modern"
CASES = 150


def queue(number: int, packed: bool) -> Queue:
    at = 0x1000 * (1 + number)
    return Queue(number, 8, packed, at, at + 0x400, at + 0x800, Role.BLOCK, 1, 3)


def scene(packed: bool) -> Scene:
    features = 1 << Feature.INDIRECT_DESC | (1 << Feature.RING_PACKED if packed else 0)
    queues = (queue(0, packed), queue(1, packed))
    return Scene("blk", Space.COMMON, queues, (0x8000, 0x20000), (0, 0x20000), features)


SCENES = {"split": scene(False), "packed": scene(True)}


def operations(seed: int, count: int = CASES) -> list[Operation]:
    maker = CaseMaker(DEVICE, DEVICE, SCENES, seed)
    return [item for number in range(count) for item in maker.case(number).operations]


def test_a_number_gives_the_same_case_again() -> None:
    kept = [(3, 0), (5, 1)]
    one, other = (CaseMaker(DEVICE, DEVICE, SCENES, 7, kept) for _ in range(2))
    forwards = [one.case(number) for number in range(CASES)]
    backwards = [other.case(number) for number in reversed(range(CASES))]
    assert forwards == backwards[::-1]
    assert len({case.operations for case in forwards}) == CASES
    assert CaseMaker(DEVICE, DEVICE, SCENES, 8, kept).case(0) != forwards[0]


def test_a_case_that_was_kept_is_made_as_it_was_when_it_was_found() -> None:
    early = CaseMaker(DEVICE, DEVICE, SCENES, 1, [(4, 0)])
    later = CaseMaker(DEVICE, DEVICE, SCENES, 1, [(4, 0), (9, 1)])
    assert later._case(9, 1) == early.case(9)


def test_every_kind_of_operation_is_there() -> None:
    found = Counter(item.kind for item in operations(1))
    assert set(found) == set(Kind) - {Kind.RESET, Kind.EXPECT_REGISTER}
    faces = replace(SCENES["split"], registers=Space.LEGACY)
    legacy = [item for number in range(CASES) for item in generated(Random(number), faces)]
    assert {Space.LEGACY} < {item.space for item in legacy if item.kind is Kind.WRITE}
    assert Space.COMMON not in {item.space for item in legacy}


def test_all_of_them_have_a_text_form_and_a_binary_one() -> None:
    maker = CaseMaker(DEVICE, DEVICE, SCENES, 2, [(n, n) for n in range(9)])
    for number in range(CASES):
        case = maker.case(number)
        assert Case.parse(case.text()) == case
        to_binary(case.operations)


def test_writes_of_guest_memory_stay_within_it() -> None:
    for item in operations(3):
        if item.kind in (Kind.MEMORY, Kind.DESCRIPTOR, Kind.PACKED):
            assert 0 <= item.address <= 0x20000 - item.size
        if item.kind is Kind.FILL:
            assert 0x8000 <= item.address <= 0x20000 - item.number


def test_a_mutation_expects_nothing_and_does_not_grow_for_ever() -> None:
    maker = CaseMaker(DEVICE, DEVICE, SCENES, 4, [(n, n) for n in range(60)])
    for number in range(60, 60 + CASES):
        assert len(maker.case(number).operations) <= MOST_OPERATIONS + 30
    for number in range(CASES):
        chance = Random(number)
        before = generated(chance, SCENES["packed"])
        after = mutated(chance, SCENES["packed"], before, before)
        assert not {Kind.EXPECT_MEMORY, Kind.EXPECT_REGISTER} & {item.kind for item in after}
        assert len(after) <= MOST_OPERATIONS


def test_no_case_sets_a_payload_size_that_the_host_cannot_take() -> None:
    control = write(Space.PCIE, PCIE_CAPABILITY.device_control.offset, 2, 0x1F)
    found = {spoiled(Random(number), control).value >> 5 & 0b111 for number in range(20 * CASES)}
    assert found == {0, 1}
    common = write(Space.COMMON, control.address, 2, 0x1F)
    assert any(spoiled(Random(number), common).value >> 6 & 0b11 for number in range(CASES))


def test_what_was_written_to_configuration_space_is_cured_by_a_reset_of_the_function() -> None:
    written = [write(Space.CONFIG, 4, 2, 0)]
    found = {recovery_of(Random(number), written) for number in range(CASES)}
    assert found == {Recovery.FUNCTION, Recovery.HARDWARE}
    found = {recovery_of(Random(number), [write(Space.COMMON, 4, 2, 0)]) for number in range(CASES)}
    assert found == set(Recovery)
