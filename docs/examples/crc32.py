"""A device of your own and its whole driver, by every interface: it gives the CRC-32 of what it is sent."""

import zlib

from ringwalker_sim.golden.function import FunctionModel, Request
from ringwalker_sim.guest.bus import TypeId, VirtioDevice, VirtioDriver
from ringwalker_sim.guest.history import INTERFACES, adapt
from ringwalker_sim.guest.machine import Machine, identity_of
from ringwalker_sim.guest.software_port import SoftwarePort
from ringwalker_sim.memory import GuestMemory


class CrcModel(FunctionModel):  # The device: each request is answered with four bytes.
    device_type = 0x40

    def take(self, queue: int, request: Request) -> None:
        crc = zlib.crc32(request.read().tobytes()).to_bytes(4, "little")
        self.schedule(self.latency, lambda: request.finish(crc))


class CrcDriver:  # The driver, of one device.
    def __init__(self, port: SoftwarePort):
        self.port, self.done = port, port.event()

    async def probe(self, device: VirtioDevice) -> int:
        self.config, device.priv = device.config, self
        await self.config.negotiate(0)
        self.vq = await self.config.find_vq(0, lambda _vq: self.done.set() is None)
        await self.config.driver_ok()
        return 0

    async def remove(self, device: VirtioDevice) -> None:
        await self.config.reset()
        await self.config.del_vq(self.vq)

    async def crc(self, data: bytes) -> int:
        with self.port.memory.allocate(len(data)) as out, self.port.memory.allocate(4) as answer:
            self.port.memory.write(out.address, data)
            self.done.clear()
            assert self.vq.add_buf([*out.sg, *answer.sg], 1, 1, data) == 0
            await self.vq.kick()
            await self.done.wait()
            assert self.vq.get_buf() == (data, 4)
            return int.from_bytes(answer.array.tobytes(), "little")


async def main(port: SoftwarePort) -> None:
    for interface in INTERFACES:
        machine, mine = Machine(port), CrcDriver(port)
        driver = VirtioDriver("crc", (TypeId("crc"),), mine.probe, mine.remove)
        await machine.bus.register_virtio_driver(adapt(interface, driver, port))
        for add in (machine.add_memory_device, machine.add_pipe_device):
            device = await add(CrcModel(port.schedule, queues=1), identity_of(0x40, "crc"))
            print(f"{interface:8} {device.config.name}: {await device.priv.crc(b'123456789'):#010x}")
            await machine.remove(device)


here = SoftwarePort(GuestMemory(1 << 20))
here.run(main(here))
