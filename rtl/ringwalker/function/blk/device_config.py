"""What is special about the device configuration of the block device: features and values."""

from ...config import DeviceConfig
from ...spec.blk import BLK_CONFIG, BlkFeature
from ..device_config import DeviceConfigFace

__all__ = ["blk_config_face", "blk_features"]

_OTHER_SEGMENTS = 2
"""Descriptors of a request that are not data: header and status."""


def blk_features(config: DeviceConfig) -> int:
    """The feature bits that the block function offers, as a mask; RO only with ``read_only`` up."""
    offered = [BlkFeature.RO, BlkFeature.SEG_MAX, BlkFeature.BLK_SIZE, BlkFeature.FLUSH]
    if config.queues > 1:
        offered.append(BlkFeature.MQ)
    return sum(1 << bit for bit in offered)


def blk_config_face(config: DeviceConfig) -> DeviceConfigFace:
    """The registers of ``BLK_CONFIG``; ``capacity`` (sectors) comes from outside.

    What is not offered reads as 0. Ref: virtio 1.4, 5.2.4 and 5.2.5.2.
    """
    values = {
        "capacity": config.settings.capacity,
        "seg_max": max(config.queue_size - _OTHER_SEGMENTS, 1),
        "blk_size": config.settings.block_size,
        "num_queues": config.queues if config.queues > 1 else 0,
    }
    return DeviceConfigFace(BLK_CONFIG, values=values, inputs=["capacity"])
