"""Faults of MSI-X, of INTx and of the ISR status, for the model in Python."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.modern import COMMON, ISR, ISR_BASE, NO_VECTOR
from ringwalker.spec.pci import (
    HEADER,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    MSIX_TABLE_ENTRY,
    Command,
    MsixControl,
    Status,
)

from .fault import Fault, around
from .register_faults import common_writes
from .register_tap import CONFIG, tap_of

__all__ = ["INTERRUPT_FAULTS"]


def _isr(change: Callable[[int], int]) -> Callable[[Any], None]:
    return lambda port: tap_of(port).reads(ISR, "isr_status", change, ISR_BASE)


def _isr_is_kept(port: Any) -> None:
    seen = [0]

    def read(value: int) -> int:
        seen[0] |= value
        return seen[0]

    _isr(read)(port)


def _interrupt_status_stays(port: Any) -> None:
    """Interrupt Status goes by a read of the ISR status only."""
    up = [0]

    def handler(method: Callable[..., None], callback: Callable[[], None]) -> None:
        def asserted() -> None:
            up[0] = int(Status.INTERRUPT_STATUS)
            callback()

        method(asserted)

    def isr(value: int) -> int:
        up[0] = 0
        return value

    around(port, "intx_handler", handler)
    tap_of(port).reads(HEADER, "status", lambda value: value | up[0])
    _isr(isr)(port)


def _intx_with_msix(port: Any) -> None:
    handlers: list[Callable[[], None]] = []

    def handler(method: Callable[..., None], callback: Callable[[], None]) -> None:
        handlers.append(callback)
        method(callback)

    def doorbell(value: int, _size: int) -> int:
        for callback in handlers:
            port.schedule(50, callback)
        return value

    around(port, "intx_handler", handler)
    tap_of(port).doorbells(doorbell)


def _no_mask(port: Any) -> None:
    control = MSIX_TABLE_ENTRY.vector_control.offset

    def write(value: int, _size: int) -> int:
        return value & ~1

    for vector in range(port.config.vectors):
        tap_of(port).write(1, vector * MSIX_ENTRY_BYTES + control, 4, write)


def _vector_survives(port: Any) -> None:
    tap = tap_of(port)
    tap.shown(COMMON, "config_msix_vector", lambda value: value)


def _vector_is_shown(name: str, wrong: int, instead: int | None) -> Callable[[Any], None]:
    """A vector ``wrong`` reads as it was written; the device takes ``instead``."""
    return lambda port: tap_of(port).shown(COMMON, name, lambda value: instead if value == wrong else value)


INTERRUPT_FAULTS = (
    Fault(
        "one vector",
        "the_table_has_a_sensible_size",
        "pci-11.01",
        lambda port: tap_of(port).read(
            CONFIG,
            port.space.layout.places["msix"] + MSIX_CAPABILITY.control.offset,
            2,
            lambda value, _size: value & ~int(MsixControl.TABLE_SIZE),
        ),
    ),
    Fault(
        "configuration changes take vector 0 only",
        "any_event_takes_any_vector",
        "pci-11.04",
        common_writes("config_msix_vector", lambda _tap, value: NO_VECTOR if value else value),
    ),
    Fault(
        "a vector that is not there is shown",
        "vectors_that_are_not_there_cannot_be_had",
        "pci-11.09",
        _vector_is_shown("config_msix_vector", 0x800, None),
    ),
    Fault("vectors survive a reset", "a_reset_unmaps_all_events", "pci-11.07", _vector_survives),
    Fault(
        "a queue without a vector sends its message",
        "a_queue_uses_the_vector_it_has",
        "pci-12.01",
        _vector_is_shown("queue_msix_vector", NO_VECTOR, None),
    ),
    Fault("masks have no effect", "a_masked_vector_waits", "pci-01.01", _no_mask),
    Fault(
        "a queue cannot share vector 0",
        "events_can_share_a_vector",
        "core-09.03",
        _vector_is_shown("queue_msix_vector", 0, NO_VECTOR),
    ),
    Fault(
        "changes without a vector are sent",
        "changes_are_notified_of_by_msix",
        "pci-13.01",
        _vector_is_shown("config_msix_vector", NO_VECTOR, None),
    ),
    Fault(
        "the ISR status hides changes",
        "changes_are_notified_of_by_intx",
        "pci-07.02",
        _isr(lambda value: value & 1),
    ),
    Fault("the ISR status is not cleared", "a_used_buffer_asserts_intx", "pci-07.05", _isr_is_kept),
    Fault(
        "INTx Disable has no effect",
        "intx_can_be_disabled",
        "pci-01.01",
        lambda port: tap_of(port).writes(HEADER, "command", lambda value: value & ~int(Command.INTX_DISABLE)),
    ),
    Fault(
        "a reset leaves the interrupt",
        "a_reset_takes_the_interrupt_back",
        "core-03.02",
        _interrupt_status_stays,
    ),
    Fault("INTx beside MSI-X", "no_intx_with_msix", "pci-01.01", _intx_with_msix),
)
