"""Ports that more than one block has: groups of streams and signals with a name.

Signatures are written from the side that asks, the initiator. The other side has ``In(...)`` of them.
"""

from typing import Any

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
    "TLP_STREAMS",
    "ChainPort",
    "CompletionErrors",
    "CorePort",
    "DmaReadPort",
    "EdgeState",
    "MacPort",
    "QueueClear",
    "QueueRead",
    "QueueRestore",
    "QueueRow",
    "QueueWrite",
    "RegisterPort",
    "SegmentRead",
    "StoragePort",
    "UartPort",
    "tlp_streams",
]

TLP_STREAMS = ("completer_request", "completer_completion", "requester_request", "requester_completion")
"""Names of the four streams between a device and its link."""


def tlp_streams(data_width: int, tag_bits: int = 8) -> dict[str, Any]:
    """The members of those names on the side of the device: the host's requests come in, answers to them go
    out; the device's requests go out, the host's answers come in.
    """
    request = stream_of(request_beat(data_width, tag_bits))
    completion = stream_of(completion_beat(data_width, tag_bits))
    return dict(zip(TLP_STREAMS, (In(request), Out(completion), Out(request), In(completion)), strict=True))


class RegisterPort(Signature):
    """Dword accesses to registers.

    - ``requests`` Out stream of RegisterRequest.
    - ``responses`` In stream of RegisterResponse: one for each read, in order; none for a write.
    """

    def __init__(self):
        super().__init__(
            {
                "requests": Out(stream_of(RegisterRequest)),
                "responses": In(stream_of(RegisterResponse)),
            }
        )


class EdgeState(Signature):
    """What the core has to know of the edge around it; from the edge's side all are outputs.

    - ``bus_master_enable``: requests may be made; at 0 reads end with an error, and writes are dropped
    - ``max_payload``, ``max_read_request``: limits of one request in bytes, powers of two from 128, at most
      those of the configuration
    - ``extended_tags``: tags above 31 may be used
    - ``timeout_step``: a step of the completion time-out, which is
      :data:`~ringwalker.dma.reader.TIMEOUT_STEPS` of them if ``config.pci.timeout_ranges``
    - ``msix_enable``: notifications leave as vectors; otherwise they set bits of the ISR
    - ``outbound_idle``: nothing that the core has sent waits in the edge
    - ``reset``: a pulse: the device is to be reset, as by a driver that writes 0 to its status
    """

    def __init__(self):
        super().__init__(
            {
                "bus_master_enable": Out(1),
                "max_payload": Out(13),
                "max_read_request": Out(13),
                "extended_tags": Out(1),
                "timeout_step": Out(1),
                "msix_enable": Out(1),
                "outbound_idle": Out(1),
                "reset": Out(1),
            }
        )


class CompletionErrors(Signature):
    """What went wrong with a completion, as pulses of a cycle; from the core's side all are outputs.

    - ``unsupported``: its status was Unsupported Request
    - ``aborted``: its status was Completer Abort
    - ``unexpected``: nothing was waiting for it
    - ``unclaimed``: and ``unexpected`` says so since its tag is nobody's
    - ``timed_out``: the last of them did not come in time
    """

    def __init__(self):
        super().__init__(
            {name: Out(1) for name in ("unsupported", "aborted", "unexpected", "unclaimed", "timed_out")}
        )


class CorePort(Signature):
    """All that passes between the core and the edge around it, which is the initiator.

    - ``registers``: accesses to BARs; one that is for no register reads 0 and has no effect
    - ``reads``: read requests; ``requester_id`` of their headers is for the edge to fill in
    - ``posted``: writes, which must stay in order among themselves
    - ``completions``: answers to ``reads``, by tag, split and ordered as PCIe allows; ready is always 1
    - ``vectors``: MSI-X vectors of notifications; offered once the writes that they announce were taken
    - ``forget``: level: a reset of the device ends; what was to be notified before is void
    - ``interrupt``: a bit of the ISR is set
    - ``isr``: the bits of the ISR
    - ``isr_raised``: pulses: a bit of the ISR was set that was 0, or that was read in that cycle
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
                "forget": In(1),
                "interrupt": In(1),
                "isr": In(2),
                "isr_raised": In(2),
                "state": Out(EdgeState()),
                "errors": In(CompletionErrors()),
                "transactions_pending": In(1),
            }
        )


class DmaReadPort(Signature):
    """Reads of guest memory. Parameters: ``data_width`` (W).

    - ``requests`` Out stream of DmaReadRequest.
    - ``data`` In stream of dma_read_beat(W): one packet for each request, in the order of the requests.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "requests": Out(stream_of(DmaReadRequest)),
                "data": In(stream_of(dma_read_beat(data_width))),
            }
        )


class QueueRow(data.Struct):
    """What the driver configured for a queue.

    - ``desc``, ``driver``, ``device``: byte addresses of descriptor table, driver area and device area.
    - ``size``: entries.
    - ``vector``: that of its used buffer notifications, or NO_VECTOR.
    """

    desc: unsigned(64)
    driver: unsigned(64)
    device: unsigned(64)
    size: unsigned(16)
    vector: unsigned(16)
    enable: unsigned(16)
    reserved: unsigned(16)


class QueueRead(Signature):
    """Reads a row of the queue table.

    - ``en`` Out 1, ``index`` Out: read the row of queue ``index``.
    - ``row`` In QueueRow: it comes one cycle after ``en``, and then holds.
    """

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(QUEUE_BITS), "row": In(QueueRow)})


class QueueWrite(Signature):
    """Writes bytes of a row of the queue table.

    - ``en`` Out 1, ``index`` Out: write the row of queue ``index``.
    - ``row`` Out QueueRow, ``mask`` Out 32: the bytes, and a bit for each that is written.
    """

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(QUEUE_BITS), "row": Out(QueueRow), "mask": Out(32)})


class QueueClear(Signature):
    """Sets the ring positions of a queue. Only while nothing of the queue is in flight.

    - ``en`` Out 1, a pulse; ``index`` Out: the queue.
    - ``position`` Out 16: what they become; 0 for a queue that was reset.
    """

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(QUEUE_BITS), "position": Out(16)})


class QueueRestore(Signature):
    """Takes a queue up again after a flush. Only while nothing of the queue is in flight.

    - ``en`` Out 1, a pulse; ``index`` Out: the queue.
    """

    def __init__(self):
        super().__init__({"en": Out(1), "index": Out(QUEUE_BITS)})


class SegmentRead(Signature):
    """Reads the segment store.

    - ``en`` Out 1, ``index`` Out: read the segment with that index.
    - ``address`` In 64, ``length`` In 32 (bytes), ``next`` In (index): they come one cycle after ``en``, and
      then hold.
    """

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
    """The face of the ring walker to a function. The walker is the initiator. Parameters: ``data_width`` (W).

    - ``chains`` Out stream of ChainInfo: one item for each chain.
    - ``readable`` Out stream of byte_beat(W): the device-readable bytes, a packet for each chain that has
      any, in the order of the chains.
    - ``replies`` In stream of reply_beat(W): packets of device-writable bytes. Every chain is answered, in
      the order of the chains, and the last packet of its answer has ``done``. If its readable packet ended
      with ``error``, which may be before its right length, the answer has ``written`` 0, and the chain has no
      effect.
    - ``halt`` Out 1: the function starts nothing by itself. It finishes chains that need nothing from the
      outside world; it answers chains that wait for the outside world with ``written`` 0.
    - ``forget`` Out 1, a pulse: all chains are void that came so far, or come in this cycle. In the next
      cycle the streams begin anew, both ways: nothing is held or answered of those chains, and what was
      offered is withdrawn. For a function whose record does not say ``forgets`` it never comes: it sees
      ``halt``, an ``error`` in packets that are missing, and takers for all its replies.
    - ``idle`` In 1: the function holds no chain and waits for nothing.
    """

    def __init__(self, data_width: int):
        self.data_width = data_width
        super().__init__(
            {
                "chains": Out(stream_of(ChainInfo)),
                "readable": Out(stream_of(byte_beat(data_width))),
                "replies": In(stream_of(reply_beat(data_width))),
                "halt": Out(1),
                "forget": Out(1),
                "idle": In(1),
            }
        )


class StoragePort(Signature):
    """Storage behind a block function. The function is the initiator. Parameters: ``data_width`` (W).

    - ``commands`` Out stream of StorageCommand: they are executed in order.
    - ``write_data`` Out stream of storage_beat(W): the data of WRITE commands. All of it is in the device
      before its command leaves, so storage never waits for the host within a command.
    - ``read_data`` In stream of storage_beat(W): the data of READ commands. A READ that fails delivers all of
      its beats too.
    - ``results`` In stream of 1 bit: one for each command, in order, after its data; 1 is an error.
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
    """The MAC behind a network function. The function is the initiator. Parameters: ``data_width`` (W).

    A packet is a frame from the destination address to the last byte of payload, without preamble and check
    sequence.

    - ``tx`` Out stream of byte_beat(W): a frame whose last beat has ``error`` must not be sent.
    - ``rx`` In stream of byte_beat(W): a frame whose last beat has ``error`` was received badly.
    - ``link_up`` In 1: the medium is connected.
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
    """The terminal behind a console function. The function is the initiator.

    - ``tx`` Out stream of 8 bits: bytes to the terminal.
    - ``rx`` In stream of 8 bits: bytes from it.
    """

    def __init__(self):
        super().__init__({"tx": Out(stream_of(8)), "rx": In(stream_of(8))})
