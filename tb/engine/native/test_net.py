"""The whole network device on the native engine: frames, commands, resets, hostile chains, a cable."""

import random
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.net import (
    NET_CONFIG,
    NET_CONTROL_QUEUE,
    NET_RECEIVE_QUEUE,
    NET_TRANSMIT_QUEUE,
    NetClass,
    NetControlAck,
    NetMacCommand,
    NetRxCommand,
    NetStatus,
)
from ringwalker.spec.ring import DESC_F_NEXT
from ringwalker_sim.engine.engines import open_engine
from ringwalker_sim.engine.native.cable import MacCable
from ringwalker_sim.guest.loop import StuckError
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_NET as CONFIG
from ringwalker_sim.testing.raw_net import HEADER, RawNet

OWN = CONFIG.settings.address
OTHER = bytes([2, 0, 0, 0, 0, 9])
OK, ERR = bytes([NetControlAck.OK]), bytes([NetControlAck.ERR])

Body = Callable[[Any, RawNet], Coroutine[Any, Any, Any]]


def frame(length: int, to: bytes = OWN) -> bytes:
    return to + random.randbytes(length - len(to))


def frames(count: int, to: bytes = OWN) -> list[bytes]:
    """Of all lengths, the shortest and the longest among them."""
    longest = CONFIG.settings.frame_bytes
    lengths = [14, 60, longest, *(random.randint(14, longest) for _ in range(count))]
    return [frame(length, to) for length in lengths[:count]]


def run(body: Body, interrupt: str = "msix", **host: Any) -> Any:
    """``body(port, net)`` as the guest; the device must end idle, and no buffer may stay behind."""
    with open_engine("native", CONFIG, GuestMemory(4 << 20), host=host) as port:

        async def main() -> Any:
            net = await RawNet.bind(port, interrupt)
            result = await body(port, net)
            await net.unbind()
            return result

        result = port.run(main())
        assert port.memory.allocated == 0
        assert port.engine.stats()["read_faults"] == port.engine.stats()["write_faults"] == 0
        return result


@pytest.mark.parametrize("stalls", [0.0, 0.3])
@pytest.mark.parametrize("interrupt", ["msix", "intx"])
def test_frames_come_back_byte_for_byte(interrupt: str, stalls: float) -> None:
    sent = frames(60)

    async def body(port: Any, net: RawNet) -> None:
        port.engine.ports.mac.loopback(True)
        await net.offer(len(sent))
        await net.send(*sent)
        await net.until(lambda: len(net.received) == net.sent == len(sent))
        assert net.received == sent

    run(body, interrupt, stalls=stalls)


def test_frames_reach_the_hook_of_the_port_and_are_counted() -> None:
    sent = frames(10, OTHER)
    got: list[bytes] = []

    async def body(port: Any, net: RawNet) -> None:
        port.engine.ports.mac.on_frame = got.append
        await net.send(*sent)
        await net.until(lambda: net.sent == len(sent))
        await port.sleep(100)
        stats = port.engine.stats()
        assert (stats["mac_tx_frames"], stats["mac_tx_bytes"]) == (10, sum(map(len, sent)))

    run(body)
    assert got == sent


def test_frames_wait_in_the_device_for_buffers_and_others_are_filtered() -> None:
    mine = frames(8)

    async def body(port: Any, net: RawNet) -> None:
        for item in mine:
            port.engine.ports.mac.send(frame(100, OTHER))
            port.engine.ports.mac.send(item)
            port.engine.ports.mac.send(item, error=True)
        await port.sleep(5000)
        assert net.received == []
        await net.offer(3)
        await net.until(lambda: len(net.received) == 3)
        await net.offer(10, 2000)
        await net.until(lambda: len(net.received) == 8)
        assert net.received == mine

    run(body)


def test_a_buffer_that_is_too_small_costs_one_frame() -> None:
    first, second = frame(200), frame(200)

    async def body(port: Any, net: RawNet) -> None:
        await net.offer(1, 211)
        await net.offer(1, 212)
        port.engine.ports.mac.send(first)
        port.engine.ports.mac.send(second)
        await net.until(lambda: len(net.answers) == 2)
        assert net.answers == [0, 212]
        assert net.received == [second]

    run(body)


def test_link_changes_are_notified() -> None:
    async def body(port: Any, net: RawNet) -> None:
        for count, up in enumerate((False, True, False), 1):
            port.engine.ports.mac.set_link(up)
            await net.until(lambda wanted=count: net.changed == wanted)
            status = await net.transport.get(NET_CONFIG.status)
            assert status == (NetStatus.LINK_UP if up else 0)
            assert await net.transport.read_common("config_generation") == count
        assert not port.engine.ports.mac.send(frame(60))
        await net.send(frame(60))
        await net.until(lambda: net.sent == 1)
        assert port.engine.ports.mac.receive() == []
        assert port.engine.stats()["mac_lost"] == 2

    run(body)


def test_control_commands_change_what_is_received() -> None:
    group, station = frame(80, bytes([0x33, 0x33, 0, 0, 0, 1])), bytes([6, 5, 4, 3, 2, 0])

    async def body(port: Any, net: RawNet) -> None:
        async def received(*items: bytes) -> list[bytes]:
            net.received.clear()
            for item in items:
                port.engine.ports.mac.send(item)
            await port.sleep(3000)
            return net.received

        await net.offer(40)
        other = frame(70, OTHER)
        assert await received(group, other) == []
        assert await net.control(bytes([NetClass.RX, NetRxCommand.ALL_MULTICAST, 1])) == OK
        assert await received(group, other) == [group]
        assert await net.control(bytes([NetClass.RX, NetRxCommand.PROMISCUOUS, 1])) == OK
        assert await received(group, other) == [group, other]
        image = await net.control(bytes([NetClass.CONFIG, 0]), 100)
        assert image is not None
        assert len(image) == 1 + NET_CONFIG.size
        assert image[1:7] == OWN
        assert image[1 + NET_CONFIG.rx_mode.offset] == 3
        await net.transport.set(NET_CONFIG.rx_mode, 0)
        assert await net.transport.get(NET_CONFIG.rx_mode) == 0
        assert await received(group, other) == []
        assert await net.control(bytes([NetClass.MAC, NetMacCommand.ADDR_SET]) + station) == OK
        mine = frame(60, station)
        assert await received(mine, frame(60)) == [mine]
        table = bytes([NetClass.MAC, NetMacCommand.TABLE_SET])
        assert await net.control(table + bytes(7)) == ERR
        assert await net.control(table + bytes(4) + (1).to_bytes(4, "little") + group[:6]) == OK
        assert await received(group, other) == [group]
        assert await net.control(table + bytes(8)) == OK
        assert await received(group, other) == []
        await net.reset()
        await net.start()
        low = await net.transport.get(NET_CONFIG.mac) & (1 << 48) - 1
        assert low.to_bytes(6, "little") == OWN

    run(body)


def test_a_reset_in_flight_delivers_nothing_old() -> None:
    async def body(port: Any, net: RawNet) -> None:
        port.engine.ports.mac.loopback(True)
        for cycles in (0, 800, 1500, 3000, 8000):
            # More than there are buffers for, and less than the device can keep.
            old = [frame(random.randint(14, 300)) for _ in range(25)]
            await net.offer(3)
            await net.send(*old)
            await port.sleep(cycles)
            await net.reset()
            await net.start()
            net.received.clear()
            net.sent = 0
            await net.offer(5)
            await port.sleep(2000)
            # Frames that were on the medium when the driver came back are new.
            assert all(item in old for item in net.received)
            assert len(net.received) <= 1, f"a reset after {cycles} cycles"
            # As many buffers as frames, so that the next round begins without any.
            await net.offer(len(net.received))
            net.received.clear()
            new = frames(5)
            await net.send(*new)
            await net.until(lambda wanted=new: len(net.received) == len(wanted))
            assert net.received == new

    run(body, stalls={"mac_tx": 0.4, "mac_rx": 0.4})


def test_a_reset_of_the_receive_queue_leaves_transmission_alone() -> None:
    sent = frames(250, OTHER)

    async def body(port: Any, net: RawNet) -> None:
        async def transmit() -> None:
            await net.send(*sent)

        task = port.start(transmit())
        vq = net.queues[NET_RECEIVE_QUEUE]
        for _ in range(8):
            await net.offer(20)
            before = net.sent
            tokens = await vq.shutdown()
            for (item,) in tokens:
                item.array[:] = 0xEE
            # What comes now must not go where the old buffers are.
            await port.sleep(500)
            assert net.sent > before
            for (item,) in tokens:
                assert (item.array == 0xEE).all()
                item.free()
        await task.join()
        await net.until(lambda: net.sent == len(sent))
        kept = frame(99)
        port.engine.ports.mac.send(kept)
        await port.sleep(300)
        for (item,) in await vq.shutdown():
            item.free()
        await net.offer(4)
        await net.until(lambda: bool(net.received))
        assert net.received == [kept], "a frame outlives the reset of its queue"

    run(body)


def test_a_reset_ends_though_the_medium_takes_nothing() -> None:
    async def body(port: Any, net: RawNet) -> None:
        await net.offer(20)
        await net.send(*frames(20, OTHER))
        await port.sleep(300)
        begin = port.now()
        await net.reset()
        assert port.now() - begin < 20_000
        await net.start()
        sent = port.engine.stats()["mac_tx_frames"]
        assert sent < 20

    run(body, stalls={"mac_tx": 0.9999})


def test_readable_bytes_in_a_receive_chain_and_odd_transmit_chains_are_dropped() -> None:
    async def body(port: Any, net: RawNet) -> None:
        await net.offer(1)
        assert net.add(NET_RECEIVE_QUEUE, [bytes(5000)], [])
        await net.queues[NET_RECEIVE_QUEUE].kick()
        port.engine.ports.mac.send(frame(64))
        await net.until(lambda: bool(net.received))
        for chain in (
            [HEADER],
            [HEADER, bytes(13)],
            [bytes(1)],
            [HEADER, bytes(CONFIG.settings.frame_bytes + 1)],
        ):
            assert net.add(NET_TRANSMIT_QUEUE, chain, [])
        assert net.add(NET_TRANSMIT_QUEUE, [HEADER[:5], HEADER[5:] + OTHER, bytes(100)], [])
        await net.send(frame(60, OTHER))
        await net.until(lambda: net.sent == 6)
        assert [len(item) for item in port.engine.ports.mac.receive()] == [106, 60]
        assert await net.control(b"\0") == ERR
        assert await net.control(bytes(300)) == ERR
        assert not await net.transport.needs_reset()

    # The buffer that follows the odd one on the receive queue is given back with nothing in it.
    run(body)


@pytest.mark.parametrize("queue", [NET_RECEIVE_QUEUE, NET_TRANSMIT_QUEUE, NET_CONTROL_QUEUE])
def test_a_loop_of_descriptors_needs_a_reset_and_one_helps(queue: int) -> None:
    async def body(port: Any, net: RawNet) -> None:
        port.engine.ports.mac.loopback(True)
        await net.offer(5)
        vq: Any = net.queues[queue]
        assert net.add(queue, [bytes(30), bytes(30)], [])
        head = next(reversed(vq._chains))
        last = vq._chains[head].place[-1]
        vq._flags[last], vq._next[last] = DESC_F_NEXT, head
        await vq.kick()
        await net.until(lambda: net.changed > 0)
        assert await net.transport.status() & DeviceStatus.DEVICE_NEEDS_RESET
        await net.reset()
        await net.start()
        await net.offer(5)
        sent = frames(3)
        await net.send(*sent)
        await net.until(lambda: len(net.received) == 3)
        assert net.received == sent

    run(body)


def open_pair(stack: ExitStack, **host: Any) -> list[Any]:
    return [stack.enter_context(open_engine("native", CONFIG, GuestMemory(4 << 20), host=host)) for _ in "ab"]


@pytest.mark.parametrize("latency", [1, 200])
def test_two_guests_back_to_back(latency: int) -> None:
    def outcome(seed: int) -> Any:
        random.seed(seed)
        there, back = frames(40), frames(40)

        async def guest(port: Any, out: list[bytes], wanted: list[bytes]) -> int:
            net = await RawNet.bind(port)
            await net.offer(len(wanted))
            # Frames that come before the other driver is ready are dropped.
            await port.sleep(20_000 - port.now())
            await net.send(*out)
            await net.until(lambda: net.sent == len(out) and len(net.received) == len(wanted))
            assert net.received == wanted
            await net.unbind()
            return port.now()

        with ExitStack() as stack:
            ports = open_pair(stack)
            cable = MacCable(ports[0], ports[1], latency)
            ends = cable.run(guest(ports[0], there, back), guest(ports[1], back, there))
            assert cable.carried == [40, 40]
            assert ports[0].now() == ports[1].now()
            return ends, ports[0].tlps(), ports[1].tlps()

    first = outcome(1)
    assert latency == 1 or outcome(1) == first


def test_a_cable_passes_errors_on_and_does_not_hang() -> None:
    async def nothing(port: Any) -> None:
        await port.event().wait()

    async def failing(port: Any) -> None:
        await port.sleep(1000)
        raise KeyError("lost")

    with ExitStack() as stack:
        first, second = open_pair(stack)
        cable = MacCable(first, second)
        with pytest.raises(StuckError, match="guest 0 and 1 is not done after 5000 cycles"):
            cable.run(nothing(first), nothing(second), max_cycles=5000)
        with pytest.raises(KeyError, match="lost"):
            cable.run(nothing(first), failing(second))
        assert not first.running()
        with pytest.raises(ValueError, match="latency is 0"):
            MacCable(first, second, 0)
