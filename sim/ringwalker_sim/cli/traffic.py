"""The commands ``run net`` and ``run console``."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from .options import (
    UsageError,
    add_device_options,
    add_interface_options,
    add_link_options,
    check_output,
    device_config,
    link_job,
    positive,
)
from .report import print_traffic, progress_bar, verdict, write_json
from .waves import note_config

__all__ = ["add_console_parser", "add_net_parser"]

_SIZES = (60, 64, 128, 256, 512, 1024, 1514)
_SHORTEST = 14

_NET_EXAMPLES = """\
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

_CONSOLE_EXAMPLES = """\
examples:
  ringwalker run console
  ringwalker run console --input typed.txt --output shown.txt
      types the file at the device's UART; the guest echoes, and what the UART shows is written
  ringwalker run console --interface 2007-05 --transport pipe --input typed.txt --output -

Every byte is compared. Exit codes: 0 all is well, 1 wrong or missing bytes or a device that
misbehaves, 2 a bad option, configuration or file, 130 interrupted.
"""


def _sizes(text: str) -> list[int]:
    """Lengths of frames: ``64`` or ``60,64,1514``."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= _SHORTEST for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of lengths from {_SHORTEST} up, like 60,64,1514"
        )
    return [int(part) for part in parts]


def _common_options(parser: Any) -> None:
    add_interface_options(parser)
    machine = parser.add_argument_group("machine")
    machine.add_argument("--interrupt", choices=("msix", "intx"), default="msix", help="default msix")
    add_link_options(machine)
    text = "chooses data and whatever is random in the machine (default 1)"
    machine.add_argument("--seed", metavar="N", type=int, default=1, help=text)
    output = parser.add_argument_group("output")
    output.add_argument("--waves", metavar="FILE.fst", help="write waves of all signals")
    output.add_argument("--json", metavar="FILE", help="write the figures as JSON ('-': standard output)")


def add_net_parser(add: Any) -> None:
    """``run net``; ``add(name, text, examples, command)`` makes the parser."""
    parser = add("net", "simulate the network device and move frames", _NET_EXAMPLES, _run_net)
    frames = parser.add_argument_group("frames")
    frames.add_argument("--replay", metavar="IN.pcap", help="send the frames of a capture (pcap or pcapng)")
    frames.add_argument("--capture", metavar="OUT.pcap", help="write what comes back")
    text = "how many frames are made up without --replay (default 500)"
    frames.add_argument("--frames", metavar="N", type=positive, help=text)
    text = f"their lengths in bytes without check sequence (default {','.join(map(str, _SIZES))})"
    frames.add_argument("--sizes", metavar="N,...", type=_sizes, help=text)
    frames.add_argument(
        "--inter-guest", action="store_true", help="between two guests, both ways; --waves are of the first"
    )
    add_device_options(parser)
    text = "largest payload of a frame in bytes (default 1500)"
    parser.add_argument("--mtu", metavar="N", type=positive, help=text)
    _common_options(parser)


def add_console_parser(add: Any) -> None:
    """``run console``; ``add(name, text, examples, command)`` makes the parser."""
    parser = add("console", "simulate the console and move bytes", _CONSOLE_EXAMPLES, _run_console)
    files = parser.add_argument_group("bytes")
    files.add_argument("--input", metavar="FILE", help="what is typed ('-': standard input; default: a text)")
    files.add_argument("--output", metavar="FILE", help="where to write what is shown ('-': standard output)")
    add_device_options(parser)
    _common_options(parser)


def _config(options: argparse.Namespace, function: str) -> DeviceConfig:
    config = device_config(options, function)
    if getattr(options, "mtu", None) is not None:
        net = config.net
        buffer = max(net.buffer_bytes, 1 << (4 * options.mtu).bit_length())
        config = dataclasses.replace(
            config, net=dataclasses.replace(net, mtu=options.mtu, buffer_bytes=buffer)
        )
    return config


def _setup(options: argparse.Namespace, function: str) -> Any:
    from ..workload.traffic_run import Setup

    for option in ("capture", "output", "waves", "json"):
        check_output(f"--{option}", getattr(options, option, None))
    if getattr(options, "capture", None) == "-":
        raise UsageError("--capture -: a capture is written to a file")
    if options.waves and options.transport != "pci":
        raise UsageError(f"--waves: a device on transport {options.transport} has no signals")
    if options.waves and Path(options.waves).suffix != ".fst":
        raise UsageError(f"--waves {options.waves}: the name must end with .fst")
    config = _config(options, function)
    options.engine = "native" if options.transport == "pci" else "memory"
    host = link_job(options, config)
    if options.waves:
        note_config(options.waves, config)
    return Setup(
        config,
        options.interface,
        options.transport,
        options.interrupt,
        options.seed,
        host,
        options.waves,
    )


def _finish(options: argparse.Namespace, result: dict[str, Any], quiet: bool = False) -> int:
    if options.json:
        write_json(options.json, result)
    print_traffic(result, to_stderr=quiet or options.json == "-")
    return verdict(result)


def _frames(options: argparse.Namespace, config: DeviceConfig) -> list[bytes]:
    from ..workload.pcap import read_frames
    from ..workload.traffic import random_frames

    longest = config.net.frame_bytes
    if options.replay is None:
        sizes = options.sizes or [size for size in _SIZES if size <= longest]
        _check_sizes(options, config)
        return random_frames(options.frames or 500, sizes, config.net.address, b"\2WALK\1", options.seed)
    frames = [frame.data for frame in read_frames(options.replay)]
    for number, frame in enumerate(frames, 1):
        if len(frame) > longest:
            raise UsageError(
                f"{options.replay}: frame {number} has {len(frame)} bytes, the device takes {longest}; "
                f"use --mtu {len(frame) - 14} or more"
            )
        if len(frame) < _SHORTEST:
            raise UsageError(f"{options.replay}: frame {number} has {len(frame)} bytes, no Ethernet header")
    if not frames:
        raise UsageError(f"{options.replay}: there are no frames in it")
    return frames


def _check_sizes(options: argparse.Namespace, config: DeviceConfig) -> None:
    longest = config.net.frame_bytes
    for size in options.sizes or ():
        if size > longest:
            raise UsageError(
                f"--sizes {size}: the device takes frames of at most {longest} bytes; "
                f"use --mtu {size - 14} or more"
            )


def _run_net(options: argparse.Namespace) -> int:
    from ..workload.pcap import write_frames
    from ..workload.traffic_run import INTER_GUEST, run_inter_guest, run_net

    setup = _setup(options, "net")
    if options.replay is not None:
        for name in ("frames", "sizes"):
            if getattr(options, name) is not None:
                raise UsageError(f"--{name}: the frames are those of --replay {options.replay}")
    if options.inter_guest:
        for name in ("replay", "capture"):
            if getattr(options, name) is not None:
                raise UsageError(f"--{name} is for one guest; it cannot be used with --inter-guest")
        if options.transport not in INTER_GUEST:
            raise UsageError(f"--inter-guest: guests meet on transports {' and '.join(INTER_GUEST)}")
        _check_sizes(options, setup.config)
        longest = setup.config.net.frame_bytes
        sizes = options.sizes or [size for size in _SIZES if size <= longest]
        with progress_bar() as (progress, status):
            result = run_inter_guest(setup, sizes, options.frames or 500, progress=progress, status=status)
        return _finish(options, result)
    frames = _frames(options, setup.config)
    with progress_bar() as (progress, status):
        result, captured = run_net(setup, frames, progress=progress, status=status)
    if options.capture:
        write_frames(options.capture, captured)
    return _finish(options, result)


_TEXT = (
    b"\r\n".join(b"The quick brown fox jumps over the lazy dog, line %d." % n for n in range(1, 65)) + b"\r\n"
)


def _input(options: argparse.Namespace) -> bytes:
    if options.input is None:
        return _TEXT
    try:
        content = sys.stdin.buffer.read() if options.input == "-" else Path(options.input).read_bytes()
    except OSError as error:
        raise UsageError(f"--input {options.input}: {error.strerror}") from None
    if not content:
        raise UsageError(f"--input {options.input}: it is empty")
    return content


def _run_console(options: argparse.Namespace) -> int:
    from ..workload.traffic_run import run_console

    if options.output == "-" and options.json == "-":
        raise UsageError("--output - and --json - cannot both have standard output")
    setup, content = _setup(options, "console"), _input(options)
    with progress_bar() as (progress, status):
        result, shown = run_console(setup, content, progress=progress, status=status)
    if options.output == "-":
        sys.stdout.buffer.write(shown)
        sys.stdout.flush()
    elif options.output:
        Path(options.output).write_bytes(shown)
    return _finish(options, result, quiet=options.output == "-")
