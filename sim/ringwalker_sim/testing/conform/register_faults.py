"""Faults of registers, status, features and configuration, for the model in Python: a check finds each."""

from collections.abc import Callable
from typing import Any

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, DEVICE_BASE, FACE_BAR, DeviceStatus
from ringwalker.spec.net import NetFeature

from .fault import Fault, around
from .register_tap import Tap, tap_of

__all__ = [
    "CONFIG_FAULTS",
    "FEATURE_FAULTS",
    "NET_FAULTS",
    "QUEUE_FAULTS",
    "STATUS_FAULTS",
    "common_reads",
    "common_writes",
    "writes_after",
]

_READY = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK
_OK = int(DeviceStatus.FEATURES_OK)


def common_reads(name: str, change: Callable[[Tap, int], int]) -> Callable[[Any], None]:
    """A register of the common configuration reads wrongly."""

    def patch(port: Any) -> None:
        tap = tap_of(port)
        tap.writes(COMMON, name, lambda value: value)
        tap.reads(COMMON, name, lambda value: change(tap, value))

    return patch


def common_writes(name: str, change: Callable[[Tap, int], int | None]) -> Callable[[Any], None]:
    """A register of the common configuration takes something else."""

    def patch(port: Any) -> None:
        tap = tap_of(port)
        tap.writes(COMMON, name, lambda value: change(tap, value))

    return patch


def _offers(*features: int) -> Callable[[Any], None]:
    def patch(port: Any) -> None:
        for feature in features:
            port.model.features |= 1 << feature

    return patch


def _offers_not(feature: int) -> Callable[[Any], None]:
    def patch(port: Any) -> None:
        port.model.features &= ~(1 << feature)

    return patch


# --- status ------------------------------------------------------------------------------------------------


def _stays_up(port: Any) -> None:
    tap, seen = tap_of(port), [0]

    def read(value: int) -> int:
        seen[0] |= value
        return value | (1 if seen[0] & _OK else 0)

    tap.reads(COMMON, "device_status", read)


def _accepts_once(port: Any) -> None:
    tap, count = tap_of(port), [0]

    def write(value: int) -> int:
        count[0] += value == _READY
        # Before the check, they are accepted once to see whether the device has split rings.
        return value & ~_OK if count[0] > 2 else value

    tap.writes(COMMON, "device_status", write)


def writes_after(register: str, value: int, cycles: int) -> Callable[[Any], None]:
    """Some time after a register is written, the device writes into the last ring."""

    def patch(port: Any) -> None:
        tap = tap_of(port)
        tap.writes(COMMON, "queue_device", lambda low: low)

        def late() -> None:
            port.memory.view(tap.last["queue_device"], 4)[:] ^= 0xFF

        def write(written: int) -> int:
            if written == value and "queue_device" in tap.last:
                port.schedule(cycles, late)
            return written

        # The register of 64 bits is written low half first.
        tap.writes(COMMON, register, write)

    return patch


STATUS_FAULTS = (
    Fault("a reset does not end", "reset_clears_status", "pci-05.07", _stays_up),
    Fault(
        "FAILED is not kept",
        "status_shows_the_steps",
        "core-03.01",
        common_reads("device_status", lambda _tap, value: value & ~DeviceStatus.FAILED),
    ),
    Fault(
        "works with FEATURES_OK",
        "nothing_is_used_before_driver_ok",
        "core-01.01",
        common_writes(
            "device_status",
            lambda _tap, value: value | DeviceStatus.DRIVER_OK if value == _READY else value,
        ),
    ),
    Fault(
        "the same features are refused the second time",
        "features_are_accepted_again_after_work",
        "core-02.05",
        _accepts_once,
    ),
    Fault(
        "memory is written after a reset",
        "a_device_that_was_reset_is_quiet",
        "core-03.02",
        writes_after("device_status", 0, 500),
    ),
)


# --- features ----------------------------------------------------------------------------------------------


def _second_word_repeats(tap: Tap, value: int) -> int:
    return value | 1 if tap.last.get("device_feature_select", 0) >= 2 else value


def _device_feature(port: Any) -> None:
    tap = tap_of(port)
    tap.writes(COMMON, "device_feature_select", lambda value: value)
    tap.reads(COMMON, "device_feature", lambda value: _second_word_repeats(tap, value))


def _mirrors_and_accepts(port: Any) -> None:
    tap = tap_of(port)
    shown: dict[int, int] = {}
    tap.writes(COMMON, "driver_feature_select", lambda value: value)

    def write(value: int) -> int:
        word = tap.last.get("driver_feature_select", 0)
        shown[word] = value
        return value & port.model.features >> 32 * word if word < 2 else 0

    tap.writes(COMMON, "driver_feature", write)
    tap.reads(COMMON, "driver_feature", lambda value: shown.get(tap.last["driver_feature_select"], value))


def _insists_on(feature: int) -> Callable[[Any], None]:
    """FEATURES_OK is refused without a feature."""

    def patch(port: Any) -> None:
        def write(value: int) -> int:
            return value if port.model.driver_features >> feature & 1 else value & ~_OK

        tap_of(port).writes(COMMON, "device_status", write)

    return patch


def _deaf_without(feature: int) -> Callable[[Any], None]:
    """Without a feature that is offered the device accepts, and does not hear of buffers."""

    def patch(port: Any) -> None:
        port.model.features |= 1 << feature
        tap_of(port).doorbells(
            lambda value, _size: value if port.model.driver_features >> feature & 1 else None
        )

    return patch


FEATURE_FAULTS = (
    Fault("VERSION_1 is missing", "version_1_is_offered", "core-15.01", _offers_not(Feature.VERSION_1)),
    Fault("a reserved bit is offered", "no_unknown_feature_is_offered", "core-02.04", _offers(45)),
    Fault("words repeat", "device_features_follow_the_select", "pci-05.03", _device_feature),
    Fault(
        "an accepted bit is not shown",
        "driver_features_read_as_written",
        "pci-05.04",
        common_reads("driver_feature", lambda _tap, value: value & ~(1 << Feature.EVENT_IDX)),
    ),
    Fault(
        "what is not offered is accepted",
        "features_not_offered_are_refused",
        "core-02.03",
        _mirrors_and_accepts,
    ),
    Fault(
        "EVENT_IDX is required",
        "valid_features_are_accepted",
        "core-02.02",
        _insists_on(Feature.EVENT_IDX),
    ),
    Fault(
        "ORDER_PLATFORM is required in secret",
        "optional_transport_features_are_left_out",
        "core-15.06",
        _deaf_without(Feature.ORDER_PLATFORM),
    ),
    Fault(
        "SR_IOV without its capability",
        "sr_iov_goes_with_its_capability",
        "core-15.09",
        _offers(Feature.SR_IOV),
    ),
)

NET_FAULTS = (
    Fault(
        "CTRL_RX without CTRL_VQ",
        "offered_features_have_what_they_require",
        "core-02.01",
        _offers_not(NetFeature.CTRL_VQ),
    ),
    Fault(
        "no features after invalid ones",
        "invalid_features_are_refused_or_ignored",
        "core-02.02",
        _accepts_once,
    ),
)


# --- queues ------------------------------------------------------------------------------------------------


def _sticky(tap: Tap, value: int) -> int:
    return value | tap.last.get("queue_enable", 0)


def _upper_half_is_lost(port: Any) -> None:
    tap_of(port).read(FACE_BAR, COMMON.queue_desc.offset + 4, 4, lambda _value, _size: 0)


def _size_first(port: Any) -> None:
    """An address counts only after a size."""
    tap = tap_of(port)
    sized: set[int] = set()

    def size(value: int) -> int:
        sized.add(tap.select)
        return value

    def status(value: int) -> int:
        if not value:
            sized.clear()
        return value

    tap.writes(COMMON, "queue_size", size)
    tap.writes(COMMON, "device_status", status)
    tap.writes(COMMON, "queue_desc", lambda value: value if tap.select in sized else value ^ 0x10_0000)


QUEUE_FAULTS = (
    Fault(
        "a queue that is not there has a size",
        "queues_that_are_not_there_have_no_size",
        "pci-05.14",
        common_reads("queue_size", lambda _tap, value: value or 8),
    ),
    Fault(
        "24 entries",
        "sizes_of_split_queues_are_powers_of_two",
        "pci-05.15",
        common_reads("queue_size", lambda _tap, value: 24),
    ),
    Fault(
        "a reset leaves queues enabled",
        "a_reset_disables_queues",
        "pci-05.08",
        common_reads("queue_enable", _sticky),
    ),
    Fault(
        "the upper half of an address is lost",
        "address_halves_are_independent",
        "pci-03.01",
        _upper_half_is_lost,
    ),
    Fault(
        "vector 1 reads as 0",
        "registers_keep_what_is_written",
        "pci-11.06",
        common_reads("config_msix_vector", lambda _tap, value: 0 if value == 1 else value),
    ),
    Fault("the size has to come first", "queues_can_be_set_up_in_any_order", "core-10.01", _size_first),
    Fault(
        "FAILED forbids a reset",
        "a_reset_from_any_state_ends",
        "pci-05.07",
        lambda port: tap_of(port).writes(
            COMMON,
            "device_status",
            lambda value: None if not value and port.model.status & DeviceStatus.FAILED else value,
        ),
    ),
)


# --- device configuration ----------------------------------------------------------------------------------


def _hidden_until_accepted(port: Any) -> None:
    tap_of(port).read(FACE_BAR, DEVICE_BASE, 64, lambda value, _size: value if port.model.status & _OK else 0)


def _halves_depend(port: Any) -> None:
    """Reading the upper half of the capacity changes the lower one."""
    tap, odd = tap_of(port), [0]

    def upper(value: int, _size: int) -> int:
        odd[0] = 1
        return value

    tap.read(FACE_BAR, DEVICE_BASE, 4, lambda value, _size: value + odd[0])
    tap.read(FACE_BAR, DEVICE_BASE + 4, 4, upper)


def _reading_counts(port: Any) -> None:
    reads = [0]

    def read(value: int) -> int:
        reads[0] += 1
        return value + reads[0]

    tap_of(port).reads(COMMON, "config_generation", read)


def _frozen_unless(status: int) -> Callable[[Any], None]:
    """The generation is 0 while no bit of ``status`` is set."""
    return lambda port: tap_of(port).reads(
        COMMON, "config_generation", lambda value: value if port.model.status & status else 0
    )


def _counts_changes(port: Any) -> None:
    changes = [0]

    def changed(method: Callable[[], None]) -> None:
        changes[0] += 1
        method()

    around(port.model, "changed", changed)
    tap_of(port).reads(COMMON, "config_generation", lambda _value: changes[0])


CONFIG_FAULTS = (
    Fault(
        "configuration is hidden until features are accepted",
        "configuration_is_there_before_features",
        "core-04.01",
        _hidden_until_accepted,
    ),
    Fault("halves depend on each other", "wide_fields_read_by_halves", "pci-03.01", _halves_depend),
    Fault("reading counts as a change", "configuration_stays_as_it_is", "core-04.01", _reading_counts),
    Fault(
        "the generation never changes", "a_change_has_a_generation_of_its_own", "pci-05.06", _frozen_unless(0)
    ),
    Fault(
        "no generation before DRIVER_OK",
        "a_change_before_driver_ok_has_a_generation",
        "pci-05.06",
        _frozen_unless(DeviceStatus.DRIVER_OK),
    ),
    Fault("the generation wraps", "many_changes_do_not_hide_one_another", "pci-05.06", _counts_changes),
)
