"""A disk in on-chip memory."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In

from ...buffers import StreamFifo
from ...component import Component
from ...interfaces import StoragePort
from ...spec.blk import SECTOR_BYTES
from ...streams import StorageOp
from .types import sector_beats

__all__ = ["RamDisk"]


class RamDisk(Component):
    """Storage of ``sectors`` sectors in block RAM, with the bytes of ``image`` at its start.

    Members (W is ``data_width``):

    - ``storage`` In(StoragePort(W)): commands and data

    A command that is not wholly on the disk has result 1: a write of that kind changes nothing, a read gives
    zeros. Two cycles a command, one beat a cycle.

    Errors: ``ValueError`` when ``sectors`` is less than 1 or ``image`` does not fit.
    """

    def __init__(self, data_width: int, sectors: int, image: bytes = b""):
        if sectors < 1:
            raise ValueError(f"sectors must be at least 1, not {sectors!r}")
        if len(image) > sectors * SECTOR_BYTES:
            raise ValueError(f"image has {len(image)} bytes; {sectors} sectors hold {sectors * SECTOR_BYTES}")
        self._width = data_width
        self._sectors = sectors
        self._image = image
        super().__init__({"storage": In(StoragePort(data_width))})

    def elaborate(self, platform):
        m: Any = Module()
        port = self.storage
        beats = sector_beats(self._width)
        step = self._width // 8
        pieces = [self._image[at : at + step] for at in range(0, len(self._image), step)]
        store = memory.Memory(
            shape=self._width,
            depth=self._sectors * beats,
            init=[int.from_bytes(piece, "little") for piece in pieces],
        )
        m.submodules.memory = store
        m.submodules.results = results = StreamFifo(1, 4)
        wiring.connect(m, results.o, wiring.flipped(port.results))
        write_port: Any = store.write_port()
        read_port: Any = store.read_port()
        address = Signal(range(self._sectors * beats))
        left = Signal(range(2**16 * beats))
        bad = Signal()
        out_of_range = (port.commands.p.sector > self._sectors) | (
            port.commands.p.sectors > (self._sectors - port.commands.p.sector).as_unsigned()
        )
        loaded, loaded_bad, loaded_last, free = (Signal() for _ in range(4))
        m.d.comb += [
            free.eq(~loaded | port.read_data.ready),
            port.read_data.valid.eq(loaded),
            port.read_data.p.data.eq(Mux(loaded_bad, 0, read_port.data)),
            port.read_data.p.last.eq(loaded_last),
            read_port.addr.eq(address),
            read_port.en.eq(0),
            write_port.addr.eq(address),
            write_port.data.eq(port.write_data.p.data),
            results.i.p.eq(bad),
        ]
        with m.If(free):
            m.d.sync += loaded.eq(0)

        def step_on(state: str) -> None:
            m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
            with m.If(left == 1):
                m.next = state

        with m.FSM():
            with m.State("WAIT_COMMAND"):
                m.d.comb += port.commands.ready.eq(1)
                m.d.sync += [
                    bad.eq(out_of_range),
                    address.eq(port.commands.p.sector * beats),
                    left.eq(port.commands.p.sectors * beats),
                ]
                with m.If(port.commands.valid):
                    m.next = "SEND_RESULT"
                    with m.Switch(port.commands.p.op):
                        with m.Case(StorageOp.READ):
                            m.next = "READ"
                        with m.Case(StorageOp.WRITE):
                            m.next = "WRITE"
                        with m.Default():
                            m.d.sync += bad.eq(0)
                    with m.If(port.commands.p.sectors == 0):
                        m.next = "SEND_RESULT"
            with m.State("READ"):
                m.d.comb += read_port.en.eq(free)
                with m.If(free):
                    m.d.sync += [loaded.eq(1), loaded_bad.eq(bad), loaded_last.eq(left == 1)]
                    step_on("SEND_RESULT")
            with m.State("WRITE"):
                m.d.comb += [
                    port.write_data.ready.eq(1),
                    write_port.en.eq(port.write_data.valid & ~bad),
                ]
                with m.If(port.write_data.valid):
                    step_on("SEND_RESULT")
            with m.State("SEND_RESULT"):
                # Not before there is room for the last beat of a read.
                m.d.comb += results.i.valid.eq(free)
                with m.If(free & results.i.ready):
                    m.next = "WAIT_COMMAND"
        return m
