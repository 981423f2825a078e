"""Faults of block devices, for disks in Python: a check finds each."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ringwalker.spec.blk import SECTOR_BYTES, BlkFeature, BlkRequestType, BlkStatus

from ...conform.blk.disk import UNWRITTEN
from ...conform.check import Way
from .fault import Fault, around, nothing
from .ring_patch import drops

__all__ = ["DISK_FAULTS", "RANGE_FAULTS"]

_F, _T, _S = BlkFeature, BlkRequestType, BlkStatus
_NOTHING = np.empty(0, np.uint8)


def without(*features: BlkFeature) -> Callable[[Any], None]:
    """Features that are not offered."""

    def patch(port: Any) -> None:
        for feature in features:
            port.model.features &= ~(1 << feature)

    return patch


def _read_only(port: Any) -> None:
    port.disk.read_only = True
    port.model.features |= 1 << _F.RO


def _byte(offset: int, value: int) -> Callable[[Any], None]:
    """A byte of the device configuration with another value."""

    def content(method: Callable[[], bytes]) -> bytes:
        whole = method()
        return whole[:offset] + bytes([value]) + whole[offset + 1 :]

    return lambda port: around(port.model, "config_bytes", content)


def answers(change: Callable[..., Any]) -> Callable[[Any], None]:
    """``change(model, answer, kind, sector, data, room)`` in place of how the model answers."""
    return lambda port: around(
        port.model, "_answer", lambda method, *request: change(port.model, method, *request)
    )


def _renamed(kind: int, status: int) -> Callable[[Any], None]:
    """All requests of a kind end with ``status``."""

    def change(_model: Any, answer: Any, asked: int, *rest: Any) -> Any:
        return (_NOTHING, status) if asked == kind else answer(asked, *rest)

    return answers(change)


def _silent(_model: Any, answer: Any, kind: int, *rest: Any) -> Any:
    """A status is not written: it stays what it is in the buffers of checks."""
    return answer(kind, *rest) if kind in tuple(_T) else (_NOTHING, UNWRITTEN)


def _short_reads(_model: Any, answer: Any, kind: int, sector: int, data: Any, room: int) -> Any:
    """No more than 32 sectors are read."""
    content, status = answer(kind, sector, data, room)
    return (content[: 32 * SECTOR_BYTES] if kind == _T.IN else content), status


def _lost_writes(_model: Any, answer: Any, kind: int, sector: int, data: Any, room: int) -> Any:
    """A write of more than two sectors is not done."""
    if kind == _T.OUT and len(data) > 2 * SECTOR_BYTES:
        return _NOTHING, _S.OK
    return answer(kind, sector, data, room)


def _refused_write(model: Any, _answer: Any, kind: int, sector: int, data: Any, room: int) -> Any:
    """A write that is refused, and done."""
    if kind == _T.OUT:
        model.disk.array[sector * SECTOR_BYTES : sector * SECTOR_BYTES + len(data)] = data
        return _NOTHING, _S.IOERR
    return _answer(kind, sector, data, room)


def _both(*patches: Callable[[Any], None]) -> Callable[[Any], None]:
    def patch(port: Any) -> None:
        for each in patches:
            each(port)

    return patch


def _forgets(port: Any) -> None:
    """What is written is lost with a reset."""
    model = port.model
    before = port.disk.array.copy()

    def reset(method: Callable[[], None]) -> None:
        method()
        port.disk.array[:] = before

    around(model, "reset", reset)


def _wrapped(model: Any, answer: Any, kind: int, sector: int, data: Any, room: int) -> Any:
    """Sectors behind the end are those from the start on."""
    return answer(kind, sector % model.capacity, data, room)


def _endless(model: Any, answer: Any, kind: int, sector: int, data: Any, room: int) -> Any:
    if kind == _T.IN and sector + room // SECTOR_BYTES > model.capacity:
        return np.zeros(room, np.uint8), _S.OK
    return answer(kind, sector, data, room)


def _untouched(port: Any) -> None:
    """Ranges are not cleared."""
    port.model.clear = lambda _kind, _pieces: _S.OK


def _too_wide(port: Any) -> None:
    def clear(method: Callable[..., int], kind: int, pieces: list[tuple[int, int]]) -> int:
        return method(kind, [(start, count + 1) for start, count in pieces])

    around(port.model, "clear", clear)


def _any_flags(port: Any) -> None:
    port.model.refuses = lambda _kind, _flags: False


def _any_unmap(port: Any) -> None:
    around(port.model, "refuses", lambda method, kind, flags: method(kind, flags & ~1))


def _shared_header(port: Any) -> None:
    """A header that shares its descriptor is an error."""

    def take(method: Callable[..., None], queue: int, request: Any) -> None:
        if request.chain.readable[0][1] == 16:
            method(queue, request)
        else:
            request.finish(b"", b"\1")

    around(port.model, "take", take)


def _odd(request: Any) -> bool:
    return request.room % SECTOR_BYTES != 1


def _no_change(port: Any) -> None:
    port.model.change = nothing


_LEGACY = Way.LEGACY

DISK_FAULTS = [
    Fault("no flush", "flush_is_offered", "blk-01.01", without(_F.FLUSH, _F.CONFIG_WCE)),
    Fault(
        "zones for a legacy driver",
        "legacy_disk_has_no_zones",
        "blk-01.06",
        lambda port: setattr(port.model, "features", port.model.features | 1 << _F.ZONED),
        _LEGACY,
    ),
    Fault("a silent change of capacity", "capacity_change_is_notified", "blk-02.02", _no_change),
    Fault(
        "a write to a read-only disk",
        "writes_to_read_only_disk",
        "blk-02.03",
        _both(_read_only, _renamed(_T.OUT, _S.OK)),
    ),
    Fault(
        "a read-only disk that is written",
        "writes_to_read_only_disk",
        "blk-02.04",
        _both(_read_only, answers(_refused_write)),
    ),
    Fault("a flush that does nothing", "flushed_writes_are_stable", "blk-02.13", _forgets),
    Fault("a cache without flush", "writes_are_stable_without_flush", "blk-02.13", _forgets),
    Fault(
        "lost writes",
        "writes_without_flush_at_all",
        "core-10.02",
        _both(without(_F.FLUSH), lambda port: setattr(port.disk, "write", nothing)),
    ),
    Fault("a header of its own", "writes_in_any_cut", "core-06.01", _shared_header),
    Fault(
        "a name that is no text",
        "name_of_disk",
        "core-10.02",
        lambda port: setattr(port.model, "serial", "a\1"),
    ),
    Fault("unknown requests have no status", "requests_that_there_are_not", "core-10.02", answers(_silent)),
    Fault("a disk without end", "reads_outside_the_disk", "core-10.02", answers(_endless)),
    Fault("a disk that is a ring", "writes_outside_the_disk", "core-10.02", answers(_wrapped)),
    Fault("long reads end early", "long_reads", "core-10.02", answers(_short_reads)),
    Fault("writes that are lost", "random_requests", "core-10.02", answers(_lost_writes)),
    Fault("odd requests are lost", "requests_of_odd_length", "core-01.02", drops(_odd)),
    Fault(
        "a wrong status for zones",
        "zone_requests_without_zones",
        "blk-02.18",
        _renamed(_T.ZONE_OPEN, _S.IOERR),
    ),
]
"""For a disk with what the device itself has."""

RANGE_FAULTS = [
    Fault("a cache that cannot be flushed", "flush_is_offered", "blk-01.02", without(_F.FLUSH)),
    Fault(
        "a cache in spite of no flush",
        "writethrough_without_flush",
        "blk-01.03",
        lambda port: setattr(port.model, "first_writeback", lambda: True),
    ),
    Fault("padding that is not zero", "padding_is_zero", "blk-01.04", _byte(0x21, 1)),
    Fault("a silent change of unmap", "change_of_unmap_is_notified", "blk-02.12", _no_change),
    Fault("a cache in spite of writethrough", "writethrough_writes_are_stable", "blk-02.13", _forgets),
    Fault(
        "a reserved lifetime",
        "lifetime",
        "blk-02.17",
        lambda port: setattr(port.model, "lifetime", (1, 12, 0)),
    ),
    Fault("no lifetime", "lifetime", "blk-02.16", _renamed(_T.GET_LIFETIME, _S.UNSUPP)),
    Fault("any flags of discards", "discard_with_unknown_flags", "blk-02.05", _any_flags),
    Fault("any flags of zeroes", "write_zeroes_with_unknown_flags", "blk-02.05", _any_flags),
    Fault("any flags of erasures", "secure_erase_with_unknown_flags", "blk-02.05", _any_flags),
    Fault("a discard with unmap", "discard_with_unmap", "blk-02.06", _any_unmap),
    Fault("a wide discard", "discard", "blk-02.07", _too_wide),
    Fault("zeroes that are not written", "write_zeroes", "blk-02.09", _untouched),
    Fault("an erasure that does nothing", "secure_erase", "core-10.02", _untouched),
]
"""For a disk with more requests."""
