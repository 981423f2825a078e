"""The simulation of the network function: its driver, and ``ringwalker run net``."""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig

from ..cli.options import UsageError, check_output, positive
from ..golden.function import Schedule
from ..golden.net import NetModel
from ..guest.net import net_driver
from ..workload.frame_traffic import random_frames
from ..workload.job import Job
from ..workload.net_task import EXCHANGE_TRANSPORTS, ExchangeTask, NetTask, run_exchange
from ..workload.pcap import read_frames
from .simulation import FunctionSimulation, RunCommand

__all__ = ["SIMULATION"]

_SIZES = (60, 64, 128, 256, 512, 1024, 1514)
_SHORTEST = 14
_FRAMES = 500
_RAM_BYTES = 16 << 20
_SOURCE = b"\2WALK\1"

_EXAMPLES = """\
examples:
  ringwalker run net
      frames of many sizes out through the device and back
  ringwalker run net --replay in.pcap --capture out.pcap
      the frames of a capture, byte for byte; times in out.pcap are those of the simulation
  ringwalker run net --mtu 9000 --sizes 9014
  ringwalker run net --inter-guest --frames 1000
      two guests, two devices, their MAC ports connected
  ringwalker run net --inter-guest --transport memory
      the same with a ring shared by both guests, and no hardware
  ringwalker run net --interface 2007-09 --waves run.fst && ringwalker waves run.fst

Every frame is compared. Exit codes: 0 all is well, 1 wrong or missing frames or a device that
misbehaves, 2 a bad option, configuration or capture, 130 interrupted.
"""


def _model(config: DeviceConfig, schedule: Schedule, _disk: np.ndarray | None, **options: Any) -> NetModel:
    return NetModel(
        schedule,
        mac=config.settings.address,
        mtu=config.settings.mtu,
        queue_size=config.queue_size,
        **options,
    )


# --- the command -------------------------------------------------------------------------------------------


def _sizes(text: str) -> list[int]:
    """Lengths of frames: ``64`` or ``60,64,1514``."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= _SHORTEST for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of lengths from {_SHORTEST} up, like 60,64,1514"
        )
    return [int(part) for part in parts]


def _add_options(parser: Any) -> None:
    frames = parser.add_argument_group("frames")
    frames.add_argument("--replay", metavar="IN.pcap", help="send the frames of a capture (pcap or pcapng)")
    frames.add_argument("--capture", metavar="OUT.pcap", help="write what comes back")
    text = f"how many frames are made up without --replay (default {_FRAMES})"
    frames.add_argument("--frames", metavar="N", type=positive, help=text)
    text = f"their lengths in bytes without check sequence (default {','.join(map(str, _SIZES))})"
    frames.add_argument("--sizes", metavar="N,...", type=_sizes, help=text)
    text = "between two guests, both ways; --waves and captures are of the first"
    frames.add_argument("--inter-guest", action="store_true", help=text)
    text = "largest payload of a frame in bytes (default 1500)"
    frames.add_argument("--mtu", metavar="N", type=positive, help=text)


def _configure(options: argparse.Namespace, config: DeviceConfig) -> DeviceConfig:
    if options.mtu is None:
        return config
    buffer = max(config.settings.buffer_bytes, 1 << (4 * options.mtu).bit_length())
    return dataclasses.replace(
        config, settings=dataclasses.replace(config.settings, mtu=options.mtu, buffer_bytes=buffer)
    )


def _lengths(options: argparse.Namespace, config: DeviceConfig) -> Sequence[int]:
    """Lengths of frames that are made up."""
    longest = config.settings.frame_bytes
    for size in options.sizes or ():
        if size > longest:
            raise UsageError(
                f"--sizes {size}: the device takes frames of at most {longest} bytes; "
                f"use --mtu {size - 14} or more"
            )
    return options.sizes or [size for size in _SIZES if size <= longest]


def _replayed(name: str, longest: int) -> list[bytes]:
    frames = [frame.data for frame in read_frames(name)]
    for number, frame in enumerate(frames, 1):
        if len(frame) > longest:
            raise UsageError(
                f"{name}: frame {number} has {len(frame)} bytes, the device takes {longest}; "
                f"use --mtu {len(frame) - 14} or more"
            )
        if len(frame) < _SHORTEST:
            raise UsageError(f"{name}: frame {number} has {len(frame)} bytes, no Ethernet header")
    if not frames:
        raise UsageError(f"{name}: there are no frames in it")
    return frames


def _job(options: argparse.Namespace, config: DeviceConfig, **machine: Any) -> Job:
    machine["memory_bytes"] = _RAM_BYTES
    check_output("--capture", options.capture)
    if options.capture == "-":
        raise UsageError("--capture -: a capture is written to a file")
    if options.replay is not None:
        for name in ("frames", "sizes"):
            if getattr(options, name) is not None:
                raise UsageError(f"--{name}: the frames are those of --replay {options.replay}")
    count = options.frames or _FRAMES
    if options.inter_guest:
        for name in ("replay", "capture"):
            if getattr(options, name) is not None:
                raise UsageError(f"--{name} is for one guest; it cannot be used with --inter-guest")
        if options.transport not in EXCHANGE_TRANSPORTS:
            places = " and ".join(EXCHANGE_TRANSPORTS)
            raise UsageError(f"--inter-guest: guests meet on transports {places}")
        return Job(ExchangeTask(tuple(_lengths(options, config)), count), **machine)
    if options.replay is not None:
        frames = _replayed(options.replay, config.settings.frame_bytes)
    else:
        lengths = _lengths(options, config)
        frames = random_frames(count, lengths, config.settings.address, _SOURCE, options.seed)
    return Job(NetTask(tuple(frames), options.capture), **machine)


def _carry_out(engine: str, config: DeviceConfig, job: Job, **others: Any) -> dict[str, Any]:
    from ..engine.engines import run_on_engine

    if isinstance(job.task, ExchangeTask):
        return {"engine": engine, **run_exchange(config, job, **others)}
    return run_on_engine(engine, config, job, **others)


def _show(result: Any, on_stderr: bool) -> None:
    from ..cli.report import print_traffic

    print_traffic(result, on_stderr)


def _exercise(config: DeviceConfig) -> list[Job]:
    """Frames of many sizes out and back, and many short ones."""
    jobs = []
    for seed, count, lengths in (
        (5, 60, (60, 70, 130, 300, 900, 1514)),
        (6, 200, (60, 61, 75, 90, 100, 120)),
    ):
        sizes = [size for size in lengths if size <= config.settings.mtu + _SHORTEST]
        frames = random_frames(count, sizes or [_SHORTEST], config.settings.address, _SOURCE, seed)
        jobs.append(Job(NetTask(tuple(frames)), memory_bytes=_RAM_BYTES, seed=seed))
    return jobs


SIMULATION = FunctionSimulation(
    driver=net_driver,
    model=_model,
    linux_module="virtio_net",
    exercise=_exercise,
    run=RunCommand(
        summary="simulate the network device and move frames",
        examples=_EXAMPLES,
        add_options=_add_options,
        engines=("native",),
        configure=_configure,
        job=_job,
        carry_out=_carry_out,
        show=_show,
    ),
)
