"""What of the guest behind a root complex needs no simulator."""

from types import SimpleNamespace
from typing import Any

import pytest
from cocotbext.axi import AddressSpace

from ringwalker_sim.errors import ParameterError
from ringwalker_sim.vip.root_complex import BehindRootComplex, written_pieces


@pytest.mark.parametrize(
    ("length", "first", "last", "pieces"),
    [
        (1, 0b1111, 0, [(0x100, 4)]),
        (1, 0b0110, 0, [(0x101, 2)]),
        (1, 0b1001, 0, [(0x100, 1), (0x103, 1)]),
        (2, 0b1000, 0b0001, [(0x103, 2)]),
        (3, 0b1100, 0b0111, [(0x102, 9)]),
        (1, 0, 0, []),
    ],
)
def test_byte_enables_say_what_is_written(
    length: int, first: int, last: int, pieces: list[tuple[int, int]]
) -> None:
    assert written_pieces(0x100, length, first, last) == pieces


def test_ram_for_which_there_is_no_room_is_one_line() -> None:
    rc: Any = SimpleNamespace(mem_pool=AddressSpace().create_pool(0, 1 << 31))
    assert BehindRootComplex.place(rc, 1 << 20) == 0
    assert BehindRootComplex.place(rc, 1 << 20) == 1 << 20
    with pytest.raises(ParameterError, match=r"^the root complex has no room for 4294967296 bytes of RAM"):
        BehindRootComplex.place(rc, 1 << 32)
