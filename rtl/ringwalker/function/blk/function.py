"""The block device: wiring of its parts."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out, connect, flipped

from ...apart import ResetInserter
from ...buffers import StreamFifo
from ...component import Component
from ...config import DeviceConfig
from ...interfaces import ChainPort, RegisterPort, StoragePort
from ...spec.blk import BlkFeature
from .commander import BlkCommander
from .device_config import blk_config_face
from .parser import BlkParser
from .reply import BlkReply, BlkResults
from .storage_gate import StorageGate
from .types import BlkRecord, BlkRequest
from .write_buffer import BlkWriteBuffer

__all__ = ["BlkFunction", "blk_lanes", "blk_ports"]

_REQUESTS = 4
_RECORDS = 16
_COMMANDS = 32
"""Requests ahead of the commander, answers that are due, and commands in flight: at most so many wait."""


def blk_lanes(config: DeviceConfig) -> dict[str, tuple[int, ...]]:
    """Requests of all queues share one lane: storage answers each of them."""
    return {"chain": tuple(range(config.queues))}


def blk_ports(config: DeviceConfig) -> dict[str, Any]:
    """What of the block function the whole device passes on."""
    return {
        "storage": Out(StoragePort(config.data_width)),
        "capacity": In(64, init=config.settings.capacity),
        "read_only": In(1),
    }


class BlkFunction(Component):
    """A virtio block device over any storage.

    Members (W is ``config.data_width``):

    - ``chain`` In(ChainPort(W)): the requests of all queues
    - ``registers`` In(RegisterPort()): device configuration
    - ``storage`` Out(StoragePort(W)): the storage
    - ``capacity`` In 64: its size in 512-byte sectors
    - ``read_only`` In 1: it cannot be written; does not change from a device reset until FEATURES_OK is set
    - ``active`` Out 1: something moves on the storage port
    - ``generation`` Out 8: of the device configuration
    - ``config_change`` Out 1: a pulse when ``capacity`` changed
    - ``withheld`` Out 64: VIRTIO_BLK_F_RO unless ``read_only``
    - ``malformed`` Out 1: a pulse for each chain without room for a header or a status

    IN, OUT, FLUSH and GET_ID are carried out; other types are answered UNSUPP. IN and OUT of a length that is
    not a multiple of 512, or beyond ``capacity`` as it was when the header came, are answered IOERR without
    a storage command; so is every OUT while ``read_only`` is up. A storage error gives IOERR; data of a
    failed read was still written. A malformed chain and one whose readable bytes came with an error are
    finished with ``written`` 0; of the latter, chunks of a write that came whole before the error are
    written. ``written`` counts up to the first gap, so it is 0 for an IN that was refused and has room for
    data.

    Requests overlap: commands of later ones are issued while earlier ones wait for storage. A storage command
    covers at most ``config.settings.chunk_sectors``. One beat a cycle in both directions.

    After ``chain.forget`` storage gets no command of the chains before but one that was offered already, all
    data of the write commands that it took, and takers for what it still answers; new commands wait for that.

    Ref: virtio 1.4, 5.2.3 (VIRTIO_BLK_F_RO), 5.2.6.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        super().__init__(
            {
                "chain": In(ChainPort(config.data_width)),
                "registers": In(RegisterPort()),
                **blk_ports(config),
                "active": Out(1),
                "generation": Out(8),
                "config_change": Out(1),
                "withheld": Out(64),
                "malformed": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        width, chunk = self._config.data_width, self._config.settings.chunk_sectors
        m.submodules.face = face = blk_config_face(self._config)
        flushed = ResetInserter(self.chain.forget)
        m.submodules.parser = flushed(parser := BlkParser(width, self._config.has_legacy))
        m.submodules.requests = flushed(requests := StreamFifo(BlkRequest, _REQUESTS))
        m.submodules.buffer = buffer = BlkWriteBuffer(width, chunk)
        m.submodules.commander = commander = BlkCommander(chunk)
        m.submodules.records = flushed(records := StreamFifo(BlkRecord, _RECORDS))
        m.submodules.expected = flushed(expected := StreamFifo(1, _COMMANDS))
        m.submodules.results = flushed(results := BlkResults())
        m.submodules.statuses = flushed(statuses := StreamFifo(1, _REQUESTS))
        m.submodules.reply = flushed(reply := BlkReply(width, self._config.settings.serial))
        m.submodules.gate = gate = StorageGate(width, 2 * _COMMANDS)
        for source, sink in (
            (flipped(self.chain.chains), parser.chains),
            (flipped(self.chain.readable), parser.readable),
            (parser.requests, requests.i),
            (requests.o, commander.requests),
            (parser.data, buffer.i),
            (buffer.chunks, commander.chunks),
            (commander.commands, gate.function.commands),
            (buffer.o, gate.function.write_data),
            (commander.records, records.i),
            (records.o, reply.records),
            (commander.expected, expected.i),
            (expected.o, results.expected),
            (gate.function.results, results.results),
            (results.statuses, statuses.i),
            (statuses.o, reply.statuses),
            (gate.function.read_data, reply.read_data),
            (reply.replies, flipped(self.chain.replies)),
            (gate.storage, flipped(self.storage)),
            (flipped(self.registers), face.registers),
        ):
            connect(m, source, sink)
        m.d.comb += [
            buffer.grant.eq(commander.grant),
            *(block.forget.eq(self.chain.forget) for block in (buffer, commander, gate)),
            *(block.lingers.eq(commander.lingers) for block in (buffer, gate)),
            commander.hold.eq(gate.voids),
            face.capacity.eq(self.capacity),
            parser.capacity.eq(face.shown("capacity")),
            parser.read_only.eq(self.read_only),
            self.withheld[BlkFeature.RO].eq(~self.read_only),
            self.generation.eq(face.generation),
            self.config_change.eq(face.config_change),
            self.malformed.eq(parser.malformed),
            self.active.eq(reduce(or_, (item.valid & item.ready for item in self._storage_streams()))),
        ]
        self._count_chains(m)
        return m

    def _storage_streams(self) -> tuple[Any, ...]:
        port = self.storage
        return port.commands, port.write_data, port.read_data, port.results

    def _count_chains(self, m: Any) -> None:
        """``idle``: every chain that was taken is finished. The queues above bound how many there are."""
        chains, replies = self.chain.chains, self.chain.replies
        held = Signal(range(2 * (_REQUESTS + _RECORDS)))
        taken = chains.valid & chains.ready
        finished = replies.valid & replies.ready & replies.p.last & replies.p.done
        m.d.sync += held.eq(held + taken - finished)
        with m.If(self.chain.forget):
            m.d.sync += held.eq(0)
        m.d.comb += self.chain.idle.eq(held == 0)
