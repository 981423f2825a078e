"""The same job on two devices, the hardware and the golden model, and what of it has to be the same.

What the specification leaves open may differ: the order in which buffers of a disk are used, how the bytes of
a console are spread over buffers, when the devices interrupt and how often. What is compared:

- the queues: size, format, negotiated features
- all used buffers: what was in them, what was written, the used length. Of a disk as a set; of a network
  device by queue and in order; of consoles and sources of random bytes the bytes of each queue in order
- the sources of interrupts: which vectors sent messages, or whether INTA was asserted
- configuration: PCI configuration space and device configuration at the end
- the disk, and what the task says of its outcome
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import CapabilityType
from ringwalker.spec.pci import CONFIG_SPACE_BYTES, VIRTIO_CAPABILITY, CapabilityId

from ..disk_image import DiskImage
from ..engine.engines import Status, run_here
from ..errors import ParameterError
from ..guest.pci import PciDevice, enumerate_pci
from ..guest.recorder import Recorder, UsedBuffer
from .job import Job, Progress

__all__ = ["Observed", "compared", "observe", "run_against"]

_OUTCOME = ("errors", "requests", "bytes", "capacity", "serial", "sent", "received", "shown", "content")
_IN_STREAMS = (DeviceType.CONSOLE, DeviceType.ENTROPY)


@dataclass
class Observed:
    """What was seen of a device: ``recorder`` of its queues, ``config`` by name, the ``outcome`` of the task,
    the ``disk``."""

    recorder: Recorder = field(default_factory=Recorder)
    config: dict[str, bytes] = field(default_factory=dict)
    outcome: dict[str, Any] = field(default_factory=dict)
    disk: np.ndarray | None = None


def observe(port: Any, run: Callable[[], dict[str, Any]], observed: Observed) -> dict[str, Any]:
    """Do ``run()`` on ``port``, and note all of it in ``observed``; its result."""
    recorder, number = observed.recorder, 0
    target, handler = port.msi_target, port.intx_handler

    def msi_target(callback: Callable[[], None]) -> tuple[int, int]:
        nonlocal number
        number += 1
        return target(recorder.counted(number - 1, callback))

    port.recorder, port.msi_target = recorder, msi_target
    port.intx_handler = lambda callback: handler(recorder.counted(-1, callback))
    result = run()
    port.recorder = None
    observed.config = port.run(_configuration(port))
    observed.outcome = {name: result[name] for name in _OUTCOME if name in result}
    if port.disk is not None:
        observed.disk = port.disk.read(0, port.disk.size)
    return result


async def _configuration(port: Any) -> dict[str, bytes]:
    """Configuration space of each function, and its device configuration."""
    found: dict[str, bytes] = {}
    for number, pci in enumerate(await enumerate_pci(port, assign=False)):
        content = bytearray()
        for offset in range(0, CONFIG_SPACE_BYTES, 4):
            content += (await port.config_read(pci.bdf, offset, 4)).to_bytes(4, "little")
        found[f"configuration space {number}"] = bytes(content)
        found[f"device configuration {number}"] = await _device_configuration(pci)
    return found


async def _device_configuration(pci: PciDevice) -> bytes:
    for item in pci.find_capabilities(CapabilityId.VENDOR):
        row = {register.name: await pci.read(register, item.offset) for register in VIRTIO_CAPABILITY}
        if row["type"] == CapabilityType.DEVICE:
            place = pci.bars[row["bar"]].address + row["offset"]
            read = [await pci.port.memory_read(place + at, 1) for at in range(row["size"])]
            return bytes(read)
    return b""


# --- comparison --------------------------------------------------------------------------------------------


def _streams(used: Iterable[UsedBuffer]) -> dict[int, tuple[bytes, bytes]]:
    """By queue, all bytes that went out and all that came in, in the order of the buffers."""
    found: dict[int, tuple[bytearray, bytearray]] = {}
    for item in sorted(used, key=lambda item: item.number):
        out, into = found.setdefault(item.queue, (bytearray(), bytearray()))
        out += item.readable
        into += item.written
    return {queue: (bytes(out), bytes(into)) for queue, (out, into) in found.items()}


def _shown(content: bytes) -> str:
    return f"{len(content)} bytes {content[:24].hex()}"


def _first(kind: str, left: bytes, right: bytes) -> str:
    """Where two strings of bytes differ first."""
    at = next(
        (n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )
    return (
        f"{kind}: {_shown(left[at:])} from byte {at} of {len(left)}, and {_shown(right[at:])} of {len(right)}"
    )


def _said(item: UsedBuffer) -> str:
    return (
        f"buffer {item.number} of queue {item.queue} ({_shown(item.readable)}, room for {item.room}) "
        f"has {_shown(item.written)}"
    )


def _buffers(device_type: int, left: Sequence[UsedBuffer], right: Sequence[UsedBuffer]) -> list[str]:
    if device_type in _IN_STREAMS:
        one, other = _streams(left), _streams(right)
        return [
            _first(f"{way} queue {queue}", one.get(queue, (b"", b""))[n], other.get(queue, (b"", b""))[n])
            for queue in sorted(one.keys() | other.keys())
            for n, way in enumerate(("out of", "into"))
            if one.get(queue, (b"", b""))[n] != other.get(queue, (b"", b""))[n]
        ]
    if device_type == DeviceType.BLK:
        # Any queue will do, and any order.
        plain = [[replace(item, queue=0, number=0) for item in side] for side in (left, right)]
        counts = [Counter(side) for side in plain]
        for n, (mine, others) in enumerate((counts, counts[::-1])):
            for item in (left, right)[n]:
                if mine[key := replace(item, queue=0, number=0)] > others[key]:
                    return [f"{_said(item)} on the {('first', 'second')[n]} device alone"]
        return []
    for queue in sorted({item.queue for item in (*left, *right)}):
        sides = [
            sorted((i for i in side if i.queue == queue), key=lambda i: i.number) for side in (left, right)
        ]
        for one, other in zip(*sides, strict=False):
            if one != other:
                return [f"{_said(one)}, and {_said(other)}"]
        if len(sides[0]) != len(sides[1]):
            return [f"queue {queue}: {len(sides[0])} buffers were used, and {len(sides[1])}"]
    return []


def compared(device_type: int, left: Observed, right: Observed) -> list[str]:
    """What differs, a line each, and the first of each kind only; see the top of this module."""
    one, other = left.recorder, right.recorder
    lines = _mapping("queue", one.queues, other.queues)
    lines += _buffers(device_type, one.used, other.used)
    if set(one.interrupts) != set(other.interrupts):
        lines.append(f"interrupts: from vectors {sorted(one.interrupts)}, and {sorted(other.interrupts)}")
    for name in sorted(left.config.keys() | right.config.keys()):
        mine, theirs = left.config.get(name, b""), right.config.get(name, b"")
        lines += [_first(name, mine, theirs)] if mine != theirs else []
    lines += _mapping("outcome", left.outcome, right.outcome)
    if left.disk is not None and right.disk is not None and not np.array_equal(left.disk, right.disk):
        lines.append(_first("disk", left.disk.tobytes(), right.disk.tobytes()))
    return lines


def _mapping(kind: str, left: Mapping[Any, Any], right: Mapping[Any, Any]) -> list[str]:
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    return [f"{kind} {key}: {left.get(key)!s:.60}, and {right.get(key)!s:.60}" for key in keys[:1]]


# --- two runs ----------------------------------------------------------------------------------------------


def _copy_of(disk: DiskImage | None, content: np.ndarray | None) -> DiskImage | None:
    """A disk in memory as ``disk`` was, with ``content``."""
    if disk is None or content is None:
        return None
    copy = DiskImage.of(content)
    copy.read_only = disk.read_only
    return copy


def run_against(
    other: str,
    engine: str,
    config: DeviceConfig,
    job: Job,
    *,
    waves: str | Path | None = None,
    progress: Progress | None = None,
    status: Status | None = None,
    at_once: bool = True,
) -> dict[str, Any]:
    """Do ``job`` on ``engine``, then on ``other``, with the same seeds and the same disk. A request of a disk
    whose place is in use waits, so that both get the same requests.

    The result is that of the first, with ``against``: the ``engine``, ``differences``, and how many
    ``buffers`` and ``interrupts`` (by vector, of both) there were. Each difference is an error. Errors:
    :class:`ParameterError` for a job without a bus, and an engine in another process.
    """
    if job.transport != "pci":
        raise ParameterError(f"transport {job.transport} has no hardware that could be compared")
    if engine == "cocotb":
        raise ParameterError("engine cocotb runs in a process of its own: its driver cannot be observed")
    job = replace(job, task=job.task.in_turn())
    disk = job.open_disk(config)
    content = None if disk is None else disk.read(0, disk.size).copy()
    sides = Observed(), Observed()
    result = run_here(
        engine,
        config,
        job,
        waves,
        progress,
        status,
        at_once,
        lambda port, run: observe(port, run, sides[0]),
        disk,
    )
    with TemporaryDirectory() as folder:
        run_here(
            other,
            config,
            replace(job, task=job.task.again(Path(folder))),
            None,
            progress,
            status,
            at_once,
            lambda port, run: observe(port, run, sides[1]),
            _copy_of(disk, content),
        )
    lines = compared(config.device_type, *sides)
    counts = [side.recorder.interrupts for side in sides]
    return {
        "engine": engine,
        **result,
        "errors": result["errors"] + len(lines),
        "messages": [*result.get("messages", ()), *(f"against {other}: {line}" for line in lines)],
        "against": {
            "engine": other,
            "differences": lines,
            "buffers": len(sides[0].recorder.used),
            "interrupts": {str(key): [side[key] for side in counts] for key in sorted(counts[0] | counts[1])},
        },
    }
