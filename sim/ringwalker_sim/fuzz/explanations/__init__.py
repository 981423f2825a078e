"""The explanations of what does not toggle on the block device of :data:`~..target.COUNTED`.

They are about what this device is: 4 queues of 32 entries at most, a disk of 2^19 bytes, reads and writes of
512 bytes, 64 bits a beat.
"""

from ..explained import Explanation
from .depths import DEPTHS, STATES
from .lengths import LENGTHS, USED
from .link import LINK
from .queues import QUEUES, SEGMENTS
from .readers import READERS
from .registers import REGISTERS

__all__ = ["EXPLAINED"]

EXPLAINED: tuple[Explanation, ...] = (
    *LINK,
    *STATES,
    *DEPTHS,
    *QUEUES,
    *SEGMENTS,
    *USED,
    *LENGTHS,
    *READERS,
    *REGISTERS,
)
"""The first one that is about a point counts."""
