"""Ports that more than one block has: groups of streams and signals with a name.

Signatures are written from the side that asks (the initiator); the other side takes ``In(...)`` of them.
"""

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, Signature

from .streams import (
    QUEUE_BITS,
    SEGMENT_BITS,
    ChainInfo,
    DmaReadRequest,
    RegisterRequest,
    RegisterResponse,
    StorageCommand,
    byte_beat,
    completion_beat,
    dma_read_beat,
    reply_beat,
    request_beat,
    storage_beat,
    stream_of,
)

__all__ = [
    "ChainPort",
    "CompletionErrors",
    "ConfigPort",
    "ConfigRequest",
    "CorePort",
    "DmaReadPort",
    "EdgeState",
    "FunctionState",
    "MacPort",
    "QueueClear",
    "QueueRead",
    "QueueRow",
    "QueueWrite",
    "RegisterPort",
    "SegmentRead",
    "StoragePort",
    "UartPort",
]


class RegisterPort(Signature):
    """Dword accesses to registers. Every read gets one response, in order; a write gets none."""

    def __init__(self):
        super().__init__(
            {
                "requests": Out(stream_of(RegisterRequest)),
                "responses": In(stream_of(RegisterResponse)),
            }
        )


class ConfigRequest(data.Struct):
    """One dword access to configuration space; ``register`` is the dword's number (0 to 1023).

    ``target_id`` is the bus, device and function that the request was addressed to.
    """

    register: unsigned(10)
    write: unsigned(1)
    strobe: unsigned(4)
    data: unsigned(32)
    target_id: unsigned(16)


class ConfigPort(Signature):
    """Dword accesses to configuration space. Every request, read or write, gets one response, in order."""

    def __init__(self):
        super().__init__(
            {
                "requests": Out(stream_of(ConfigRequest)),
                "responses": In(stream_of(RegisterResponse)),
            }
        )


class FunctionState(Signature):
    """What configuration space tells the rest of the device; from its side all are outputs.

    ``bar0`` to ``bar5`` are the base address registers as software wrote them, type bits zero; a 64-bit
    BAR's upper half is the next one. ``max_payload`` and ``max_read_request`` are in bytes, already bounded
    by the configuration. ``requester_id`` is the captured bus and device. ``extended_tags`` allows tags
    above 31.
    """

    def __init__(self):
        super().__init__(
            {
                **{f"bar{n}": Out(32) for n in range(6)},
                "io_enable": Out(1),
                "memory_enable": Out(1),
                "bus_master_enable": Out(1),
                "intx_disable": Out(1),
                "requester_id": Out(16),
                "max_payload": Out(13),
                "max_read_request": Out(13),
                "extended_tags": Out(1),
                "msix_enable": Out(1),
                "msix_function_mask": Out(1),
            }
        )


class EdgeState(Signature):
    """What the core has to know of the edge around it; from the edge's side all are outputs.

    - ``bus_master_enable``: requests may be made; at 0 reads end with an error, and writes are dropped
    - ``max_payload``, ``max_read_request``: limits of one request in bytes, powers of two from 128, at most
      those of the configuration
    - ``extended_tags``: tags above 31 may be used
    - ``msix_enable``: notifications leave as vectors; otherwise they set bits of the ISR
    - ``outbound_idle``: nothing that the core has sent waits in the edge
    """

    def __init__(self):
        super().__init__(
            {
                "bus_master_enable": Out(1),
                "max_payload": Out(13),
                "max_read_request": Out(13),
                "extended_tags": Out(1),
                "msix_enable": Out(1),
                "outbound_idle": Out(1),
            }
        )


class CompletionErrors(Signature):
    """What went wrong with a completion, as pulses of a cycle; from the core's side all are outputs.

    - ``unsupported``: its status was Unsupported Request
    - ``aborted``: its status was Completer Abort
    """

    def __init__(self):
        super().__init__({"unsupported": Out(1), "aborted": Out(1)})


class CorePort(Signature):
    """All that passes between the core and the edge around it, which is the initiator.

    - ``registers``: accesses to BARs; one that is for no register reads 0 and has no effect
    - ``reads``: read requests; ``requester_id`` of their headers is for the edge to fill in
    - ``posted``: writes, which must stay in order among themselves
    - ``completions``: answers to ``reads``, by tag, split and ordered as PCIe allows; ready is always 1
    - ``vectors``: MSI-X vectors of notifications; each is offered when the writes that it tells of were taken
    - ``interrupt``: a bit of the ISR is set
    - ``state``: what the core has to know
    - ``errors``: what the edge may have to report
    - ``transactions_pending``: the core holds a chain, or waits for a completion
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "registers": Out(RegisterPort()),
                "reads": In(stream_of(request_beat(data_width))),
                "posted": In(stream_of(request_beat(data_width))),
                "completions": Out(stream_of(completion_beat(data_width))),
                "vectors": In(stream_of(16)),
                "interrupt": In(1),
                "state": Out(EdgeState()),
                "errors": In(CompletionErrors()),
                "transactions_pending": In(1),
            }
        )


class DmaReadPort(Signature):
    """Reads of guest memory. Every request gets one response packet, in the order of the requests."""

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "requests": Out(stream_of(DmaReadRequest)),
                "data": In(stream_of(dma_read_beat(data_width))),
            }
        )


class QueueRow(data.Struct):
    """What the driver configured for a queue. ``size`` is in entries; ``vector`` may be NO_VECTOR."""

    desc: unsigned(64)
    driver: unsigned(64)
    device: unsigned(64)
    size: unsigned(16)
    vector: unsigned(16)
    enable: unsigned(16)
    reserved: unsigned(16)


class QueueRead(Signature):
    """Reads a row of the queue table. ``row`` follows ``index`` and ``en`` by one cycle and then holds."""

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(QUEUE_BITS), "row": In(QueueRow)})


class QueueWrite(Signature):
    """Writes bytes of a row of the queue table; ``mask`` has a bit for each byte."""

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(QUEUE_BITS), "row": Out(QueueRow), "mask": Out(32)})


class QueueClear(Signature):
    """For one cycle ``en``: forget the ring positions of queue ``index``. Only while the walker is idle."""

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(QUEUE_BITS)})


class SegmentRead(Signature):
    """Reads the segment store. The three outputs follow ``index`` and ``en`` by one cycle and then hold."""

    def __init__(self):
        super().__init__(
            {
                "en": Out(1),
                "index": Out(SEGMENT_BITS),
                "address": In(64),
                "length": In(32),
                "next": In(SEGMENT_BITS),
            }
        )


class ChainPort(Signature):
    """The face of the ring walker to a function; the walker is the initiator.

    For every chain the function gets one item on ``chains`` and, if ``readable`` is not 0, one packet on
    ``readable``, both in the same order; it answers each chain with packets on ``replies``, the last
    of them with ``done``, in that order too. A chain whose packet ended with ``error`` must still be
    answered, with ``written`` 0 and no effect. While ``halt`` is up the function finishes what can be
    finished without waiting for the outside world, answers chains that wait for it with ``written`` 0,
    and starts nothing on its own; ``idle`` says that it holds no chain and waits for no one.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "chains": Out(stream_of(ChainInfo)),
                "readable": Out(stream_of(byte_beat(data_width))),
                "replies": In(stream_of(reply_beat(data_width))),
                "halt": Out(1),
                "idle": In(1),
            }
        )


class StoragePort(Signature):
    """What a block function needs of the storage behind it; the function is the initiator.

    Commands are executed in order. A WRITE is followed by its data on ``write_data``, a READ answered on
    ``read_data``; every command is answered, in order, on ``results`` (1 for an error) after its
    data. A read that fails still delivers all of its beats. The data of a write command is complete in
    the device before the command is issued, so storage never waits for the host in the middle of one.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "commands": Out(stream_of(StorageCommand)),
                "write_data": Out(stream_of(storage_beat(data_width))),
                "read_data": In(stream_of(storage_beat(data_width))),
                "results": In(stream_of(1)),
            }
        )


class MacPort(Signature):
    """What a network function needs of the MAC behind it; the function is the initiator.

    Packets on ``tx`` and ``rx`` are whole frames from the destination address to the last byte of payload,
    without preamble and check sequence. A frame whose last beat has ``error`` is not to be sent, or was not
    received well. ``link_up`` is the state of the medium.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "tx": Out(stream_of(byte_beat(data_width))),
                "rx": In(stream_of(byte_beat(data_width))),
                "link_up": In(1, init=1),
            }
        )


class UartPort(Signature):
    """Bytes to and from the terminal behind a console function, which is the initiator."""

    def __init__(self):
        super().__init__({"tx": Out(stream_of(8)), "rx": In(stream_of(8))})
