"""The tables of the legacy interface: where a driver of 0.9.5 finds what it looks for."""

import pytest

from ringwalker.spec.ids import DeviceType
from ringwalker.spec.legacy import (
    LEGACY,
    LEGACY_MSIX,
    legacy_device_config_offset,
    legacy_device_offset,
    legacy_driver_offset,
    legacy_queue_bytes,
    transitional_device_id,
)


def test_the_header_is_that_of_the_specification():
    # Ref: virtio 1.4, 4.1.4.10: bits, and R or R+W, in order.
    rows = [(row.offset, row.width) for row in (*LEGACY, *LEGACY_MSIX)]
    assert rows == [
        (0, 32),
        (4, 32),
        (8, 32),
        (12, 16),
        (14, 16),
        (16, 16),
        (18, 8),
        (19, 8),
        (20, 16),
        (22, 16),
    ]
    assert (legacy_device_config_offset(False), legacy_device_config_offset(True)) == (20, 24)


def vring_size(size: int) -> int:
    """As Linux has it since 2.6.24: vring_size(num, 4096)."""
    return ((16 * size + 2 * (3 + size) + 4095) & ~4095) + 2 * 3 + 8 * size


@pytest.mark.parametrize("size", [1 << n for n in range(1, 16)])
def test_a_queue_is_laid_out_as_the_drivers_do(size):
    assert legacy_driver_offset(size) == 16 * size
    assert legacy_device_offset(size) == vring_size(size) - 6 - 8 * size
    assert legacy_device_offset(size) % 4096 == 0
    assert legacy_queue_bytes(size) == -(-vring_size(size) // 4096) * 4096


def test_a_queue_of_256_entries_has_three_pages():
    assert (legacy_device_offset(256), legacy_queue_bytes(256)) == (8192, 12288)


def test_the_ids_are_those_that_drivers_match():
    assert [transitional_device_id(kind) for kind in DeviceType] == [0x1000, 0x1001, 0x1003, 0x1005]
    assert transitional_device_id(0x40) is None
