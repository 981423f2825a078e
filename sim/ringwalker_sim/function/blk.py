"""The simulation of the block function: its disk, its driver, and ``ringwalker run blk``."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.spec.blk import SECTOR_BYTES

from ..cli.options import UsageError, add_image_options, byte_count, check_output, positive
from ..disk_image import DiskError, DiskImage, StoredBytes
from ..golden.blk import BlkModel
from ..golden.function import Schedule
from ..guest.blk import blk_driver
from ..host.parameters import HostParameters
from ..workload.block_task import PHASES, WORKLOADS, BlockTask, Transfer, Workload
from ..workload.disk_phases import WorkloadError
from ..workload.images import default_image
from ..workload.job import Job
from .simulation import FunctionSimulation, RunCommand

__all__ = ["SIMULATION", "add_workload_options", "block_job", "image_of"]

RUN_FOLDER = Path("ringwalker-run")
"""Where the default image is made, in the current folder."""

_RAM_BYTES = 64 << 20
_LARGEST_RAM = 1 << 30
_WORKLOAD = (4096, 32)
"""Bytes a request and requests in flight of a workload."""

_EXAMPLES = """\
examples:
  ringwalker run blk
      random reads on a small ext4 image made for the purpose
  ringwalker run blk --image disk.img --read-all copy.img
      every sector through the device into copy.img
  ringwalker run blk --image disk.img --write-all new.img --read-all back.img
      new.img onto the disk, and the disk back into back.img
  ringwalker run blk --workload randrw --block-size 4k --queue-depth 64 --requests 100k --json -
      a mixed workload, the figures as JSON on standard output
  ringwalker run blk --workload randread --queue-depth 64 --link gen3x8 --clock-mhz 250 --latency-ns 550
      the same on a Gen3 x8 link to a host that answers reads after 550 ns
  ringwalker run blk --interface 2007-05 --transport pipe
      the driver interface of 31 May 2007 over a byte pipe, with a device in Python
  ringwalker run blk --workload seqread --requests 100 --waves run.fst && ringwalker waves run.fst
      the same with waves, and a look at them
  ringwalker run blk --write-all new.img --workload randread --waves run.fst --waves-during workload
      the whole disk written first, and waves of the reads after that

Workloads that write overwrite what is on the image. Data is always verified.
Exit codes: 0 all is well, 1 wrong data or a device that misbehaves, 2 a bad option,
configuration or image, or an output that cannot be written, 130 interrupted.
"""


def _open_disk(config: DeviceConfig, path: str | Path | None, read_only: bool, raw: bool) -> DiskImage:
    if path is None:
        return DiskImage.blank(config.settings.capacity)
    disk = DiskImage(path, read_only, raw)
    size, block = disk.size, config.settings.block_size
    if size % block:
        disk.close()
        raise DiskError(f"{path}: {size} bytes are not a multiple of the block size, {block}")
    return disk


def _model(config: DeviceConfig, schedule: Schedule, disk: DiskImage, **options: Any) -> BlkModel:
    return BlkModel(
        schedule,
        disk,
        queues=config.queues,
        queue_size=config.queue_size,
        block_size=config.settings.block_size,
        serial=config.settings.serial,
        **options,
    )


# --- the command -------------------------------------------------------------------------------------------


def add_workload_options(parser: Any, workload: str | None, requests: int) -> Any:
    """The options that describe a workload, with these defaults; the group that they are in."""
    group = parser.add_argument_group("workload")
    group.add_argument("--workload", choices=WORKLOADS, default=workload, help="what the requests are")
    group.add_argument("--block-size", metavar="N", type=byte_count, help="bytes a request (default 4k)")
    group.add_argument("--queue-depth", metavar="N", type=positive, help="requests in flight (default 32)")
    text = f"how many requests (default {requests})"
    group.add_argument("--requests", metavar="N", type=positive, default=requests, help=text)
    return group


def _add_options(parser: Any) -> None:
    disk = parser.add_argument_group("disk")
    disk.add_argument("--image", metavar="FILE", help="disk image (default: a small ext4 image is made)")
    add_image_options(disk, "the image")
    disk.add_argument("--write-all", metavar="IN", help="write the file IN onto the disk, from sector 0 on")
    disk.add_argument("--read-all", metavar="OUT", help="read every sector of the disk into the file OUT")
    add_workload_options(parser, None, 1000)
    text = "record --waves while the device is set up and during this part only (engine native)"
    disk.add_argument("--waves-during", metavar="PART", choices=PHASES, help=f"{text}: {', '.join(PHASES)}")


def image_of(options: argparse.Namespace) -> Path:
    """The image that was given, or a small one that is made for the purpose."""
    if options.image is not None:
        return Path(options.image)
    path = default_image(RUN_FOLDER / "disk.img")
    print(f"made {path}, a small ext4 image", file=sys.stderr)
    return path


def _ram(block_size: int, depth: int) -> int:
    """Enough for all buffers in flight, in whole MiB."""
    needed = (depth + 1) * (block_size + 4096) + (16 << 20)
    size = max(_RAM_BYTES, -(-needed >> 20) + 1 << 20)
    if size > _LARGEST_RAM:
        raise UsageError(
            f"{depth} requests of {block_size} bytes in flight do not fit in {_LARGEST_RAM} bytes"
        )
    return size


def block_job(options: argparse.Namespace, config: DeviceConfig, image: Path, **machine: Any) -> Job:
    """The job that the options describe, on ``image``. Errors: :class:`UsageError`, ``WorkloadError``."""
    write_all, read_all = getattr(options, "write_all", None), getattr(options, "read_all", None)
    transfer, load, sizes = Transfer(), None, []
    if write_all or read_all:
        transfer = Transfer(
            options.block_size or transfer.block_size, options.queue_depth or transfer.queue_depth
        )
        sizes.append((transfer.block_size, transfer.queue_depth))
    kind = options.workload
    if kind is None and not sizes:
        kind = "randread"
    if kind is not None:
        size, depth = options.block_size or _WORKLOAD[0], options.queue_depth or _WORKLOAD[1]
        load = Workload(kind, size, depth, options.requests, options.seed)
        sizes.append((size, depth))
    read_only = getattr(options, "read_only", False)
    writes = write_all is not None or (kind is not None and not kind.endswith("read"))
    if read_only and writes:
        raise UsageError(f"--read-only: {'--write-all' if write_all else f'--workload {kind}'} writes")
    for size, depth in sizes:
        if size % config.settings.block_size:
            raise WorkloadError(
                f"block size is {size}; it must be a multiple of {config.settings.block_size}"
            )
        room = config.queues * (config.queue_size // 3)
        if depth > room:
            raise WorkloadError(
                f"queue depth is {depth}; {config.queues} queue(s) of {config.queue_size} entries hold "
                f"at most {room} requests of 3 descriptors"
            )
    return Job(
        BlockTask(load, write_all, read_all, transfer, getattr(options, "waves_during", None)),
        image=str(image),
        read_only=read_only or not writes,
        raw=getattr(options, "format", None) is not None,
        memory_bytes=max(_ram(size, depth) for size, depth in sizes),
        **machine,
    )


def _check_input(name: str, room: int, block_size: int) -> None:
    try:
        file = StoredBytes(name)
    except DiskError as error:
        raise UsageError(f"--write-all {error}") from None
    size = file.size
    file.close()
    if size == 0 or size % block_size:
        raise UsageError(f"--write-all {name}: {size} bytes; it must be a multiple of {block_size}, not 0")
    if size > room:
        raise UsageError(f"--write-all {name}: {size} bytes do not fit on the disk, which has {room}")


def _same_file(first: Path | str, second: Path | str) -> bool:
    return Path(second).exists() and Path(first).exists() and os.path.samefile(first, second)


def _check_files(options: argparse.Namespace, image: Path) -> None:
    names = {"--image": image, "--write-all": options.write_all, "--read-all": options.read_all}
    given = [(option, name) for option, name in names.items() if name is not None]
    for at, (option, name) in enumerate(given):
        for other_option, other in given[:at]:
            if _same_file(name, other):
                raise UsageError(f"{other_option} and {option} are the same file, {name}")


def _check_waves_during(options: argparse.Namespace) -> None:
    part = options.waves_during
    if part is None:
        return
    if not options.waves:
        raise UsageError(f"--waves-during {part}: it needs --waves FILE.fst")
    if options.engine not in (None, "native"):
        raise UsageError(f"--waves-during {part}: engine {options.engine} records all or nothing")
    if not {"write-all": options.write_all, "read-all": options.read_all, "workload": options.workload}[part]:
        raise UsageError(f"--waves-during {part}: there is no such part; add --{part}")


def _job(options: argparse.Namespace, config: DeviceConfig, **machine: Any) -> Job:
    check_output("--read-all", options.read_all)
    _check_waves_during(options)
    image = image_of(options)
    job = block_job(options, config, image, **machine)
    with _open_disk(config, image, job.read_only, job.raw) as disk:
        size = disk.sectors * SECTOR_BYTES
    _check_files(options, image)
    if options.write_all:
        _check_input(options.write_all, size, config.settings.block_size)
    options.image = str(image)
    return job


def _finish(options: argparse.Namespace, config: DeviceConfig, result: dict[str, Any]) -> None:
    result |= {"image": options.image, "data_width": config.data_width}


def _show(result: Any, on_stderr: bool) -> None:
    from ..cli.report import print_result

    print_result(result, on_stderr)


def _exercise(config: DeviceConfig) -> list[Job]:
    """Reads and writes of two sizes, many at once and one at a time, on two hosts."""
    size = max(1024, config.settings.block_size)
    depth = min(40, config.queues * (config.queue_size // 3))
    host = HostParameters(latency=60, latency_jitter=30)
    return [
        Job(
            BlockTask(Workload("randrw", 3 * size, depth, 50, seed=5)),
            memory_bytes=4 << 20,
            seed=5,
            host=host,
        ),
        Job(BlockTask(Workload("randrw", size, 1, 10, seed=6)), memory_bytes=4 << 20, seed=6),
    ]


SIMULATION = FunctionSimulation(
    driver=blk_driver,
    model=_model,
    open_disk=_open_disk,
    linux_module="virtio_blk",
    exercise=_exercise,
    run=RunCommand(
        summary="simulate the block device and move data",
        examples=_EXAMPLES,
        add_options=_add_options,
        job=_job,
        finish=_finish,
        show=_show,
    ),
)
