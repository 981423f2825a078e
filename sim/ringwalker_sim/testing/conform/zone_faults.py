"""Faults of disks with zones, for one in Python: a check finds each."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ringwalker.spec.blk import (
    SECTOR_BYTES,
    BlkRequestType,
    BlkStatus,
    BlkZoneModel,
    BlkZoneState,
    BlkZoneType,
)

from .disk_faults import answers
from .fault import Fault, around

__all__ = ["ZONE_FAULTS"]

_T, _S = BlkRequestType, BlkStatus


def _fields(**values: int) -> Callable[[Any], None]:
    """Fields of the configuration with other values, whatever they do."""

    def patch(port: Any) -> None:
        table = port.model.table

        def content(method: Callable[[], bytes]) -> bytes:
            whole = bytearray(method())
            for name, value in values.items():
                row = table[name]
                whole[row.offset : row.offset + row.size] = value.to_bytes(row.size, "little")
            return bytes(whole)

        around(port.model, "config_bytes", content)

    return patch


def _types(kind: BlkZoneType) -> Callable[[Any], None]:
    def patch(port: Any) -> None:
        for zone in port.model.zones:
            zone.type = kind

    return patch


def _method(name: str, wrapper: Callable[..., Any]) -> Callable[[Any], None]:
    return lambda port: around(port.model, name, wrapper)


def _status(kind: BlkRequestType, found: BlkStatus, other: BlkStatus) -> Callable[[Any], None]:
    """A request of a kind that would end with ``found`` ends with ``other``."""

    def change(_model: Any, answer: Any, asked: int, *rest: Any) -> Any:
        content, status = answer(asked, *rest)
        return content, other if asked == kind and status == found else status

    return answers(change)


def _keeps(port: Any) -> None:
    """A zone keeps its content when it is reset."""

    def reset(zone: Any) -> int:
        zone.state, zone.pointer = BlkZoneState.EMPTY, zone.start
        return _S.OK

    port.model.reset_zone = reset


def _random_fill(model: Any, answer: Any, kind: int, sector: int, data: Any, room: int) -> Any:
    """Unwritten sectors are read with what has never been there."""
    content, status = answer(kind, sector, data, room)
    zone = model.zones[min(sector // 32, len(model.zones) - 1)]
    if kind == _T.IN and status == _S.OK and zone.sequential and sector >= zone.pointer:
        content = (np.arange(room) // 3).astype(np.uint8)
    return content, status


def _shifted(port: Any) -> None:
    port.model.zones[3].start += 1


def _erases_less(port: Any) -> None:
    port.model.clear = lambda _kind, _pieces: _S.OK


def _any_part(port: Any) -> None:
    port.model.ranges = lambda kind, ranges: port.model.clear(kind, [(int(ranges[0]["sector"]), 32)])


def _accepts(port: Any) -> None:
    """It works without ZONED, though it says that it is host-managed."""
    write = type(port.model).__mro__[1].write_status
    port.model.write_status = lambda value: write(port.model, value)


def _needs_zoned(port: Any) -> None:
    """It does not work without ZONED, though it says that it is host-aware."""
    _fields(model=BlkZoneModel.HOST_AWARE)(port)


def _no_limit(port: Any) -> None:
    port.model.resources = lambda _zone: _S.OK


def _lower_limit(port: Any) -> None:
    open_zone = port.model.open
    opened: list[Any] = []

    def opens(zone: Any) -> int:
        opened.append(zone)
        return open_zone(zone) if len(opened) < 2 else _S.ZONE_OPEN_RESOURCE

    port.model.open = opens


def _few_active(port: Any) -> None:
    def resources(method: Callable[[Any], int], zone: Any) -> int:
        started = sum(each.pointer > each.start for each in port.model.zones if each.sequential)
        return _ACTIVE if started > 2 else method(zone)

    around(port.model, "resources", resources)


def _short_append(method: Callable[..., Any], zone: Any, sector: int, data: Any) -> Any:
    if len(data) > 4 * SECTOR_BYTES:
        return np.empty(0, np.uint8), _S.ZONE_INVALID_CMD
    return method(zone, sector, data)


def _secret_append(port: Any) -> None:
    """Appends are known, and the configuration says that they are not."""
    _fields(max_append_sectors=0)(port)
    port.model.append = lambda zone, _sector, data: (
        np.zeros(8, np.uint8),
        port.model.write(zone, zone.pointer, data),
    )


def _coarse(port: Any) -> None:
    """Writes have to be longer than the configuration says."""
    _fields(write_granularity=SECTOR_BYTES)(port)
    around(
        port.model,
        "aligned",
        lambda method, zone, at, length: method(zone, at, length) and length > SECTOR_BYTES,
    )


_AWARE, _CONV = BlkZoneModel.HOST_AWARE, BlkZoneType.CONV
_ACTIVE = _S.ZONE_ACTIVE_RESOURCE

ZONE_FAULTS = [
    Fault("a model that there is not", "zone_model", "blk-01.09", _fields(model=7)),
    Fault("zones of another model", "zone_model", "blk-01.09", _fields(model=_AWARE)),
    Fault("no sequential zone", "zone_model", "blk-01.05", _types(_CONV)),
    Fault("zones of another size", "zones_have_one_size", "blk-01.10", _fields(zone_sectors=16)),
    Fault("a zone elsewhere", "zones_have_one_size", "blk-01.10", _shifted),
    Fault("padding behind the model", "zones_have_one_size", "blk-01.18", _fields(unused2=1)),
    Fault("a host-managed disk without zones", "zones_not_accepted", "blk-01.08", _accepts),
    Fault("a host-aware disk that needs zones", "zones_not_accepted", "blk-01.07", _needs_zoned),
    Fault("fewer open zones", "most_open_zones", "blk-01.12", _lower_limit),
    Fault("no limit of open zones", "most_open_zones", "blk-02.21", _no_limit),
    Fault("fewer active zones", "most_active_zones", "blk-01.13", _few_active),
    Fault("another error of writes", "most_active_zones", "blk-02.25", _status(_T.OUT, _ACTIVE, _S.IOERR)),
    Fault("no limit of writes", "zones_opened_by_writes", "blk-02.25", _no_limit),
    Fault("a shorter append", "appends_to_a_zone", "blk-01.14", _method("append", _short_append)),
    Fault("a longer append than a request", "appends_to_a_zone", "blk-01.15", _fields(size_max=8, seg_max=8)),
    Fault("appends that are not there", "appends_to_a_zone", "blk-01.16", _secret_append),
    Fault(
        "an append elsewhere",
        "appends_to_a_zone",
        "blk-02.26",
        _method("said", lambda method, sector: method(sector + 1)),
    ),
    Fault(
        "a conventional zone that is reset",
        "requests_about_conventional_zones",
        "blk-02.19",
        _status(_T.ZONE_RESET, _S.ZONE_INVALID_CMD, _S.OK),
    ),
    Fault(
        "a full zone that is opened",
        "states_of_a_zone",
        "blk-02.20",
        _status(_T.ZONE_OPEN, _S.ZONE_INVALID_CMD, _S.OK),
    ),
    Fault(
        "an empty zone that is closed",
        "states_of_a_zone",
        "blk-02.22",
        _status(_T.ZONE_CLOSE, _S.ZONE_INVALID_CMD, _S.OK),
    ),
    Fault(
        "an offline zone that is finished",
        "requests_about_offline_zones",
        "blk-02.23",
        _status(_T.ZONE_FINISH, _S.ZONE_INVALID_CMD, _S.OK),
    ),
    Fault(
        "an offline zone that is reset",
        "requests_about_offline_zones",
        "blk-02.24",
        _status(_T.ZONE_RESET, _S.ZONE_INVALID_CMD, _S.OK),
    ),
    Fault(
        "writes anywhere",
        "writes_at_the_write_pointer",
        "blk-01.17",
        _method("aligned", lambda _method, *_arguments: True),
    ),
    Fault(
        "another granularity",
        "writes_at_the_write_pointer",
        "blk-01.17",
        _coarse,
    ),
    Fault("old content of a zone", "unwritten_data_of_a_zone", "blk-02.28", _keeps),
    Fault("unwritten data without a pattern", "unwritten_data_of_a_zone", "blk-02.29", answers(_random_fill)),
    Fault(
        "an erasure across zones",
        "secure_erase_of_zones",
        "blk-02.30",
        _fields(secure_erase_sector_alignment=8),
    ),
    Fault("a part of a zone is erased", "secure_erase_of_zones", "blk-02.31", _any_part),
    Fault("a zone that is not erased", "secure_erase_of_zones", "blk-02.32", _erases_less),
]
"""For each check of zones at least one."""
