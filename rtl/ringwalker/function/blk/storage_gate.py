"""Between the block function and its storage: what storage still owes to requests that are void."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ...component import Component
from ...interfaces import StoragePort
from ...streams import StorageOp

__all__ = ["StorageGate"]


class StorageGate(Component):
    """Passes on commands and what comes of them, and swallows what comes after ``forget`` of those before.

    Parameters: ``data_width`` (W); ``commands``, how many may be in flight at most.

    Members:

    - ``function`` In(StoragePort(W)): the block function.
    - ``storage`` Out(StoragePort(W)): its storage.
    - ``forget`` In 1: a pulse: all commands that were taken are void.
    - ``lingers`` In 1: so is the one that is offered.
    - ``voids`` Out 1: some void command has not had its result, or all of its data. No other may be offered.

    Latency: none.
    """

    def __init__(self, data_width: int, commands: int):
        self._commands = commands
        port = StoragePort(data_width)
        super().__init__(
            {
                "function": In(port),
                "storage": Out(port),
                "forget": In(1),
                "lingers": In(1),
                "voids": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        function, storage = self.function, self.storage
        # Commands without their result, and reads without the end of their data.
        commands, reads = Signal(range(self._commands + 1)), Signal(range(self._commands + 1))
        voids, taken = self.voids, Signal()
        data, results = storage.read_data, storage.results
        connect(m, flipped(function.commands), flipped(storage.commands))
        connect(m, flipped(function.write_data), flipped(storage.write_data))
        m.d.comb += [
            function.read_data.p.eq(data.p),
            function.read_data.valid.eq(data.valid & ~voids),
            data.ready.eq(function.read_data.ready | voids),
            function.results.p.eq(results.p),
            function.results.valid.eq(results.valid & ~voids),
            results.ready.eq(function.results.ready | voids),
            taken.eq(storage.commands.valid & storage.commands.ready),
        ]
        m.d.sync += [
            commands.eq(commands + taken - (results.valid & results.ready)),
            reads.eq(
                reads
                + (taken & (storage.commands.p.op == StorageOp.READ))
                - (data.valid & data.ready & data.p.last)
            ),
        ]
        with m.If(self.forget):
            m.d.sync += voids.eq(1)
        with m.Elif((commands == 0) & (reads == 0) & ~self.lingers):
            m.d.sync += voids.eq(0)
        return m
