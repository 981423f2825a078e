"""A guest's driver of LitePCIe's DMA: data out of host memory, through the core, and back, each byte checked.

python drive.py SOCKET [--transfers N]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker_sim.guest.pci import PciDevice, enumerate_pci
from ringwalker_sim.vm.machine import VfioUserDevice
from ringwalker_sim.vm.qtest import QtestPort, qtest_machine
from ringwalker_sim.vm.setup import guest_setup

VENDOR, BAR = 0x10EE, 0
WRITER, READER = 0, 1
BYTES, CUT = 16384, 512
SECOND = 1_000_000


class Core:
    """The core behind ``pci``; ``csr`` has the places of its registers."""

    def __init__(self, port: QtestPort, pci: PciDevice, csr: dict[str, int]):
        self.port, self.pci, self._csr = port, pci, csr
        self.done = [port.event() for _ in (WRITER, READER)]
        self.interrupts = [0, 0]

    def interrupt(self, vector: int) -> None:
        """A vector has come."""
        self.interrupts[vector] += 1
        self.done[vector].set()

    async def read(self, name: str) -> int:
        """Read a register."""
        return await self.pci.bar_read(BAR, self._csr[name], 4)

    async def write(self, name: str, value: int, word: int = 0) -> None:
        """Write a register, or a word of one that has several."""
        await self.pci.bar_write(BAR, self._csr[name] + 4 * word, 4, value)

    async def describe(self, who: str, address: int, length: int) -> None:
        """Give a descriptor to the DMA's ``"reader"`` or ``"writer"``."""
        await self.write(f"dma_{who}_table_value", length)
        await self.write(f"dma_{who}_table_value", address & 0xFFFF_FFFF, word=1)
        await self.write(f"dma_{who}_table_we", address >> 32)


async def drive(port: QtestPort, csr: dict[str, int], transfers: int) -> dict[str, Any]:
    """``transfers`` out of host memory, and as many back to another place of it."""
    (pci,) = [pci for pci in await enumerate_pci(port) if pci.id.vendor == VENDOR]
    core = Core(port, pci, csr)
    assert await core.read("scratch_value") == 0x4C495445
    await core.write("scratch_value", 0x600D_CAFE)
    assert await core.read("scratch_value") == 0x600D_CAFE
    await pci.enable_msix([lambda: core.interrupt(WRITER), lambda: core.interrupt(READER)])
    for name in ("dma_loopback_enable", "dma_writer_enable", "dma_reader_enable"):
        await core.write(name, 1)
    await core.write("msi_enable", 0b11)
    memory, random = port.memory, np.random.default_rng(1)
    source, target = (memory.allocate(2 * BYTES, 4096) for _ in range(2))
    for n in range(transfers):
        length = 8 * int(random.integers(1, 64 if n % 16 else BYTES // 8))
        # LitePCIe cuts by size alone, so that only from a multiple of that no request crosses 4 KiB.
        places = [CUT * int(random.integers(0, (2 * BYTES - length) // CUT + 1)) for _ in range(2)]
        data = random.integers(0, 256, length, dtype=np.uint8).tobytes()
        memory.write(source.address + places[0], data)
        memory.write(target.address, bytes(2 * BYTES))
        await core.describe("writer", target.address + places[1], length)
        await core.describe("reader", source.address + places[0], length)
        for vector in (READER, WRITER):
            assert await core.done[vector].wait(10 * SECOND), f"vector {vector} did not come in ten seconds"
            core.done[vector].clear()
        expected = bytearray(2 * BYTES)
        expected[places[1] : places[1] + length] = data
        assert memory.read(target.address, 2 * BYTES) == bytes(expected), f"transfer {n}: data differ"
    return {"transfers": 2 * transfers, "interrupts": sum(core.interrupts)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket", type=Path)
    parser.add_argument("--transfers", type=int, default=1000, help="each way")
    options = parser.parse_args()
    csr = json.loads(Path("csr.json").read_text())
    with qtest_machine(guest_setup().qemu, [VfioUserDevice(options.socket)]) as port:
        print(port.run(drive(port, csr, options.transfers)))


if __name__ == "__main__":
    main()
