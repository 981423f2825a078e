"""Two guests whose rings meet: what one sends, the other receives, each from its own memory."""

import random

import pytest

from ringwalker_sim.golden.interguest import InterGuestNet, connect_guests
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.net import NetDevice
from ringwalker_sim.guest.opening import OpenDevice, open_device
from ringwalker_sim.guest.software_port import SecondGuest, SoftwarePort
from ringwalker_sim.memory import GuestMemory

MACS = (bytes.fromhex("520000000001"), bytes.fromhex("520000000002"))


class Guests:
    """Two machines, two memories at the same addresses, one time, a network between them."""

    def __init__(self) -> None:
        self.memories = (GuestMemory(2 << 20), GuestMemory(2 << 20))
        self.port = SoftwarePort(self.memories[0])
        self.ports = (self.port, SecondGuest(self.port, self.memories[1]))
        self.machines = [Machine(port) for port in self.ports]
        self.models = [InterGuestNet(self.port.schedule, mac=mac, queue_size=16) for mac in MACS]
        connect_guests(*self.models)

    async def open(self, n: int, interface: str = "modern") -> OpenDevice:
        return await open_device(self.machines[n], "net", interface, "memory", model=self.models[n])


def frame(target: int, number: int, size: int) -> bytes:
    return MACS[target] + MACS[1 - target] + number.to_bytes(2, "big") + bytes([number & 0xFF]) * (size - 14)


@pytest.mark.parametrize("interfaces", [("modern", "2007-05"), ("draft3", "2.6.24"), ("2007-09", "modern")])
def test_frames_go_both_ways_in_order(interfaces: tuple[str, str]) -> None:
    guests = Guests()
    chance = random.Random(5)
    sent = [[frame(1 - n, number, chance.randint(60, 1514)) for number in range(200)] for n in range(2)]
    got: list[list[bytes]] = [[], []]

    async def main() -> None:
        opened = [await guests.open(n, interfaces[n]) for n in range(2)]
        for n in range(2):
            opened[n].driven.on_frame = got[n].append

        async def talk(net: NetDevice, frames: list[bytes]) -> None:
            for item in frames:
                await net.send(item)
                await guests.port.sleep(chance.randint(0, 300))
            await net.drain()

        tasks = [guests.port.start(talk(opened[n].driven, sent[n])) for n in range(2)]
        for task in tasks:
            await task.join()
        await guests.port.sleep(5000)
        for item in opened:
            await item.close()

    guests.port.run(main())
    assert got == [sent[1], sent[0]]
    assert [memory.allocated for memory in guests.memories] == [0, 0]


def test_the_copy_is_from_one_memory_straight_into_the_other() -> None:
    guests = Guests()

    async def main() -> None:
        opened = [await guests.open(n) for n in range(2)]
        watches = [memory.watch(0, memory.size) for memory in guests.memories]
        await opened[0].driven.send(frame(1, 7, 100))
        await guests.port.sleep(1000)
        # No access to a ring is longer than a descriptor.
        payload = [[(hit.length, hit.write) for hit in watch.hits if hit.length > 16] for watch in watches]
        assert payload == [[(112, False)], [(112, True)]]
        for item in opened:
            await item.close()

    guests.port.run(main())


def test_a_frame_waits_for_the_other_guest_to_have_room() -> None:
    guests = Guests()

    async def main() -> None:
        sender, receiver = [await guests.open(n) for n in range(2)]
        vq = receiver.device.vqs[0]
        tokens = await vq.shutdown()
        await sender.driven.send(frame(1, 1, 60))
        await guests.port.sleep(10_000)
        assert (sender.driven.sent, receiver.driven.received) == (0, 0)
        vq.add_buf(tokens[0].sg, 0, 1, tokens[0])
        await vq.kick()
        await guests.port.sleep(1000)
        assert (sender.driven.sent, receiver.driven.received) == (1, 1)
        await sender.close()
        await receiver.close()

    guests.port.run(main())


def test_the_link_follows_the_other_guest() -> None:
    guests = Guests()

    async def main() -> None:
        first = await guests.open(0)
        second = await guests.open(1)
        assert second.driven.link_up
        await second.close()
        await guests.port.sleep(1000)
        assert not first.driven.link_up
        await first.driven.send(frame(1, 1, 60))
        await first.driven.drain()
        assert guests.models[0].dropped == 1, "nobody is there, so the frame is gone and nobody waits"
        second = await guests.open(1)
        await guests.port.sleep(1000)
        assert first.driven.link_up
        await second.close()
        await first.close()

    guests.port.run(main())


def test_an_end_is_joined_once() -> None:
    guests = Guests()
    with pytest.raises(ValueError, match="one other device only"):
        connect_guests(guests.models[0], InterGuestNet(guests.port.schedule))
