"""A guest's driver of dma_engine.v: transfers each way through a stock QEMU, each of them checked.

python drive.py SOCKET [--interrupt msix|intx] [--transfers N] [--hang]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker_sim.guest.pci import PciDevice, enumerate_pci
from ringwalker_sim.vm.machine import VfioUserDevice
from ringwalker_sim.vm.qtest import QtestPort, qtest_machine
from ringwalker_sim.vm.setup import guest_setup

VENDOR, BAR = 0x1234, 0
ID, CONTROL, STATUS, LENGTH, HOST_LO, HOST_HI, BUFFER, COUNT, SCRATCH, HANG = range(0, 0x28, 4)
START, TO_HOST = 1, 2
BUSY, DONE = 1, 2
BUFFER_BYTES = 16384
SECOND = 1_000_000


class Engine:
    """The DMA engine behind ``pci``, whose interrupt sets ``done``."""

    def __init__(self, port: QtestPort, pci: PciDevice):
        self.port, self.pci = port, pci
        self.done = port.event()
        self.interrupts = 0

    def _interrupt(self) -> None:
        self.interrupts += 1
        self.done.set()

    async def begin(self, interrupt: str) -> None:
        """Enable the interrupt."""
        if interrupt == "msix":
            await self.pci.enable_msix([self._interrupt])
        else:
            await self.pci.enable_intx(self._interrupt)

    async def transfer(self, address: int, length: int, offset: int, to_host: bool) -> None:
        """One transfer, from its registers to its interrupt."""
        for register, value in (
            (LENGTH, length),
            (HOST_LO, address & 0xFFFF_FFFF),
            (HOST_HI, address >> 32),
            (BUFFER, offset),
            (CONTROL, START | (TO_HOST if to_host else 0)),
        ):
            await self.pci.bar_write(BAR, register, 4, value)
        status = BUSY
        while status & BUSY:  # the level of INTA is seen once more when it has been served
            assert await self.done.wait(10 * SECOND), "no interrupt came in ten seconds"
            self.done.clear()
            status = await self.pci.bar_read(BAR, STATUS, 4)
        assert status == DONE, f"status is {status:#x}"
        await self.pci.bar_write(BAR, STATUS, 4, 1)


async def drive(port: QtestPort, interrupt: str, transfers: int, hang: bool) -> dict[str, Any]:
    """``transfers`` out of host memory, and as many back to another place of it."""
    found = [pci for pci in await enumerate_pci(port) if pci.id.vendor == VENDOR]
    (pci,) = found
    engine = Engine(port, pci)
    assert await pci.bar_read(BAR, ID, 4) == 0x444D4131
    await pci.bar_write(BAR, SCRATCH, 4, 0x600D_CAFE)
    assert await pci.bar_read(BAR, SCRATCH, 4) == 0x600D_CAFE
    await engine.begin(interrupt)
    memory, random = port.memory, np.random.default_rng(1)
    source, target = (memory.allocate(2 * BUFFER_BYTES, 4096) for _ in range(2))
    for n in range(transfers):
        length = 8 * int(random.integers(1, 64 if n % 16 else BUFFER_BYTES // 8))
        offset = 8 * int(random.integers(0, (BUFFER_BYTES - length) // 8 + 1))
        places = [8 * int(random.integers(0, (2 * BUFFER_BYTES - length) // 8 + 1)) for _ in range(2)]
        data = random.integers(0, 256, length, dtype=np.uint8)
        memory.write(source.address + places[0], data.tobytes())
        memory.write(target.address, bytes(2 * BUFFER_BYTES))
        await engine.transfer(source.address + places[0], length, offset, to_host=False)
        await engine.transfer(target.address + places[1], length, offset, to_host=True)
        expected = bytearray(2 * BUFFER_BYTES)
        expected[places[1] : places[1] + length] = data.tobytes()
        assert memory.read(target.address, 2 * BUFFER_BYTES) == bytes(expected), f"transfer {n}: data differ"
    assert await pci.bar_read(BAR, COUNT, 4) == 2 * transfers
    result = {"interrupt": interrupt, "transfers": 2 * transfers, "interrupts": engine.interrupts}
    if hang:
        result["hung register"] = f"{await pci.bar_read(BAR, HANG, 4):#x}"
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket", type=Path)
    parser.add_argument("--interrupt", choices=("msix", "intx"), default="msix")
    parser.add_argument("--transfers", type=int, default=1000, help="each way")
    parser.add_argument("--hang", action="store_true", help="at the end read a register that never answers")
    options = parser.parse_args()
    with qtest_machine(guest_setup().qemu, [VfioUserDevice(options.socket)]) as port:
        print(port.run(drive(port, options.interrupt, options.transfers, options.hang)))


if __name__ == "__main__":
    main()
