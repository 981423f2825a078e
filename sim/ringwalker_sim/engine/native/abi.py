"""What Python and the C++ host agree on, written once: from here come the ctypes and ``spec.h``."""

import ctypes
import enum
from collections.abc import Iterable
from typing import Any

from amaranth.lib import data

from ringwalker.pci.completer import NONPOSTED_REQUESTS
from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType
from ringwalker.spec.tlp import (
    MAX_LENGTH_DWORDS,
    CompletionHeader,
    CompletionStatus,
    ErrorMessage,
    RequestHeader,
    RequestKind,
    with_tag,
)
from ringwalker.streams import QUEUE_BITS, StorageOp

from ...captures.tlp_link import TLP_HEAD_BYTES, TLP_HEAD_VERSION
from ...host.link import COMPLETION_BYTES, REQUEST_32_BYTES, REQUEST_64_BYTES
from ...host.parameters import CREDIT_BYTES, STREAMS, Fault, LatencyShape, Split
from ...timeline.events import EVENT as TIMELINE_EVENT
from ...timeline.events import EventKind as TimelineKind
from ...timeline.events import event_type
from ...timeline.words import ITEM_WORDS, LANE_WORDS
from ..noise import NOISE_SALT
from ..peripherals import PERIPHERALS
from .peer_layout import PEER_CONSTANTS, PEER_STRUCTURES
from .pump_layout import PUMP_CONSTANTS, PUMP_STRUCTURES

__all__ = [
    "EVENT_FORMAT",
    "FAULT_GONE",
    "FAULT_WRITE",
    "HEADERS",
    "PAGE_BYTES",
    "PARAMETERS",
    "STATS",
    "CEvent",
    "CParameters",
    "CStats",
    "EventKind",
    "Outcome",
    "c_fields",
    "c_type",
    "fields_of",
    "spec_header",
]


class EventKind(enum.IntEnum):
    """Why the clock stopped."""

    COMPLETION = 1
    """A request of the CPU was answered: ``status`` is an :class:`Outcome`, ``a`` the ticket, ``b`` data."""
    MESSAGE = 2
    """A message signalled interrupt: ``a`` its address, ``b`` its data."""
    INTX = 3
    """The INTx level changed to ``b``."""
    WATCH = 4
    """A watched range was accessed: ``status`` is 1 for a write plus twice the watch's number."""
    FAULT = 5
    """The device accessed ``b`` bytes at ``a`` that are not mapped, or gone; ``status`` has ``FAULT_WRITE``
    and ``FAULT_GONE``. The clock goes on."""
    ERROR = 6
    """The device broke a rule; the text is fetched apart."""
    EXTERNAL_READ = 7
    """The device reads ``b`` bytes at ``a`` of external memory; ``status`` names the read in the answer."""
    EXTERNAL_WRITE = 8
    """The device wrote ``b`` bytes at ``a`` of external memory; the data is fetched apart, in order."""
    FRAME = 9
    """The device sent a frame of ``a`` bytes, which is fetched apart."""
    BYTES = 10
    """The device sent ``a`` bytes to its terminal, which are fetched apart."""
    PUMP = 12
    """The pump has ``a`` requests that ended; ``status`` is 1 when those were all, 2 when it cannot go on."""
    DISK_FAILURE = 11
    """The store under the disk refused a ``StorageOp``, ``status``, at byte ``a`` with error number ``b``, 0
    for a file that ends before. Each kind once."""
    ERROR_MESSAGE = 13
    """The device reported an error: ``status`` is an ``ErrorMessage``."""


FAULT_WRITE = 1
"""The access was a write."""
FAULT_GONE = 2
"""The memory is mapped, but whoever shares it has taken it away."""


class Outcome(enum.IntEnum):
    """How a request of the CPU ended; the first four are the completion status on the wire."""

    SUCCESS = CompletionStatus.SUCCESS.value
    UNSUPPORTED_REQUEST = CompletionStatus.UNSUPPORTED_REQUEST.value
    CONFIGURATION_RETRY = CompletionStatus.CONFIGURATION_RETRY.value
    COMPLETER_ABORT = CompletionStatus.COMPLETER_ABORT.value
    TIMEOUT = 8
    POISONED = 9
    RESET = 10


PARAMETERS = (
    "seed",
    "latency",
    "latency_jitter",
    "latency_shape",
    "max_payload",
    "max_read_request",
    "read_completion_boundary",
    "reorder",
    "split",
    "completion_timeout",
    "skip_idle",
    "compare",
    "root_id",
    "storage_latency",
    "link_rate",
    "tags",
    "posted_header_credits",
    "posted_data_credits",
    "nonposted_header_credits",
    "credit_return",
    "msi_first",
    "msi_last",
    "period_ps",
    *(f"stall_{name}" for name in STREAMS),
)

STATS = (
    "cycles",
    "skipped_cycles",
    "up_memory_read",
    "up_memory_write",
    "up_message",
    "up_error_message",
    "up_completion",
    "up_completion_data",
    "up_other",
    "down_memory_read",
    "down_memory_write",
    "down_io_read",
    "down_io_write",
    "down_config_read",
    "down_config_write",
    "down_completion",
    "down_completion_data",
    "up_bytes",
    "down_bytes",
    "up_payload",
    "down_payload",
    "request_beats",
    "answer_beats",
    "read_faults",
    "write_faults",
    "injected_faults",
    "dma_read_bytes",
    "dma_write_bytes",
    "most_reads_in_flight",
    "completion_stalls",
    *(name for kind in PERIPHERALS for name in kind.counters),
    "violations",
)

_EVENT = (("kind", 32), ("status", 32), ("time", 64), ("a", 64), ("b", 64))
_C_TYPES = {32: ctypes.c_uint32, 64: ctypes.c_uint64}
EVENT_FORMAT = "<" + "".join({32: "I", 64: "Q"}[width] for _name, width in _EVENT)
"""An event for :mod:`struct`."""


def c_fields(fields: Iterable[tuple[str, int]]) -> list[tuple[str, Any]]:
    """Fields of 32 or 64 bits, for a ``ctypes.Structure``."""
    return [(name, _C_TYPES[width]) for name, width in fields]


def fields_of(layout: Any) -> dict[str, data.Field]:
    """The fields of a struct by name."""
    fields: Any = data.Layout.cast(layout)
    return {str(name): item for name, item in fields}


PAGE_BYTES = 4096
"""No request crosses a multiple of it. Ref: PCI Express Base 3.1, 2.2.7."""

HEADERS: dict[str, Any] = {
    struct.__name__: with_tag(struct, 10) for struct in (RequestHeader, CompletionHeader)
}
"""The headers of TLPs by name, as they lie beside the data of a beat; the tag may be shorter there."""

_CONSTANTS = {
    "max_length_dwords": MAX_LENGTH_DWORDS,
    "tag_count": 1 << fields_of(HEADERS["RequestHeader"])["tag"].width,
    "lower_address_range": 1 << fields_of(CompletionHeader)["lower_address"].width,
    "page_bytes": PAGE_BYTES,
    "sector_bytes": SECTOR_BYTES,
    "request_64_bytes": REQUEST_64_BYTES,
    "request_32_bytes": REQUEST_32_BYTES,
    "completion_bytes": COMPLETION_BYTES,
    "credit_bytes": CREDIT_BYTES,
    "noise_salt": NOISE_SALT,
    "nonposted_requests": NONPOSTED_REQUESTS,
    "fault_write": FAULT_WRITE,
    "fault_gone": FAULT_GONE,
    "queue_bits": QUEUE_BITS,
    "lane_words": LANE_WORDS,
    "item_words": ITEM_WORDS,
    "tlp_head_version": TLP_HEAD_VERSION,
    "tlp_head_bytes": TLP_HEAD_BYTES,
}
_ENUMS = {
    "RequestKind": RequestKind,
    "CompletionStatus": CompletionStatus,
    "ErrorMessage": ErrorMessage,
    "StorageOp": StorageOp,
    "BlkRequestType": BlkRequestType,
    "EventKind": EventKind,
    "Outcome": Outcome,
    "FaultKind": Fault,
    "Split": Split,
    "LatencyShape": LatencyShape,
    "TimelineKind": TimelineKind,
}


class CParameters(ctypes.Structure):
    """``struct Parameters``: 64-bit integers. Stalls are in 2**-32, ``link_rate`` in 2**-16 bytes a cycle."""

    _fields_ = [(name, ctypes.c_uint64) for name in PARAMETERS]


class CStats(ctypes.Structure):
    """``struct Stats``: 64-bit counters. ``*_bytes`` count the wire, ``*_payload`` data alone.

    ``skipped_cycles`` of ``cycles`` were not simulated. ``up_message`` counts interrupts that are writes.
    """

    _fields_ = [(name, ctypes.c_uint64) for name in STATS]


class CEvent(ctypes.Structure):
    """``struct Event``."""

    _fields_ = c_fields(_EVENT)


def _enum(name: str, members: type[enum.Enum]) -> list[str]:
    rows = [f"  {member.name} = {int(member.value)}," for member in members]
    return [f"enum class {name} : std::uint32_t {{", *rows, "};", ""]


def _struct(name: str, fields: list[tuple[str, int]], size: int) -> list[str]:
    rows = [f"  std::uint{width}_t {field} = 0;" for field, width in fields]
    return [f"struct {name} {{", *rows, "};", f"static_assert(sizeof({name}) == {size});", ""]


def c_type(width: int) -> str:
    """The C++ type of a number of ``width`` bits, 1 to 64."""
    if width == 1:
        return "bool"
    return f"std::uint{next(size for size in (8, 16, 32, 64) if width <= size)}_t"


def _layout(name: str, layout: Any) -> list[str]:
    """A packed layout as a struct of whole numbers."""
    rows = []
    for field, item in fields_of(layout).items():
        shape = item.shape
        kind = shape.__name__ if isinstance(shape, enum.EnumMeta) else c_type(item.width)
        rows.append(f"  {kind} {field}{{}};")
    return [f"struct {name} {{", *rows, f"  bool operator==(const {name}&) const = default;", "};", ""]


def spec_header() -> str:
    """``spec.h``, the same for all models: numbers of the specifications, and structs of both sides."""
    lines = ["// Generated; do not edit.", "#pragma once", "", "#include <cstdint>", "", "namespace rw {", ""]
    lines += [
        f"inline constexpr unsigned {name} = {value};"
        for name, value in (_CONSTANTS | PUMP_CONSTANTS | PEER_CONSTANTS).items()
    ]
    lines.append("")
    for name, members in _ENUMS.items():
        lines += _enum(name, members)
    for name, layout in HEADERS.items():
        lines += _layout(name, layout)
    lines += _struct("Parameters", [(name, 64) for name in PARAMETERS], ctypes.sizeof(CParameters))
    lines += _struct("Stats", [(name, 64) for name in STATS], ctypes.sizeof(CStats))
    lines += _struct("Event", list(_EVENT), ctypes.sizeof(CEvent))
    lines += _struct("TimelineEvent", list(TIMELINE_EVENT), event_type.itemsize)
    for name, fields in (PUMP_STRUCTURES | PEER_STRUCTURES).items():
        lines += _struct(name, list(fields), sum(width for _name, width in fields) // 8)
    return "\n".join([*lines, "}  // namespace rw", ""])
