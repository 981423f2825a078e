"""LitePCIe's endpoint, DMA and interrupts as Verilog, with pins in the place of its PHY.

python make_core.py: writes litepcie_core.v, and csr.json with the addresses of its registers.
"""

import json
from pathlib import Path
from typing import Any

from litepcie.common import get_bar_mask, msi_layout, phy_layout
from litepcie.core import LitePCIeEndpoint, LitePCIeMSIMultiVector
from litepcie.frontend.dma import LitePCIeDMA
from litepcie.frontend.wishbone import LitePCIeWishboneMaster
from litex.gen import LiteXModule
from litex.soc.interconnect import csr, csr_bus, stream, wishbone
from migen import Signal
from migen.fhdl import verilog

DATA_WIDTH = 64
BAR_BYTES = 0x10000
BANK_BYTES = 0x800
BANKS = {"dma": 0, "msi": 1, "scratch": 2}
"""Which bank of registers a part of the core has."""


class PinPhy(LiteXModule):
    """What the rest of LitePCIe asks of a PHY: two streams of TLPs, interrupts, and the link's parameters."""

    data_width = DATA_WIDTH
    endianness = "big"
    bar0_mask = get_bar_mask(BAR_BYTES)

    def __init__(self):
        self.sink: Any = stream.Endpoint(phy_layout(DATA_WIDTH))
        self.source: Any = stream.Endpoint(phy_layout(DATA_WIDTH))
        self.msi: Any = stream.Endpoint(msi_layout())
        self.id = Signal(16)
        self.max_request_size = Signal(16)
        self.max_payload_size = Signal(16)


class Scratch(LiteXModule):
    """A register that reads as it was written."""

    def __init__(self):
        self.value = csr.CSRStorage(32, reset=0x4C495445)


class Core(LiteXModule):
    """The core: its registers in BAR 0, vector 0 for the DMA's writer, vector 1 for its reader."""

    comb: Any

    def __init__(self):
        self.phy = phy = PinPhy()
        self.endpoint = endpoint = LitePCIeEndpoint(phy, endianness=phy.endianness, address_width=64)
        self.mmap = LitePCIeWishboneMaster(endpoint)
        self.dma = LitePCIeDMA(phy, endpoint, with_loopback=True, table_depth=64, address_width=64)
        self.msi = msi = LitePCIeMSIMultiVector(width=2)
        self.comb += [
            msi.irqs[0].eq(self.dma.writer.irq),
            msi.irqs[1].eq(self.dma.reader.irq),
            msi.source.connect(phy.msi),
        ]
        self.scratch = Scratch()

        # ---- registers
        bus = csr_bus.Interface(data_width=32, address_width=14)
        self.bridge = wishbone.Wishbone2CSR(self.mmap.wishbone, bus)
        self.banks = csr_bus.CSRBankArray(
            self, lambda name, _: BANKS.get(name), data_width=32, paging=BANK_BYTES
        )
        self.interconnect = csr_bus.Interconnect(bus, self.banks.get_buses())


def main() -> None:
    """The command line."""
    core: Any = Core()
    phy = core.phy
    pins: dict[Any, str] = {phy.id: "id"}
    pins |= {phy.max_request_size: "max_read_request", phy.max_payload_size: "max_payload"}
    for name, endpoint in (("rx", phy.source), ("tx", phy.sink), ("msi", phy.msi)):
        for part in ("valid", "ready", "last", "dat", "be"):
            if hasattr(endpoint, part) and not (name == "msi" and part == "last"):
                pins[getattr(endpoint, part)] = f"{name}_{part}"
    for signal, name in pins.items():
        signal.name_override = name
    made = verilog.convert(core, set(pins), name="litepcie_core")
    made.write("litepcie_core.v")
    places = {}
    for name, rows, bank, _ in core.banks.banks:
        at = bank * BANK_BYTES
        for row in rows:
            places[f"{name}_{row.name}"] = at
            at += 4 * ((row.size + 31) // 32)
    Path("csr.json").write_text(json.dumps(places, indent=2) + "\n")


if __name__ == "__main__":
    main()
