"""Every function on both rings, in order or not, direct or indirect, with every kind of notification."""

import itertools
import os
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ringwalker.spec.console import CONSOLE_RECEIVE_QUEUE
from ringwalker.spec.features import Feature
from ringwalker.spec.net import NET_RECEIVE_QUEUE
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.opening import open_device
from ringwalker_sim.guest.ring_queue import RingVirtqueue
from ringwalker_sim.testing.device_surroundings import surroundings
from ringwalker_sim.testing.devices import BOTH
from ringwalker_sim.testing.ring_loads import LOADS, RNG_BUFFER_BYTES, cut_buffers, pause_interrupts

SEED = int(os.environ.get("RINGWALKER_SEED", "1"))

RINGS: Mapping[str, tuple[str, ...]] = {"split": (), "packed": ("RING_PACKED",)}
ORDERS: Mapping[str, tuple[str, ...]] = {"any order": (), "in order": ("IN_ORDER",)}
TABLES: Mapping[str, tuple[str, ...]] = {"direct": (), "indirect": ("INDIRECT_DESC",)}
EVENTS: Mapping[str, tuple[tuple[str, ...], int, bool]] = {
    "always": ((), 1, False),
    "flags": ((), 1, True),
    "each": (("EVENT_IDX", "NOTIFICATION_DATA"), 1, False),
    "some": (("EVENT_IDX",), 5, True),
}
"""Features, used buffers after which the driver wants a notification, and whether it suppresses some."""

RECEIVE = (("net", NET_RECEIVE_QUEUE), ("console", CONSOLE_RECEIVE_QUEUE))

CELLS = list(itertools.product(RINGS, ORDERS, TABLES, EVENTS, ("msix", "intx")))


def run_cell(
    port: Any, outside: Any, function: str, cell: tuple[str, ...], count: int, **options: Any
) -> None:
    """Open the device as ``cell`` says, make ``count`` requests, and close it. A disk has ``options``."""
    ring, order, table, events, interrupt = cell
    names, after, pauses = EVENTS[events]
    wanted = sum(1 << Feature[name] for name in (*RINGS[ring], *ORDERS[order], *TABLES[table], *names))
    if function != "blk":
        options = {"buffer_bytes": RNG_BUFFER_BYTES} if function == "rng" else {}

    async def main() -> None:
        opened = await open_device(Machine(port), function, interrupt=interrupt, rings=wanted, **options)
        used = opened.device.config.features
        assert used & wanted == wanted & ~(0 if used >> Feature.NOTIFICATION_DATA & 1 else 1 << 38)
        assert used >> Feature.RING_PACKED & 1 == (ring == "packed")
        for vq in opened.device.vqs:
            assert isinstance(vq, RingVirtqueue)
            # Receive buffers are used when something comes, so one may have to wait for the next for ever.
            vq.interrupt_after = 1 if (function, vq.index) in RECEIVE else after
            cut_buffers(vq)
            if pauses:
                pause_interrupts(port, vq)
        await LOADS[function](port, opened, count, random.Random(f"{SEED} {cell}"), outside)
        assert sum(vq.interrupts for vq in opened.device.vqs) > 0
        await opened.close()

    port.run(main())
    assert port.memory.allocated == 0


@pytest.fixture(scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any, str]]:
    """The hardware of a function, the same for all cells; see :func:`surroundings`."""
    with surroundings(BOTH[request.param], real=True) as (port, outside):
        yield port, outside, request.param


def quarter(odd: int) -> list[tuple[str, ...]]:
    """A quarter of all cells, in which any event goes with any value of each other parameter, and any three
    of the others go together. The quarters for 0 and 1 have no cell in common.
    """
    checks = (
        0b110011,
        0b011101,
    )  # bits of a cell's number: ring, order, table, two for the events, interrupt
    return [
        cell
        for number, cell in enumerate(CELLS)
        if all((number & mask).bit_count() % 2 == odd for mask in checks)
    ]


@pytest.mark.parametrize("cell", quarter(0), ids=" ".join)
@pytest.mark.parametrize("function", BOTH)
def test_every_kind_of_ring_with_a_model(function: str, cell: tuple[str, ...]) -> None:
    with surroundings(BOTH[function], real=False) as (port, outside):
        run_cell(port, outside, function, cell, 30)


@pytest.mark.slow
@pytest.mark.parametrize("cell", quarter(1), ids=" ".join)
@pytest.mark.parametrize("device", BOTH, indirect=True)
def test_every_kind_of_ring_with_the_device(device: tuple[Any, Any, str], cell: tuple[str, ...]) -> None:
    run_cell(*device, cell, 50)


@pytest.mark.campaign
@pytest.mark.parametrize("cell", CELLS, ids=" ".join)
@pytest.mark.parametrize("device", BOTH, indirect=True)
def test_each_kind_of_ring_for_long(device: tuple[Any, Any, str], cell: tuple[str, ...]) -> None:
    """A ring goes round some hundred times; all cells of a function and a ring are 128,000 requests."""
    run_cell(*device, cell, 4000)


@pytest.mark.campaign
@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("rest", ["any order,direct,each,msix", "in order,indirect,some,intx"])
@pytest.mark.parametrize("device", BOTH, indirect=True)
def test_a_hundred_thousand_requests_in_a_queue(device: tuple[Any, Any, str], ring: str, rest: str) -> None:
    """Indices of 16 bits wrap, and the ring goes round some thousand times."""
    run_cell(*device, (ring, *rest.split(",")), 100_000, queues=1)
