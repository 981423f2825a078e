"""What a phase does to a disk, operation by operation, and how wrong bytes are found."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ringwalker_sim.workload import synthetic
from ringwalker_sim.workload.disk_phases import difference
from ringwalker_sim.workload.synthetic import Synthetic


@pytest.mark.parametrize("length", [512, 8192, 8704, 65536])
def test_one_wrong_byte_is_found_in_data_of_any_length(length):
    wanted = np.random.default_rng(length).integers(0, 256, length, np.uint8)
    assert difference(wanted.copy(), wanted, 3) is None
    for at in (0, length // 2, length - 1):
        got = wanted.copy()
        got[at] ^= 1
        message = difference(got, wanted, 3)
        assert message is not None
        assert message.startswith(f"sector {3 + at // 512} byte {at % 512} is {got[at]:#04x}")


@pytest.mark.parametrize("kind", ["randwrite", "randrw", "seqwrite"])
def test_nothing_overlaps_a_write_in_flight(kind: str) -> None:
    disk: Any = SimpleNamespace(capacity=64, block_size=512)
    phase = Synthetic(disk, None, kind, 2048, 1000, 1)
    flying = [phase.next() for _ in range(16)]
    sectors = [operation.sector for operation in flying if operation is not None]
    assert sorted(sectors) == list(range(0, 64, 4))
    assert phase.next() is None
    for operation in flying:
        assert operation is not None
        phase.ended(operation, True)
        following = phase.next()
        assert following is not None
        if not kind.startswith("seq"):
            assert following.sector == operation.sector
            assert phase.next() is None


def test_a_request_that_may_not_move_waits_for_its_block() -> None:
    disk: Any = SimpleNamespace(capacity=64, block_size=512)
    wanted = Synthetic(disk, None, "randrw", 2048, 40, 1).choices()[0].tolist()
    phase = Synthetic(disk, None, "randrw", 2048, 40, 1, moving=False)
    flying: list[Any] = []
    blocks = []
    while len(blocks) < 40:
        operation = phase.next()
        if operation is None:
            phase.ended(flying.pop(), True)  # the youngest first, which no order of places may depend on
        else:
            flying.append(operation)
            blocks.append(phase.block(operation))
    assert blocks == wanted


@pytest.mark.parametrize("kind", ["randrw", "seqread"])
def test_requests_are_the_same_whether_they_are_made_up_at_once_or_as_they_come(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(synthetic, "_DRAWN", 7)
    disk: Any = SimpleNamespace(block_size=512, capacity=90)

    def drawn(phase: Synthetic) -> list[tuple[int, int]]:
        found = []
        while (operation := phase.next()) is not None:
            found.append((operation.sector, operation.kind))
            phase.ended(operation, good=True)
        return found

    whole = Synthetic(disk, None, kind, 512, 60, 3)
    places, kinds = whole.choices()
    wanted = list(zip(places.tolist(), kinds.tolist(), strict=True))
    assert drawn(Synthetic(disk, None, kind, 512, 60, 3)) == drawn(whole) == wanted
    assert Synthetic(disk, None, kind, 512, 10**12, 3).next() is not None, "no more is made up than is needed"
