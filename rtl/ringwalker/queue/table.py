"""The queue table: what the driver configured for each queue, one row a queue, in memory."""

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
    """``config.queues`` rows with one write port and ``readers`` independent read ports.

    Members: ``write`` (:class:`QueueWrite`) writes the bytes of its row whose mask bit is set; ``read0``,
    ``read1``, ... (:class:`QueueRead`), also listed in ``reads``.

    A row appears one cycle after ``en`` and then holds. A read in the cycle in which the same row is written
    gives the row from before the write. An index must be below ``config.queues``: a write to another is
    ignored, a read of another gives an undefined row. Rows are undefined until they have been
    written once (:class:`~ringwalker.transport.reset_sequencer.ResetSequencer` does that after power-up).

    Errors: ``ValueError`` when ``readers`` is less than 1.
    """

    def __init__(self, config: DeviceConfig, readers: int):
        if readers < 1:
            raise ValueError(f"readers is {readers!r}; a queue table needs at least 1")
        self.config = config
        self.readers = readers
        super().__init__({"write": In(QueueWrite()), **{f"read{n}": In(QueueRead()) for n in range(readers)}})

    @property
    def reads(self) -> list:
        """The read ports in order."""
        return [getattr(self, f"read{n}") for n in range(self.readers)]

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
        for read in self.reads:
            port = rows.read_port()
            m.d.comb += [
                port.en.eq(read.en),
                port.addr.eq(read.index),
                Value.cast(read.row).eq(port.data),
            ]
        return m
