"""Descriptor chains of any legal shape, drawn by Hypothesis, through the real device on the native engine."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestHeader, BlkRequestType, BlkStatus
from ringwalker_sim.disk_image import DiskImage
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.guest.pci import enumerate_pci
from ringwalker_sim.guest.transport.virtio_pci import VirtioPciTransport
from ringwalker_sim.memory import GuestMemory, dtype_of
from ringwalker_sim.testing.devices import SMALL_BLK as CONFIG

SECTORS = 256
ARENA_BYTES = 1 << 16


class Shape(NamedTuple):
    """A request, where its readable and its writable bytes are cut, and how far apart the pieces lie."""

    write: bool
    sectors: int
    readable_cuts: list[int]
    writable_cuts: list[int]
    gaps: list[int]


def _cuts(most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, most), max_size=3, unique=True).map(sorted)


SHAPES = st.builds(
    Shape,
    write=st.booleans(),
    sectors=st.integers(1, 6),
    readable_cuts=_cuts(16 + 6 * SECTOR_BYTES),
    writable_cuts=_cuts(6 * SECTOR_BYTES),
    gaps=st.lists(st.integers(0, 4100), min_size=8, max_size=8),
)


class Placed:
    """A request laid out in guest memory: ``sg`` and the offsets of its pieces in the arena."""

    def __init__(self, shape: Shape, sector: int, arena: Any, at: int, payload: bytes):
        header = np.zeros((), dtype_of(BlkRequestHeader))
        header["type"] = BlkRequestType.OUT if shape.write else BlkRequestType.IN
        header["sector"] = sector
        length = shape.sectors * SECTOR_BYTES
        self.shape, self.sector = shape, sector
        self.readable = header.tobytes() + (payload if shape.write else b"")
        self.writable = (0 if shape.write else length) + 1
        gaps = iter(shape.gaps)
        self.end = at
        self.out = self._place(len(self.readable), shape.readable_cuts, gaps)
        self.into = self._place(self.writable, shape.writable_cuts, gaps)
        position = 0
        for start, count in self.out:
            piece = self.readable[position : position + count]
            arena.array[start : start + count] = np.frombuffer(piece, np.uint8)
            position += count
        self.sg = [(arena.address + start, count) for start, count in self.out + self.into]

    def _place(self, total: int, cuts: list[int], gaps: Iterator[int]) -> list[tuple[int, int]]:
        edges = [0, *(cut for cut in cuts if cut < total), total]
        pieces = []
        for first, last in itertools.pairwise(edges):
            start = self.end + next(gaps)
            pieces.append((start, last - first))
            self.end = start + last - first
        return pieces


@pytest.fixture(scope="module")
def device() -> Iterator[tuple[Any, DiskImage]]:
    """A port on the device, and its disk."""
    disk = DiskImage.blank(SECTORS)
    disk.array[:] = np.random.default_rng(3).integers(0, 256, len(disk.array), np.uint8)
    with open_engine("native", CONFIG, GuestMemory(4 << 20), disk) as port:
        yield port, disk


async def _carry_out(port: Any, disk: DiskImage, shapes: list[Shape]) -> None:
    """All chains in one go; then every byte of guest memory and disk must be what it should."""
    (pci,) = await enumerate_pci(port)
    transport = await VirtioPciTransport.bind(pci)
    config: Any = transport.device.config
    await config.negotiate(0)
    used = port.event()
    vq = await config.find_vq(0, lambda _vq: used.set() or True)
    await config.driver_ok()
    arena = port.memory.allocate(ARENA_BYTES * len(shapes), 4096)
    rng = np.random.default_rng(len(shapes))
    arena.array[:] = rng.integers(0, 256, len(arena.array), np.uint8)
    placed, sector = [], 0
    for number, shape in enumerate(shapes):
        payload = rng.bytes(shape.sectors * SECTOR_BYTES)
        placed.append(Placed(shape, sector, arena, number * ARENA_BYTES, payload))
        sector += shape.sectors
    memory, image = arena.array.copy(), disk.array.copy()
    for item in placed:
        assert vq.add_buf(item.sg, len(item.out), len(item.into), item) == 0
    await vq.kick()
    finished = []
    while len(finished) < len(placed):
        while (got := vq.get_buf()) is not None:
            finished.append(got)
        if len(finished) < len(placed):
            used.clear()
            assert await used.wait(100_000), f"{len(finished)} of {len(placed)} chains were answered"
    for item, written in finished:
        assert written == item.writable
        disk_bytes = slice(item.sector * SECTOR_BYTES, (item.sector + item.shape.sectors) * SECTOR_BYTES)
        if item.shape.write:
            image[disk_bytes] = np.frombuffer(item.readable[16:], np.uint8)
            answer = bytes([BlkStatus.OK])
        else:
            answer = image[disk_bytes].tobytes() + bytes([BlkStatus.OK])
        for start, count in item.into:
            memory[start : start + count] = np.frombuffer(answer[:count], np.uint8)
            answer = answer[count:]
    assert np.array_equal(arena.array, memory), (
        "guest memory outside the writable pieces, or in them, is wrong"
    )
    assert np.array_equal(disk.array, image)
    arena.free()
    await config.reset()
    await config.del_vq(vq)
    await transport.unbind()


@settings(max_examples=60)
@given(shapes=st.lists(SHAPES, min_size=1, max_size=4))
def test_chains_of_any_shape_move_exactly_their_bytes(
    device: tuple[Any, DiskImage], shapes: list[Shape]
) -> None:
    port, disk = device
    port.run(_carry_out(port, disk, shapes))
    assert port.memory.allocated == 0
