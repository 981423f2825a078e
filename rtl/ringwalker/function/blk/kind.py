"""What the block function is."""

from ...spec import blk
from ...spec.blk import BLK_CONFIG, BlkFeature
from ...spec.fields import BlkField, FieldFlag, FieldView
from ...spec.ids import CLASS_CODES, DeviceType
from ...spec.modern import COMMON, COMMON_BASE
from ...streams import MOST_QUEUES
from ..kind import FunctionKind
from .device_config import blk_features
from .function import BlkFunction, blk_lanes, blk_ports
from .settings import BlkSettings

__all__ = ["KIND"]

KIND = FunctionKind(
    name="blk",
    device_type=DeviceType.BLK,
    class_code=CLASS_CODES[DeviceType.BLK],
    component=BlkFunction,
    queue_choices=range(1, MOST_QUEUES + 1),
    lanes=blk_lanes,
    forgets=True,
    ports=blk_ports,
    features=blk_features,
    feature_bits=BlkFeature,
    settings=BlkSettings,
    device_config=BLK_CONFIG,
    fields=(
        FieldView(BlkField.CAPACITY, (BLK_CONFIG.capacity,), FieldFlag.VOLATILE),
        FieldView(BlkField.SEGMENTS, (BLK_CONFIG.seg_max,)),
        FieldView(BlkField.BLOCK_SIZE, (BLK_CONFIG.blk_size,)),
        # The device configuration has the number only if there are several.
        FieldView(BlkField.QUEUES, (COMMON.num_queues,), base=COMMON_BASE),
    ),
    spec=blk,
    simulation="ringwalker_sim.function.blk:SIMULATION",
)
"""A disk. The class code is that of SCSI storage."""
