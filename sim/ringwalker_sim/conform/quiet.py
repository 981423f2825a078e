"""Whether a device leaves memory and the driver alone."""

from .rings.queues import Queue
from .subject import Subject

__all__ = ["grace", "image"]


async def grace(subject: Subject) -> None:
    """Let messages arrive that were sent before the last access: a port in real time may be late."""
    if subject.port.clock_mhz == 1:
        await subject.settle()


def image(subject: Subject, queue: Queue) -> list[bytes]:
    """What the rings of a queue and all buffers of the check hold."""
    return [area.array.tobytes() for area in (*queue.areas, *subject.buffers)]
