"""The guest's driver of the CRC-32 accelerator, and what ``ringwalker run`` does with it."""

import zlib
from dataclasses import dataclass
from pathlib import Path

from ringwalker_sim.function.simulation import FunctionSimulation, RunCommand
from ringwalker_sim.guest.device_driver import device_driver
from ringwalker_sim.workload.job import DeviceTask, Job


class CrcDevice:
    """What the driver makes of a device: ``await device.crc(content)``."""

    def __init__(self, port, device):
        self.port, self.config, self.done = port, device.config, port.event()

    async def open(self):
        await self.config.negotiate(0)
        self.vq = await self.config.find_vq(0, lambda _vq: self.done.set() is None)
        await self.config.driver_ok()

    async def close(self):
        await self.config.reset()
        await self.config.del_vq(self.vq)

    async def crc(self, content: bytes) -> int:
        with self.port.memory.allocate(len(content)) as out, self.port.memory.allocate(4) as answer:
            self.port.memory.write(out.address, content)
            self.done.clear()
            assert self.vq.add_buf([*out.sg, *answer.sg], 1, 1, content) == 0
            await self.vq.kick()
            await self.done.wait()
            assert self.vq.get_buf() == (content, 4)
            return int.from_bytes(answer.array.tobytes(), "little")


@dataclass(frozen=True)
class CrcTask(DeviceTask):
    """Has the CRC-32 of ``content`` computed by the device, and compares."""

    content: bytes

    async def work(self, opened, config, progress):
        begin, crc = opened.machine.port.now(), await opened.driven.crc(self.content)
        cycles = opened.machine.port.now() - begin
        return {"crc": f"{crc:#010x}", "errors": int(crc != zlib.crc32(self.content)), "cycles": cycles}


SIMULATION = FunctionSimulation(
    driver=lambda port, ids=(): device_driver(0x40, lambda device: CrcDevice(port, device), ids),
    run=RunCommand(
        summary="compute the CRC-32 of a file",
        add_options=lambda parser: parser.add_argument("--input", type=Path, metavar="FILE", required=True),
        job=lambda options, _config, **machine: Job(CrcTask(options.input.read_bytes()), **machine),
        engines=("native", "cocotb"),
    ),
)
