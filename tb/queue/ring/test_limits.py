"""How many visits are in flight, by the number of queues."""

from dataclasses import replace

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.queue.ring.limits import visits_in_flight

CONFIG = DeviceConfig()


@pytest.mark.parametrize(("queues", "visits"), [(1, 4), (4, 4), (5, 5), (16, 16), (17, 16), (64, 16)])
def test_a_visit_for_each_queue_is_in_flight_from_4_to_16(queues, visits):
    assert visits_in_flight(replace(CONFIG, queues=queues)) == visits
