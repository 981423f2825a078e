"""The commands that move data: ``run blk`` and ``bench-engines``."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.spec.blk import SECTOR_BYTES

from ..engine.engines import run_on_engine
from ..memory import DiskImage
from ..performance.engine_speed import FIGURES, PAGE, machine, native_rows, page
from ..workload.blk import Workload, WorkloadError
from ..workload.images import default_image
from .options import UsageError, check_output, device_config, link_job
from .report import print_bench, print_result, progress_bar, verdict, write_json
from .waves import note_config

__all__ = ["bench_engines", "run_blk"]

RUN_FOLDER = Path("ringwalker-run")
"""Where the default image is made, in the current folder."""

_RAM_BYTES = 64 << 20
_LARGEST_RAM = 1 << 30
_TRANSFER = (65536, 16)
"""Bytes a request and requests in flight for reading and writing all of a disk."""
_WORKLOAD = (4096, 32)


def _image(options: argparse.Namespace) -> Path:
    if options.image is not None:
        return Path(options.image)
    path = default_image(RUN_FOLDER / "disk.img")
    print(f"made {path}, a small ext4 image", file=sys.stderr)
    return path


def _check_disk(image: Path, config: DeviceConfig, read_only: bool) -> int:
    """Open the image once to see that it can be used; its size in bytes."""
    with DiskImage(image, read_only=read_only) as disk:
        size = disk.sectors * SECTOR_BYTES
    if size % config.blk.block_size:
        raise UsageError(
            f"{image}: {size} bytes are not a multiple of the block size, {config.blk.block_size}"
        )
    return size


def _check_input(name: str, room: int, block_size: int) -> None:
    try:
        size = os.stat(name).st_size
    except OSError as error:
        raise UsageError(f"--write-all {name}: {error.strerror}") from None
    if Path(name).is_dir():
        raise UsageError(f"--write-all {name}: is a folder")
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


def _ram(block_size: int, depth: int) -> int:
    """Enough for all buffers in flight, in whole MiB."""
    needed = (depth + 1) * (block_size + 4096) + (16 << 20)
    size = max(_RAM_BYTES, -(-needed >> 20) + 1 << 20)
    if size > _LARGEST_RAM:
        raise UsageError(
            f"{depth} requests of {block_size} bytes in flight do not fit in {_LARGEST_RAM} bytes"
        )
    return size


def _job(options: argparse.Namespace, config: DeviceConfig, image: Path) -> dict[str, Any]:
    identity = config.resolved_identity
    job: dict[str, Any] = {
        "image": str(image),
        "seed": options.seed,
        "ids": [[identity.vendor, identity.device]],
        "use_queues": config.queues,
    }
    sizes = []
    if getattr(options, "write_all", None) or getattr(options, "read_all", None):
        size, depth = options.block_size or _TRANSFER[0], options.queue_depth or _TRANSFER[1]
        job["transfer"] = {"block_size": size, "queue_depth": depth}
        job["write_all"], job["read_all"] = options.write_all, options.read_all
        sizes.append((size, depth))
    workload = options.workload
    if workload is None and not sizes:
        workload = "randread"
    if workload is not None:
        size, depth = options.block_size or _WORKLOAD[0], options.queue_depth or _WORKLOAD[1]
        checked = Workload(workload, size, depth, options.requests, options.seed)
        job["workload"] = vars(checked)
        sizes.append((size, depth))
    for size, depth in sizes:
        if size % config.blk.block_size:
            raise WorkloadError(f"block size is {size}; it must be a multiple of {config.blk.block_size}")
        room = config.queues * (config.queue_size // 3)
        if depth > room:
            raise WorkloadError(
                f"queue depth is {depth}; {config.queues} queue(s) of {config.queue_size} entries hold "
                f"at most {room} requests of 3 descriptors"
            )
    job["memory_bytes"] = max(_ram(size, depth) for size, depth in sizes)
    job["read_only"] = not job.get("write_all") and (workload is None or workload.endswith("read"))
    return job


def run_blk(options: argparse.Namespace) -> int:
    """``ringwalker run blk``."""
    config = device_config(options, "blk")
    for option in ("read_all", "waves", "json"):
        check_output(f"--{option.replace('_', '-')}", getattr(options, option))
    if options.transport != "pci":
        if options.engine not in (None, "memory"):
            raise UsageError(f"--engine {options.engine}: transport {options.transport} has no hardware")
        options.engine = "memory"
    options.engine = options.engine or "native"
    if options.waves and options.engine == "memory":
        raise UsageError("--waves: a device in Python has no signals")
    if options.waves and Path(options.waves).suffix != ".fst":
        raise UsageError(f"--waves {options.waves}: the name must end with .fst")
    image = _image(options)
    job = _job(options, config, image)
    size = _check_disk(image, config, job["read_only"])
    _check_files(options, image)
    if options.write_all:
        _check_input(options.write_all, size, config.blk.block_size)
    job.update(link_job(options, config))
    job["interrupt"] = options.interrupt
    job["interface"], job["transport"] = options.interface, options.transport
    job["model"] = {
        "queues": config.queues,
        "queue_size": config.queue_size,
        "block_size": config.blk.block_size,
        "serial": config.blk.serial,
    }
    if options.waves:
        note_config(options.waves, config)
    with progress_bar() as (progress, status):
        result = run_on_engine(
            options.engine, config, job, waves=options.waves, progress=progress, status=status
        )
    result.update(image=str(image), data_width=config.data_width, seed=options.seed)
    result.update(interface=options.interface, transport=options.transport)
    if options.json:
        write_json(options.json, result)
    print_result(result, options.json)
    return verdict(result)


def bench_engines(options: argparse.Namespace) -> int:
    """``ringwalker bench-engines``."""
    config = device_config(options, "blk")
    check_output("--json", options.json)
    if options.docs and not Path(options.docs).is_dir():
        raise UsageError(f"--docs {options.docs}: is not a folder")
    if options.docs and config != DeviceConfig():
        raise UsageError("--docs: the page is about the usual device, without --config and its like")
    image = _image(options)
    job = _job(options, config, image)
    _check_disk(image, config, job["read_only"])
    rows = []
    for engine in ("native", "cocotb"):
        with progress_bar() as (progress, status):
            status(f"{engine} engine")
            rows.append(run_on_engine(engine, config, job, progress=progress, status=status))
    ratio = rows[0]["cycles_per_second"] / rows[1]["cycles_per_second"]
    rates = {row["engine"]: row["cycles_per_second"] for row in rows}
    load = job["workload"]
    workload = f"{load['kind']}, {load['block_size']:,} bytes each, {load['queue_depth']} at once"
    figures: dict[str, Any] = {"machine": machine(), "workload": workload, "cycles_per_second": rates}
    figures |= {"ratio": ratio, "runs": rows}
    if options.docs:
        with progress_bar() as (_progress, status):
            figures["native"] = native_rows(status)
        write_json(str(Path(options.docs) / FIGURES), figures)
        (Path(options.docs) / PAGE).write_text(page(figures))
    if options.json:
        write_json(options.json, figures)
    print_bench(rows, ratio, options.json)
    return max(verdict(row) for row in rows)
