"""Resets of network device, console and entropy device with much in flight, on the native engine."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.net import NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE
from ringwalker.spec.ring import DESC_F_NEXT, DESC_F_WRITE
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_CONSOLE, SMALL_NET, SMALL_RNG
from ringwalker_sim.testing.raw_driver import STARTED, RawDriver

LATENCY = 300
BOUND = 4 * LATENCY + 2000
LONGEST = 0xFFFFFFFF
MEMORY = 4 << 20


def run(config: DeviceConfig, body: Callable[[RawDriver], Coroutine[Any, Any, None]]) -> None:
    """Run ``body`` with a driver of the device, which works."""
    with open_engine("native", config, GuestMemory(MEMORY), host={"latency": LATENCY}) as port:
        driver = RawDriver(port)

        async def main() -> None:
            await driver.find(config.queues, config.queue_size)
            await driver.begin()
            await body(driver)

        port.run(main())


async def _check_chain(driver: RawDriver, queue: int, at: int, writable: bool) -> None:
    """A chain of the queue is used soon."""
    part = [(at, 64)]
    driver.rings[queue].offer([] if writable else part, part if writable else [])
    await driver.kick(queue)
    assert len(await driver.used(queue, 1)) == 1


@pytest.mark.parametrize("wait", [0, 300, 3000])
def test_noise_for_4_gib_is_not_waited_for(wait: int) -> None:
    """The function has no way to forget, so the guard leads it to the end of what it holds."""

    async def body(driver: RawDriver) -> None:
        at = driver.area(1 << 20, 4096)
        for _ in range(4):
            ring = driver.rings[0]
            for n in range(8):
                ring.describe(2 * n, at, LONGEST >> 1, DESC_F_WRITE | DESC_F_NEXT, 2 * n + 1)
                ring.describe(2 * n + 1, at, LONGEST >> 1, DESC_F_WRITE, 0)
                ring.publish(2 * n)
            await driver.kick(0)
            await driver.port.sleep(1000 + wait)
            assert await driver.reset() <= BOUND
            assert await driver.stays_silent()
            await driver.begin()
            await _check_chain(driver, 0, at, writable=True)

    run(SMALL_RNG, body)


@pytest.mark.parametrize("config", [SMALL_NET, SMALL_CONSOLE], ids=["net", "console"])
def test_lanes_full_of_chains_are_forgotten_at_many_moments(config: DeviceConfig) -> None:
    """Receive chains that wait for the outside world, and long ones to send."""

    async def body(driver: RawDriver) -> None:
        at = driver.area(1 << 20, 4096)
        receive, send = (NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE)
        for wait in range(0, 3000, 190):
            for n in range(16):
                driver.rings[receive].offer([], [(at + 2048 * n, 1000), (at + 2048 * n + 1000, 1000)])
                pieces = [(at + (1 << 17) + 100 * n + 50 * k, 50) for k in range(3)]
                driver.rings[send].offer(pieces, [])
            await driver.kick(receive)
            await driver.kick(send)
            await driver.port.sleep(wait)
            assert await driver.reset() <= BOUND
            assert await driver.stays_silent()
            await driver.begin()
            await _check_chain(driver, send, at, writable=False)

    run(config, body)


@pytest.mark.parametrize("config", [SMALL_NET, SMALL_CONSOLE], ids=["net", "console"])
def test_the_lane_of_a_queue_is_reset_while_the_other_works(config: DeviceConfig) -> None:
    """Chains of 4 GiB to send in one lane do not outlast its reset, nor do they disturb the other."""

    async def body(driver: RawDriver) -> None:
        at = driver.area(1 << 20, 4096)
        receive, send = NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE
        for wait in range(0, 1500, 190):
            driver.rings[receive].offer([], [(at, 2000)])
            await driver.kick(receive)
            await driver.port.sleep(3000)
            ring = driver.rings[send]
            ring.describe(0, at, LONGEST >> 1, DESC_F_NEXT, 1)
            ring.describe(1, at, LONGEST >> 1, 0, 0)
            ring.publish(0)
            await driver.kick(send)
            await driver.port.sleep(wait)
            assert await driver.reset_queue(send) <= BOUND
            # The control queue, which has the same lane, is looked at once more.
            await driver.port.sleep(BOUND)
            assert await driver.stays_silent()
            await driver.set_queue(send)
            await _check_chain(driver, send, at, writable=False)
            assert await driver.get("device_status") == STARTED
            assert await driver.reset_queue(receive) <= BOUND
            await driver.set_queue(receive)

    run(config, body)


def test_a_network_device_that_needs_a_reset_becomes_quiet() -> None:
    async def body(driver: RawDriver) -> None:
        at = driver.area(1 << 20, 4096)
        for queue in (NET_TRANSMIT_QUEUE, NET_RECEIVE_QUEUE):
            ring = driver.rings[NET_TRANSMIT_QUEUE]
            ring.describe(0, at, LONGEST, 0, 0)
            ring.publish(0)
            await driver.kick(NET_TRANSMIT_QUEUE)
            await driver.port.sleep(1500)
            driver.rings[queue].publish(0x7FFF)
            await driver.kick(queue)
            await driver.cycles_until("device_status", STARTED | DeviceStatus.DEVICE_NEEDS_RESET)
            await driver.port.sleep(BOUND)
            assert await driver.stays_silent()
            assert await driver.reset() <= BOUND
            await driver.begin()
            await _check_chain(driver, NET_TRANSMIT_QUEUE, at, writable=False)

    run(SMALL_NET, body)


@pytest.mark.parametrize("config", [SMALL_NET, SMALL_CONSOLE], ids=["net", "console"])
def test_a_lane_under_load_does_not_hold_up_the_reset_of_another(config: DeviceConfig) -> None:
    """Its requests wait while what was sent leaves; none is lost."""

    async def body(driver: RawDriver) -> None:
        at = driver.area(1 << 20, 4096)
        receive, send = NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE
        for wait in range(0, 1500, 110):
            driver.rings[receive].offer([], [(at, 2000)])
            await driver.kick(receive)
            for n in range(24):
                driver.rings[send].offer([(at + 4096 * n, 40), (at + 4096 * n + 100, 40)], [])
            await driver.kick(send)
            await driver.port.sleep(wait)
            assert await driver.reset_queue(receive) <= BOUND
            assert len(await driver.used(send, 24)) == 24
            assert await driver.get("device_status") == STARTED
            await driver.set_queue(receive)

    run(config, body)
