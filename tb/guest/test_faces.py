"""Every function by every register face, on the rings that go with it, with each interrupt."""

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ringwalker.config import DeviceConfig, Identity, PciOptions
from ringwalker.spec.features import Feature
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.opening import open_device
from ringwalker_sim.testing.device_surroundings import surroundings
from ringwalker_sim.testing.devices import BOTH, TRANSITIONAL
from ringwalker_sim.testing.ring_loads import LOADS, RNG_BUFFER_BYTES

SEED = int(os.environ.get("RINGWALKER_SEED", "1"))

USES = (
    ("modern", "modern", "split"),
    ("modern", "modern", "packed"),
    ("transitional", "modern", "split"),
    ("transitional", "modern", "packed"),
    ("transitional", "legacy", "split"),
    ("legacy", "legacy", "split"),
)
"""The face of the device, that of the driver, and the rings; a legacy driver knows no packed ones."""

INTERRUPTS = ("msix", "intx")
PRESETS = ("2007", "oasis")

CELLS: list[tuple[str, ...]] = [(*use, interrupt) for use, interrupt in itertools.product(USES, INTERRUPTS)]

PAIRS = [
    ("transitional", "modern", "split", "msix"),
    ("transitional", "legacy", "split", "intx"),
    ("transitional", "modern", "packed", "intx"),
    ("transitional", "legacy", "split", "msix"),
]
"""Of a transitional device: any face with any interrupt, and each face after the other."""


def config_of(function: str, face: str, **changes: Any) -> DeviceConfig:
    """A device of ``function`` that offers both rings."""
    base = TRANSITIONAL[function] if face == "transitional" else replace(BOTH[function], face=face)
    return replace(base, **changes)


def run_cell(port: Any, outside: Any, function: str, cell: tuple[str, ...], count: int) -> None:
    """Open the device as ``cell`` says, make ``count`` requests, and close it."""
    _face, driver_face, ring, interrupt = cell
    wanted = (1 << Feature.RING_PACKED) * (ring == "packed")
    options: dict[str, Any] = {"buffer_bytes": RNG_BUFFER_BYTES} if function == "rng" else {}

    async def main() -> None:
        opened = await open_device(
            Machine(port), function, interrupt=interrupt, rings=wanted, face=driver_face, **options
        )
        config = opened.device.config
        legacy = driver_face == "legacy"
        assert (config.face, config.legacy) == (driver_face, legacy)
        assert config.features >> Feature.VERSION_1 & 1 == (not legacy)
        assert config.features >> Feature.ANY_LAYOUT & 1 == legacy
        assert config.features >> Feature.RING_PACKED & 1 == (ring == "packed")
        await LOADS[function](port, opened, count, random.Random(f"{SEED} {cell}"), outside)
        assert sum(vq.interrupts for vq in opened.device.vqs) > 0
        await opened.close()

    port.run(main())
    assert port.memory.allocated == 0


@pytest.mark.parametrize("cell", CELLS, ids=" ".join)
@pytest.mark.parametrize("function", BOTH)
def test_every_face_of_a_model(function: str, cell: tuple[str, ...]) -> None:
    number = CELLS.index(cell)
    identity = Identity(preset=PRESETS[number % 2])
    config = config_of(function, cell[0], identity=identity, legacy_io=number % 3 > 0)
    with surroundings(config, real=False) as (port, outside):
        run_cell(port, outside, function, cell, 20)


@pytest.mark.parametrize("use", USES, ids=" ".join)
def test_every_face_of_a_model_with_msi(use: tuple[str, ...]) -> None:
    number = USES.index(use)
    function = list(BOTH)[number % len(BOTH)]
    identity, pci = Identity(preset="oasis"), PciOptions(msi=1 + number % 2)
    config = config_of(function, use[0], identity=identity, pci=pci)
    with surroundings(config, real=False) as (port, outside):
        run_cell(port, outside, function, (*use, "msi"), 20)
        run_cell(port, outside, function, (*use, "intx"), 20)


@pytest.mark.parametrize("function", BOTH)
def test_one_face_after_the_other_of_a_model(function: str) -> None:
    with surroundings(TRANSITIONAL[function], real=False) as (port, outside):
        for cell in (*PAIRS, *PAIRS[::-1]):
            run_cell(port, outside, function, cell, 10)


@pytest.mark.parametrize("io", [True, False])
@pytest.mark.parametrize("face", ["transitional", "legacy"])
def test_a_driver_that_is_not_told_takes_the_modern_face_where_there_is_one(face: str, io: bool) -> None:
    with surroundings(config_of("blk", face, legacy_io=io), real=False) as (port, _outside):
        opened = port.run(open_device(Machine(port), "blk"))
        assert opened.device.config.face == ("modern" if face == "transitional" else "legacy")


@pytest.fixture(scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any, str]]:
    """The hardware of a function and a face, the same for all cells; see :func:`surroundings`."""
    function, face = request.param
    with surroundings(config_of(function, face), real=True) as (port, outside):
        yield port, outside, function


def _of_face(function: str, face: str) -> Any:
    return pytest.param((function, face), id=f"{function}-{face}")


@pytest.mark.slow
@pytest.mark.parametrize("cell", PAIRS, ids=" ".join)
@pytest.mark.parametrize("device", [_of_face(name, "transitional") for name in BOTH], indirect=True)
def test_both_faces_of_the_device(device: tuple[Any, Any, str], cell: tuple[str, ...]) -> None:
    run_cell(*device, cell, 50)


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("device", "cell"),
    [
        pytest.param((name, cell[0]), cell, id=" ".join((name, *cell)))
        for name, cell in itertools.product(BOTH, CELLS)
    ],
    indirect=["device"],
)
def test_every_face_of_the_device_for_long(device: tuple[Any, Any, str], cell: tuple[str, ...]) -> None:
    run_cell(*device, cell, 2000)


@pytest.mark.campaign
@pytest.mark.parametrize("interrupt", INTERRUPTS)
@pytest.mark.parametrize("function", BOTH)
def test_the_legacy_header_in_memory(function: str, interrupt: str) -> None:
    with surroundings(config_of(function, "legacy", legacy_io=False), real=True) as (port, outside):
        run_cell(port, outside, function, ("legacy", "legacy", "split", interrupt), 500)
