"""The queue table: what the driver configured for each queue, one row a queue, in memory."""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module, Value, unsigned
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from ..component import Component
from ..config import DeviceConfig
from ..interfaces import QueueRead, QueueRow, QueueWrite

__all__ = ["QueueTable"]

_ROW_BITS = QueueRow.as_shape().size


class QueueTable(Component):
    """``config.queues`` rows with one write port and an independent read port for each name in ``readers``.

    Members:

    - ``write`` In(QueueWrite()): writes the bytes of its row whose mask bit is set.
    - In(QueueRead()) by the names of ``readers``.

    A row appears one cycle after ``en`` and then holds. A read in the cycle in which the same row is written
    gives the row from before the write. An index must be below ``config.queues``: a write to another is
    ignored, a read of another gives an undefined row. Rows are undefined until they have been
    written once (:class:`~ringwalker.transport.reset_sequencer.ResetSequencer` does that after power-up).

    Errors: ``ValueError`` when there are no readers.
    """

    def __init__(self, config: DeviceConfig, readers: Iterable[str]):
        self.config = config
        self.readers = tuple(readers)
        if not self.readers:
            raise ValueError("readers is empty; a queue table needs at least one")
        super().__init__({"write": In(QueueWrite()), **{name: In(QueueRead()) for name in self.readers}})

    def elaborate(self, platform):
        m: Any = Module()
        write = self.write
        m.submodules.rows = rows = Memory(shape=unsigned(_ROW_BITS), depth=self.config.queues, init=[])
        port: Any = rows.write_port(granularity=8)
        m.d.comb += [
            port.addr.eq(write.index),
            port.data.eq(Value.cast(write.row)),
        ]
        with m.If(write.en & (write.index < self.config.queues)):
            m.d.comb += port.en.eq(write.mask)
        for name in self.readers:
            read, port = getattr(self, name), rows.read_port()
            m.d.comb += [
                port.en.eq(read.en),
                port.addr.eq(read.index),
                Value.cast(read.row).eq(port.data),
            ]
        return m
