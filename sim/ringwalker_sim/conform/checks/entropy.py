"""The entropy device. Ref: virtio 1.4, 5.4."""

from collections.abc import Sequence

from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import DeviceStatus

from ...memory import Buffer
from ..check import WAYS, Nonconformance, Way, check
from ..conditions import is_type
from ..stimulus import cut
from ..subject import Subject

__all__: list[str] = []

_NEEDS = [is_type(DeviceType.ENTROPY)]
_ENOUGH = 16
"""So many random bytes are never twice the same."""


async def _draw(subject: Subject, length: int, pieces: Sequence[int] = ()) -> bytes:
    """Have a buffer filled; the bytes that are said to be random."""
    buffer = subject.buffer(length, bytes(length))
    queue = subject.queues[0]
    queue.offer(cut(buffer, pieces, True))
    queue.publish()
    await subject.kick(queue)
    (used,) = await subject.used(queue, 1, "entropy-01.01")
    return _drawn(buffer, used.length)


def _drawn(buffer: Buffer, length: int) -> bytes:
    if not length:
        raise Nonconformance("entropy-01.01", f"a buffer of {buffer.length} bytes comes back without a byte")
    content = buffer.array[:length].tobytes()
    if length >= _ENOUGH and len(set(content)) == 1:
        raise Nonconformance("entropy-01.01", f"{length} random bytes are all {content[0]:#x}")
    return content


@check("entropy-01.01", "entropy-01.02", ways=WAYS, needs=_NEEDS)
async def buffers_of_all_lengths_are_filled(subject: Subject) -> None:
    """Offers buffers from 1 to 4096 bytes, one after the other; how many bytes come is the device's choice.

    Wrong: no byte comes, or bytes beside the buffer; or the same ones again.
    """
    await subject.start(interrupt="none")
    seen: set[bytes] = set()
    for length in (1, 2, 3, 7, 8, 15, 16, 31, 64, 255, 256, 1000, 4096, 64, 64, 64):
        content = await _draw(subject, length)
        if len(content) >= _ENOUGH:
            start = content[:_ENOUGH]
            if start in seen:
                raise Nonconformance("entropy-01.01", f"{start.hex()} comes twice")
            seen.add(start)
    subject.check_guards("entropy-01.01")


@check("entropy-01.01", "core-06.01", ways=WAYS, needs=_NEEDS)
async def buffers_in_pieces_are_filled_with_random_bytes(subject: Subject) -> None:
    """Offers buffers in several pieces, as small as a byte.

    Wrong: no byte comes, or bytes beside the pieces.
    """
    await subject.start(interrupt="none")
    for pieces in ((1,), (1, 1, 1), (16, 16), (3, 29, 5)):
        await _draw(subject, 64, pieces)
    subject.check_guards("entropy-01.01")


@check("entropy-01.01", ways=WAYS, needs=_NEEDS)
async def buffers_have_different_bytes(subject: Subject) -> None:
    """Offers some buffers at once.

    Wrong: two of them have the same bytes, or one has none.
    """
    await subject.start(interrupt="none")
    queue = subject.queues[0]
    buffers = {}
    for _ in range(min(8, queue.size)):
        buffer = subject.buffer(64, bytes(64))
        buffers[id(queue.offer(cut(buffer, (), True)))] = buffer
    queue.publish()
    await subject.kick(queue)
    seen: set[bytes] = set()
    for used in await subject.used(queue, len(buffers), "entropy-01.01"):
        content = _drawn(buffers[id(used.offer)], used.length)
        if len(content) >= _ENOUGH and content in seen:
            raise Nonconformance("entropy-01.01", f"{content[:_ENOUGH].hex()} comes twice")
        seen.add(content)


@check("core-07.01", "core-13.01", "entropy-01.01", ways=WAYS, needs=_NEEDS)
async def readable_buffer_does_no_harm(subject: Subject) -> None:
    """Offers a buffer that the device may only read, and then one that it may write. The device may need a
    reset after the first.

    Wrong: the first buffer is written, or no random byte comes for the second, with or without a reset.
    """
    await subject.start(interrupt="none")
    queue = subject.queues[0]
    clause = "core-13.01" if subject.way is Way.PACKED else "core-07.01"
    wrong = subject.buffer(32, bytes(range(32)))
    queue.offer(cut(wrong, (), False))
    queue.publish()
    await subject.kick(queue)
    await subject.settle()
    for used in queue.take():
        if used.length:
            raise Nonconformance(clause, f"{used.length} bytes are said to be in a buffer to be read")
    if wrong.array.tobytes() != bytes(range(32)):
        raise Nonconformance(clause, "a buffer that is only to be read was written")
    if queue.in_flight or await subject.status() & DeviceStatus.DEVICE_NEEDS_RESET:
        await subject.start(interrupt="none")
    await _draw(subject, 64)
