"""Which registers an access to the legacy header is made of.

Ref: virtio 1.4, 4.1.4.10, 4.1.5.1.3.1, 2.7.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Mux

from ..spec.legacy import (
    LEGACY,
    LEGACY_FEATURES,
    LEGACY_MSIX,
    LEGACY_QUEUE_SHIFT,
    legacy_device_offset,
    legacy_driver_offset,
)
from ..spec.modern import COMMON, COMMON_BASE, DEVICE_BASE, ISR_BASE, NOTIFY_BASE, NOTIFY_MULTIPLIER, PAGE

__all__ = ["HEADER_DWORDS", "MOST_STEPS", "LegacyStep", "claims", "device_config_steps", "header_steps"]

HEADER_DWORDS = LEGACY_MSIX.size // 4
"""Dwords of the header; without MSI-X the last is not there."""

MOST_STEPS = 10
"""Those of a write of ``queue_pfn``."""

_ALL, _LOW, _HIGH = 0b1111, 0b0011, 0b1100
_FEATURES, _DRIVER_FEATURES, _PFN, _SIZE, _NOTIFY, _VECTORS = range(HEADER_DWORDS)
_STATUS_LANE = LEGACY.device_status.offset % 4
_ISR_LANE = LEGACY.isr_status.offset % 4
_QUEUE_BITS = (PAGE // NOTIFY_MULTIPLIER - 1).bit_length()
"""Of the number of a queue whose doorbell is in the page; as many as of a dword's in one."""
_RESETS = 1 << 8 * (COMMON.queue_reset.offset % 4)


@dataclass(frozen=True)
class LegacyStep:
    """One access of the dword at ``register`` of the register BAR, unless ``strobe`` is 0.

    ``keep``: what of the dword that is read goes into the answer; None: it is a write of ``data``. ``again``:
    the mask of what is to be 0; until then the dword is read again, though not forever. ``saves``: a later
    step writes it back.
    """

    register: Any
    strobe: Any
    data: Any = 0
    keep: Callable[[Any], Any] | None = None
    again: int = 0
    saves: bool = False


def _nothing(_dword: Any) -> Any:
    return 0


def _in_page(base: int, dword: Any) -> Any:
    """The place of a dword of the page at ``base``."""
    return base | (dword << 2)[: PAGE.bit_length() - 1]


def _whole(dword: Any) -> Any:
    return dword


def _place(name: str) -> int:
    """The dword of the register BAR with the register ``name`` of the common configuration."""
    return COMMON_BASE + (COMMON[name].offset & ~3)


def _selected(select: str, register: str, asked: Any, saved: Any, keep: Any) -> list[LegacyStep]:
    """Read or write the first half of the 64 bits behind ``register``; ``select`` is as before then."""
    return [
        LegacyStep(_place(select), _ALL, keep=_nothing, saves=True),
        LegacyStep(_place(select), _ALL, 0),
        LegacyStep(_place(register), asked.strobe, asked.data, keep),
        LegacyStep(_place(select), _ALL, saved),
    ]


def _set_queue(asked: Any, queue_size: int) -> list[LegacyStep]:
    """The queue begins at the page ``asked.data``, or is reset if that is 0."""
    whole, used = asked.strobe.all(), asked.data != 0
    sets, frees = (whole & used).replicate(4), (whole & ~used).replicate(4)
    steps = [LegacyStep(_place("queue_size"), sets & _LOW, queue_size)]
    offsets = {
        "queue_desc": 0,
        "queue_driver": legacy_driver_offset(queue_size),
        "queue_device": legacy_device_offset(queue_size),
    }
    for name, offset in offsets.items():
        pages, inside = divmod(offset, 1 << LEGACY_QUEUE_SHIFT)
        page = asked.data + pages if pages else asked.data
        address: Any = Cat(Const(inside, LEGACY_QUEUE_SHIFT), page)
        steps += [
            LegacyStep(_place(name), sets, address[:32]),
            LegacyStep(_place(name) + 4, sets, address[32:]),
        ]
    return [
        *steps,
        LegacyStep(_place("queue_enable"), sets & _LOW, 1),
        LegacyStep(_place("queue_reset"), frees & _HIGH, _RESETS),
        LegacyStep(_place("queue_reset"), frees & _HIGH, keep=_nothing, again=_RESETS),
    ]


def _queue_place() -> list[LegacyStep]:
    desc = _place("queue_desc")
    high = 32 - LEGACY_QUEUE_SHIFT
    return [
        LegacyStep(desc, _ALL, keep=lambda dword: dword[LEGACY_QUEUE_SHIFT:]),
        LegacyStep(desc + 4, _ALL, keep=lambda dword: dword[:LEGACY_QUEUE_SHIFT] << high),
    ]


def _notify_and_status(asked: Any) -> list[LegacyStep]:
    """The doorbell goes first; one of no queue finds nobody. After a status of 0 it is read until it is 0."""
    data = asked.data & Cat(bit.replicate(8) for bit in asked.strobe)
    # A number that is not inside the page names no queue, and must not become another.
    queue, rings = data[:_QUEUE_BITS], asked.strobe[:2].any() & ~data[_QUEUE_BITS:16].any()
    status = data.word_select(_STATUS_LANE, 8)
    writes, strobe = asked.strobe[_STATUS_LANE], 1 << COMMON.device_status.offset % 4
    resets = writes & (status == 0)
    place, mask = _place("device_status"), 0xFF << 8 * (COMMON.device_status.offset % 4)
    return [
        LegacyStep(_in_page(NOTIFY_BASE, queue), rings.replicate(4) & _LOW, queue),
        LegacyStep(place, Mux(writes, strobe, 0), status << 8 * (COMMON.device_status.offset % 4)),
        LegacyStep(place, Mux(resets, strobe, 0), keep=_nothing, again=mask),
    ]


def _status_and_isr(asked: Any) -> list[LegacyStep]:
    lane = COMMON.device_status.offset % 4

    def status(dword: Any) -> Any:
        return dword.word_select(lane, 8) << 8 * _STATUS_LANE

    return [
        LegacyStep(_place("device_status"), asked.strobe[_STATUS_LANE].replicate(4) & 1 << lane, keep=status),
        LegacyStep(ISR_BASE, asked.strobe[_ISR_LANE], keep=lambda dword: dword[:8] << 8 * _ISR_LANE),
    ]


def _halves(low: str, high: str, asked: Any, keep: Callable[[Any], Any] | None) -> list[LegacyStep]:
    """Two registers that stand in the same halves of their dwords as in the header."""
    steps = []
    for name, mask in ((low, _LOW), (high, _HIGH)):
        half = None if keep is None else lambda dword, mask=mask: keep(dword) & _bytes(mask)
        steps.append(LegacyStep(_place(name), asked.strobe & mask, asked.data, half))
    return steps


def _bytes(strobe: int) -> int:
    return sum(0xFF << 8 * n for n in range(4) if strobe >> n & 1)


def header_steps(place: int, write: bool, asked: Any, saved: Any, queue_size: int) -> list[LegacyStep]:
    """The steps of the access ``asked``, a RegisterRequest, of dword ``place`` of the header.

    ``saved``: the dword that was read by the latest step with ``saves``.
    """
    reads = None if write else _whole

    def features(dword: Any) -> Any:
        return dword | LEGACY_FEATURES

    def size(dword: Any) -> Any:
        # A queue that exists has the largest size: a legacy driver cannot choose.
        return Cat(Mux(dword[:16] == 0, 0, Const(queue_size, 16)), dword[16:])

    if place == _FEATURES:
        return [] if write else _selected("device_feature_select", "device_feature", asked, saved, features)
    if place == _DRIVER_FEATURES:
        return _selected("driver_feature_select", "driver_feature", asked, saved, reads)
    if place == _PFN:
        return _set_queue(asked, queue_size) if write else _queue_place()
    if place == _SIZE:
        steps = _halves("queue_size", "queue_select", asked, None if write else size)
        return steps[1:] if write else steps
    if place == _NOTIFY:
        return _notify_and_status(asked) if write else _status_and_isr(asked)
    assert place == _VECTORS
    return _halves("config_msix_vector", "queue_msix_vector", asked, reads)


def device_config_steps(dword: Any, write: bool, asked: Any) -> list[LegacyStep]:
    """The step of an access of a dword of the device configuration."""
    return [LegacyStep(_in_page(DEVICE_BASE, dword), asked.strobe, asked.data, None if write else _whole)]


def claims(place: Any, asked: Any) -> Any:
    """Whether the write ``asked`` of dword ``place`` of the header is one by which a driver begins."""
    status = asked.data.word_select(_STATUS_LANE, 8)
    return (
        ((place == _DRIVER_FEATURES) & asked.strobe.any())
        | ((place == _PFN) & asked.strobe.all() & (asked.data != 0))
        | ((place == _NOTIFY) & asked.strobe[_STATUS_LANE] & (status != 0))
    )
