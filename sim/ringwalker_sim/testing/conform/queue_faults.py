"""Faults of queues that are reset, of errors and of the legacy interface, for the model in Python."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import LEGACY, LEGACY_BAR, LEGACY_MSIX, legacy_device_config_offset
from ringwalker.spec.modern import COMMON, ISR, ISR_BASE, NO_VECTOR, DeviceStatus

from .fault import Fault, around
from .register_faults import common_reads, writes_after
from .register_tap import Tap, tap_of

__all__ = ["LEGACY_FAULTS", "LEGACY_NET_FAULTS", "QUEUE_NET_FAULTS", "RESET_FAULTS", "SUSPEND_FAULTS"]


# --- the reset of a queue ----------------------------------------------------------------------------------


def _keeps_its_state(port: Any) -> None:
    """A queue that is reset shows that it is disabled, and goes on where it was."""
    tap = tap_of(port)
    enabled: dict[int, int] = {}

    def reset(value: int) -> None:
        if value:
            enabled[tap.select] = 0

    def enable(value: int) -> int:
        enabled[tap.select] = value
        return value

    tap.writes(COMMON, "queue_reset", reset)
    tap.writes(COMMON, "queue_enable", enable)
    tap.reads(COMMON, "queue_enable", lambda value: enabled.get(tap.select, value))


def _resets_all(port: Any) -> None:
    tap = tap_of(port)

    def reset(value: int) -> int:
        if value:
            for index in range(len(port.rings.queues)):
                port.rings.reset_queue(index)
        return value

    tap.writes(COMMON, "queue_reset", reset)


RESET_FAULTS = (
    Fault(
        "queue_reset is 1 from the start",
        "queue_reset_reads_what_happens",
        "pci-05.09",
        common_reads("queue_reset", lambda tap, value: value if "queue_reset" in tap.last else 1),
    ),
    Fault(
        "a queue that was reset is written",
        "a_queue_that_was_reset_is_quiet",
        "core-05.01",
        writes_after("queue_reset", 1, 500),
    ),
    Fault(
        "a queue goes on where it was", "a_queue_begins_anew_after_its_reset", "core-05.02", _keeps_its_state
    ),
    Fault(
        "a queue that was reset at any time goes on",
        "resets_of_a_queue_at_any_time",
        "core-05.02",
        _keeps_its_state,
    ),
    Fault(
        "an error is not notified of",
        "an_error_is_notified_of",
        "core-01.03",
        lambda port: tap_of(port).shown(COMMON, "config_msix_vector", lambda _value: NO_VECTOR),
    ),
    Fault(
        "the ISR status hides an error",
        "an_error_is_notified_of_by_intx",
        "pci-07.02",
        lambda port: tap_of(port).reads(ISR, "isr_status", lambda value: value & 1, ISR_BASE),
    ),
    Fault(
        "DEVICE_NEEDS_RESET goes when FAILED is set",
        "a_failed_device_stays_so_until_its_reset",
        "core-01.02",
        common_reads(
            "device_status",
            lambda _tap, value: (
                value & ~(DeviceStatus.DEVICE_NEEDS_RESET if value & DeviceStatus.FAILED else 0)
            ),
        ),
    ),
)

QUEUE_NET_FAULTS = (
    Fault("a reset of one queue resets all", "other_queues_go_on", "core-05.01", _resets_all),
)


# --- suspension --------------------------------------------------------------------------------------------

_STARTED = 0xF
_SUSPEND = int(DeviceStatus.SUSPEND)


def _suspends_early(tap: Tap, value: int) -> int:
    """SUSPEND reads as it was written before DRIVER_OK."""
    return value if value & DeviceStatus.DRIVER_OK else value | tap.last.get("device_status", 0) & _SUSPEND


def _notifies_at_once(port: Any) -> None:
    """A change of the configuration is notified of although the device is suspended."""
    callbacks: list[Callable[[], None]] = []

    def target(method: Callable[..., Any], callback: Callable[[], None]) -> Any:
        callbacks.append(callback)
        return method(callback)

    def changed(method: Callable[[], None]) -> None:
        if port.model.status & _SUSPEND:
            # The first vector of those that were set up last.
            port.schedule(10, callbacks[-port.config.vectors])
        method()

    around(port, "msi_target", target)
    around(port.model, "changed", changed)


SUSPEND_FAULTS = (
    Fault(
        "a device that is not started is suspended",
        "suspend_counts_once_the_device_works",
        "more-01.01",
        common_reads("device_status", _suspends_early),
    ),
    Fault(
        "a suspended device writes memory",
        "a_suspended_device_is_quiet",
        "more-01.03",
        writes_after("device_status", _STARTED | _SUSPEND, 1_000),
    ),
    Fault(
        "a suspended device notifies of a change",
        "changes_wait_for_the_end_of_suspension",
        "more-01.04",
        _notifies_at_once,
    ),
)


# --- the legacy interface ----------------------------------------------------------------------------------


def _reads(name: str, change: Callable[[int], int]) -> Callable[[Any], None]:
    """A register of the header reads wrongly."""
    return lambda port: tap_of(port).reads(LEGACY, name, change)


def _words_are_swapped(port: Any) -> None:
    base = legacy_device_config_offset(False)
    tap_of(port).read(
        LEGACY_BAR, base, 64, lambda value, size: value >> 8 | value << 8 if size == 2 else value
    )


def _does_not_move(port: Any) -> None:
    """Device configuration begins where it does without MSI-X."""
    read, moved = port.legacy.read, legacy_device_config_offset(True)
    enabled = port.interrupts.msix_enabled
    distance = moved - legacy_device_config_offset(False)

    def instead(offset: int, size: int) -> int:
        return read(offset + distance if enabled() and offset >= moved else offset, size)

    port.legacy.read = instead


def _deaf_to_writes_until(status: int, table_start: int, length: int) -> Callable[[Any], None]:
    """Writes of a part of BAR 0 are lost until the status has one of some bits."""
    return lambda port: tap_of(port).write(
        LEGACY_BAR, table_start, length, lambda value, _size: value if port.model.status & status else None
    )


def _page_cannot_be_taken_back(port: Any) -> None:
    tap_of(port).writes(LEGACY, "queue_pfn", lambda value: value or None)


def _status_reads_the_isr(port: Any) -> None:
    def status(value: int) -> int:
        port.legacy.read(LEGACY.isr_status.offset, 1)
        return value

    _reads("device_status", status)(port)


def _modern_face_is_deaf_later(port: Any) -> None:
    """Once the legacy face was used, doorbells of the modern one are lost."""
    used = [False]

    def notify(value: int) -> int:
        used[0] = True
        return value

    tap_of(port).writes(LEGACY, "queue_notify", notify)
    tap_of(port).doorbells(lambda value, _size: None if used[0] else value)


def _a_status_of_its_own(port: Any) -> None:
    tap_of(port).shown(LEGACY, "device_status", lambda _value: None)


def _notifies_if_asked_only(port: Any) -> None:
    """NOTIFY_ON_EMPTY is offered and shown as accepted, and not kept to."""
    mask = ~(1 << Feature.NOTIFY_ON_EMPTY)
    tap_of(port).shown(LEGACY, "driver_features", lambda value: value & mask)


LEGACY_FAULTS = (
    Fault(
        "a queue that is not there has a legacy size",
        "the_header_has_its_registers",
        "legacy-04.01",
        _reads("queue_size", lambda value: value or 8),
    ),
    Fault(
        "accepted features read as 0",
        "the_header_takes_features",
        "legacy-04.01",
        _reads("driver_features", lambda _value: 0),
    ),
    Fault(
        "ANY_LAYOUT is missing",
        "any_layout_is_offered",
        "legacy-06.02",
        _reads("device_features", lambda value: value & ~(1 << Feature.ANY_LAYOUT)),
    ),
    Fault(
        "pages have 16 bits",
        "each_queue_has_its_page",
        "legacy-04.01",
        _reads("queue_pfn", lambda value: value & 0xFFFF),
    ),
    Fault(
        "words are swapped",
        "device_configuration_reads_by_every_width",
        "legacy-04.02",
        _words_are_swapped,
    ),
    Fault(
        "device configuration does not move",
        "device_configuration_moves_with_msix",
        "legacy-04.03",
        _does_not_move,
    ),
    Fault(
        "vectors of the header cannot be read",
        "vectors_are_behind_the_header",
        "pci-11.06",
        lambda port: tap_of(port).reads(LEGACY_MSIX, "queue_msix_vector", lambda _value: NO_VECTOR),
    ),
    Fault(
        "doorbells before DRIVER_OK are lost",
        "queues_work_before_driver_ok",
        "legacy-02.02",
        _deaf_to_writes_until(DeviceStatus.DRIVER_OK, LEGACY.queue_notify.offset, 2),
    ),
    Fault(
        "page 0 does not free a queue",
        "a_page_of_zero_frees_a_queue",
        "legacy-01.02",
        _page_cannot_be_taken_back,
    ),
    Fault(
        "NOTIFY_ON_EMPTY has no effect",
        "an_empty_queue_is_notified_of",
        "legacy-06.01",
        _notifies_if_asked_only,
    ),
    Fault(
        "the device status clears the ISR status",
        "other_registers_leave_the_isr_alone",
        "legacy-01.02",
        _status_reads_the_isr,
    ),
    Fault(
        "the legacy face leaves something behind",
        "one_face_after_the_other",
        "legacy-01.01",
        _modern_face_is_deaf_later,
    ),
    Fault(
        "the legacy face has its own status",
        "both_faces_show_one_device",
        "legacy-01.01",
        _a_status_of_its_own,
    ),
)

LEGACY_NET_FAULTS = (
    Fault(
        "device configuration cannot be written early",
        "configuration_is_written_before_features",
        "legacy-02.01",
        _deaf_to_writes_until(0xFF, legacy_device_config_offset(False), 64),
    ),
)
