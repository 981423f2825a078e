"""What a driver writes to a doorbell: the number of the queue, or what the device says names it."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ringwalker.spec.modern import COMMON, NOTIFY_CONFIG_DATA
from ringwalker_sim.guest.transport.virtio_pci_structures import CommonQueue

QUEUE = 3


class Structures:
    """A common configuration whose doorbells are kept in ``rung``, and whose reads of a queue are counted."""

    def __init__(self):
        self.rung: list[tuple[int, int, int | None]] = []
        self.reads = 0

    @property
    def selection(self):
        return self

    @asynccontextmanager
    async def of(self, index: int):
        assert index == QUEUE
        yield

    async def read(self, _kind: Any, register: Any) -> int:
        self.reads += 1
        named = NOTIFY_CONFIG_DATA | QUEUE
        values = {COMMON.queue_notify_off: QUEUE, COMMON.queue_notif_config_data: named}
        return values[register]

    def doorbell(self, _index: int, notify_off: int) -> int:
        return 4 * notify_off

    async def ring(self, doorbell: int, name: int, shown: int | None) -> None:
        self.rung.append((doorbell, name, shown))


@pytest.mark.parametrize(("named", "name"), [(False, QUEUE), (True, NOTIFY_CONFIG_DATA | QUEUE)])
def test_a_queue_is_named_by_its_number_or_by_what_the_device_says(named: bool, name: int) -> None:
    structures: Any = Structures()
    queue = CommonQueue(structures, QUEUE, named)

    async def rings() -> None:
        await queue.ring(QUEUE)
        await queue.ring(QUEUE, 77)

    asyncio.run(rings())
    assert structures.rung == [(4 * QUEUE, name, None), (4 * QUEUE, name, 77)]
    assert queue.name == name
    # Neither the doorbell's place nor its value is asked for twice.
    assert structures.reads == 1 + named
