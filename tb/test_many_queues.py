"""1,024 queues, and a vector for each and one more: where a number could have a bit too few."""

from itertools import pairwise

from ringwalker.config import DeviceConfig
from ringwalker.pci.msix import MsixTable
from ringwalker.queue.ring.used_queues import UsedQueues
from ringwalker.queue.scheduler import Scheduler
from ringwalker.spec.modern import NOTIFY_BASE, NOTIFY_CONFIG_DATA, NOTIFY_MULTIPLIER
from ringwalker.spec.pci import MSIX_ENTRY_BYTES
from ringwalker.streams import MOST_QUEUES
from ringwalker.transport.field_list import field_list
from ringwalker.transport.notify import Notify
from ringwalker_sim.testing.inprocess import Bench, simulated

CONFIG = DeviceConfig(data_width=64, queues=MOST_QUEUES, queue_size=2)
LAST = MOST_QUEUES - 1


class Visits(Bench):
    @classmethod
    def component(cls):
        return Scheduler(MOST_QUEUES)


@simulated(Visits)
async def test_the_last_queue_is_visited_and_no_other(bench):
    bench.put("doorbells", {"queue": LAST})
    assert await bench.get("visits") == {"queue": LAST}
    await bench.cycles(80)
    assert bench.got("visits") == []
    assert not bench.value("waiting")


class Doorbells(Bench):
    @classmethod
    def component(cls):
        return Notify(CONFIG)


@simulated(Doorbells)
async def test_the_last_doorbell_rings_its_queue(bench):
    for name in ("enable", "with_data", "config_data"):
        bench.drive(name, 1)
    request = {"offset": NOTIFY_BASE + NOTIFY_MULTIPLIER * LAST, "write": 1, "strobe": 0xF}
    bench.put("registers.requests", request | {"data": 7 << 16 | NOTIFY_CONFIG_DATA | LAST})
    assert await bench.get("doorbells") == {"queue": LAST, "next": 7, "carried": 1}


class Messages(Bench):
    @classmethod
    def component(cls):
        return MsixTable(CONFIG)


@simulated(Messages)
async def test_the_vector_of_configuration_changes_has_an_entry_behind_those_of_all_queues(bench):
    bench.drive("enable", 1)
    await bench.cycles(CONFIG.vectors + 4)
    for vector in (0, CONFIG.vectors - 1):
        for place, value in ((0, 0x1000 + 4 * vector), (8, vector), (12, 0)):
            request = {"offset": MSIX_ENTRY_BYTES * vector + place, "write": 1, "strobe": 0xF, "data": value}
            bench.put("registers.requests", request)
    await bench.cycles(20)
    bench.put("vectors", CONFIG.vectors)
    bench.put("vectors", CONFIG.vectors - 1)
    message = await bench.get("messages")
    assert message["header_address"] == 0x1000 + 4 * (CONFIG.vectors - 1)
    assert message["data"] == CONFIG.vectors - 1


class Waiting(Bench):
    @classmethod
    def component(cls):
        return UsedQueues(MOST_QUEUES)


@simulated(Waiting)
async def test_the_first_and_the_last_queue_have_their_turn(bench):
    for queue in (LAST, 0):
        bench.put("i", queue)
    assert [await bench.get("o") for _ in range(2)] == [LAST, 0]


def test_no_field_of_the_list_lies_over_another():
    fields = field_list(CONFIG).fields
    assert sum(field.queue is not None for field in fields) >= MOST_QUEUES
    places = [(field.offset, field.end) for field in fields]
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
