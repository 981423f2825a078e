"""The probes of a device, which only C++ looks at, and what is recorded of a run."""

from typing import TYPE_CHECKING

from ...timeline.recording import MOST_EVENTS, Recording
from .peripheral import Peripheral

if TYPE_CHECKING:
    from .engine import NativeEngine

__all__ = ["ProbesPeripheral", "recording_of"]


class ProbesPeripheral(Peripheral):
    """Events of the stages of walkers go into the engine's timeline while that is recorded."""


def recording_of(engine: "NativeEngine") -> Recording:
    """What happens on ``engine`` from now on."""
    library, handle = engine.library, engine.handle()
    library.rw_timeline(handle, MOST_EVENTS)
    return Recording(
        lambda: engine.now,
        lambda: library.rw_timeline_size(handle),
        lambda block: library.rw_timeline_take(handle, block.ctypes.data),
        MOST_EVENTS,
    )
