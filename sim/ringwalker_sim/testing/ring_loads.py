"""Loads that compare every byte, one for each function, for any ring format and kind of notification."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType

from ..engine.noise import NoiseSource
from ..guest.port import Port
from ..guest.ring_queue import RingVirtqueue
from ..guest.virtqueue import Virtqueue

__all__ = ["LOADS", "RNG_BUFFER_BYTES", "cut_buffers", "pause_interrupts"]

RNG_BUFFER_BYTES = 16
"""Bytes of a buffer of the entropy driver, so that many buffers are used."""

_PAUSE_CYCLES = 300
_IN_FLIGHT = 20
"""Frames in flight: fewer than the receive buffers of two pieces in a ring of 64."""

_POLL_CYCLES = 50
_PATIENCE_CYCLES = 2_000_000
_BLK_IN_FLIGHT = 5


def cut_buffers(vq: RingVirtqueue) -> None:
    """From now on each piece of two bytes or more that is added becomes two pieces, so that no buffer is a
    single descriptor.
    """
    add_buf = vq.add_buf

    def add(sg: Any, out_num: int, in_num: int, data: Any) -> int:
        pieces: list[tuple[int, int]] = []
        counts = [0, 0]
        for number, (address, length) in enumerate(sg):
            half = length // 3 or length // 2
            parts = [(address, half), (address + half, length - half)] if half else [(address, length)]
            counts[number >= out_num] += len(parts)
            pieces += parts
        assert len(sg) == out_num + in_num
        return add_buf(pieces, counts[0], counts[1], data)

    vq.add_buf = add


def pause_interrupts(port: Port, vq: Virtqueue) -> None:
    """From now on the queue's callback suppresses notifications every second time, for a while."""
    inner = vq.callback
    assert inner is not None
    calls = 0

    async def resume() -> None:
        await port.sleep(_PAUSE_CYCLES)
        while not vq.broken and not vq.restart():
            inner(vq)

    def callback(queue: Virtqueue) -> bool:
        nonlocal calls
        inner(queue)
        calls += 1
        if calls % 2:
            return True
        port.start(resume())
        return False

    vq.callback = callback


async def _until(port: Port, condition: Callable[[], bool], what: str) -> None:
    end = port.now() + _PATIENCE_CYCLES
    while not condition():
        assert port.now() < end, what
        await port.sleep(_POLL_CYCLES)


async def _disk(port: Any, opened: Any, count: int, chance: random.Random, outside: Any) -> None:
    """``count`` requests of a sector, reads and writes, over all queues; each queue has sectors of its own.

    ``outside`` is what the disk holds, as an array of bytes.
    """
    disk = opened.driven
    shadow = outside.copy().reshape(-1, SECTOR_BYTES)
    share = len(shadow) // disk.queues
    buffers = port.memory.allocate(disk.queues * share * SECTOR_BYTES, SECTOR_BYTES)
    rows = buffers.array.reshape(-1, SECTOR_BYTES)
    busy: set[int] = set()
    in_flight = [0] * disk.queues
    wrong: list[str] = []
    submitted = done = 0

    def ended(request: Any) -> None:
        nonlocal done
        done += 1
        sector = request.sector
        busy.discard(sector)
        in_flight[sector // share] -= 1
        if request.error is not None:
            wrong.append(str(request.error))
        elif not np.array_equal(rows[sector], shadow[sector]):
            wrong.append(f"{request.name} has other bytes")

    while done < count:
        for queue in range(disk.queues):
            added = 0
            for _ in range(chance.randint(0, _BLK_IN_FLIGHT)):
                sector = queue * share + chance.randrange(share)
                if submitted == count or sector in busy or in_flight[queue] >= _BLK_IN_FLIGHT:
                    continue
                writes = chance.random() < 0.5
                kind = BlkRequestType.OUT if writes else BlkRequestType.IN
                rows[sector] = np.frombuffer(chance.randbytes(SECTOR_BYTES), np.uint8) if writes else 0
                if writes:
                    shadow[sector] = rows[sector]
                sg = [(buffers.address + sector * SECTOR_BYTES, SECTOR_BYTES)]
                assert disk.submit(kind, sector, sg, ended, queue=queue) is not None
                busy.add(sector)
                in_flight[queue] += 1
                submitted += 1
                added += 1
            if added:
                await disk.kick(queue)
        before = done
        await _until(port, lambda before=before: done > before or not busy, f"{len(busy)} requests are lost")
        assert wrong == []
    assert np.array_equal(outside, shadow.ravel())
    buffers.free()


async def _frames(port: Any, opened: Any, count: int, chance: random.Random, _outside: Any) -> None:
    """``count`` frames out and back."""
    net = opened.driven
    expected: list[bytes] = []
    received = 0

    def take(frame: bytes) -> None:
        nonlocal received
        assert frame == expected[received], f"frame {received}"
        received += 1

    net.on_frame = take
    for number in range(count):
        frame = net.mac + net.mac + chance.randbytes(chance.randint(48, 180))
        expected.append(frame)
        await net.send(frame)
        await _until(
            port,
            lambda number=number: number - min(received, net.sent) < _IN_FLIGHT,
            f"{received} of {number} frames came back, {net.sent} were sent",
        )
    await net.drain()
    await _until(port, lambda: received == count, f"{received} of {count} frames came back")


async def _text(port: Any, opened: Any, count: int, chance: random.Random, _outside: Any) -> None:
    """``count`` buffers of bytes, at least, out and back."""
    console, got, sent = opened.driven, bytearray(), 0
    console.on_bytes = got.extend
    while sent < count:
        content = chance.randbytes(chance.choice((1, 2, 5, 64, 300)))
        sent += -(-len(content) // 256)
        await console.write(content)
        await _until(port, lambda content=content: len(got) >= len(content), "bytes are lost")
        assert got == content
        got.clear()


async def _noise(port: Any, opened: Any, count: int, chance: random.Random, outside: NoiseSource) -> None:
    """``count`` buffers of random bytes, compared with ``outside``."""
    filled = 0
    while filled < count:
        length = 8 * chance.randint(1, 40)
        filled += -(-length // RNG_BUFFER_BYTES)
        assert await opened.driven.read(length) == outside.take(length)


Load = Callable[[Any, Any, int, random.Random, Any], Awaitable[None]]

LOADS: dict[str, Load] = {"blk": _disk, "net": _frames, "console": _text, "rng": _noise}
"""By function: ``load(port, opened, count, chance, outside)`` makes ``count`` requests of the open device
``opened`` and raises ``AssertionError`` for a byte that is wrong. ``outside`` is the content of the disk, or
the source of noise; what net and console send comes back to them.
"""
