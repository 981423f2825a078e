"""The command ``serve``: devices for a virtual machine, over vfio-user."""

import argparse
import contextlib
import dataclasses
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import EXIT_FAILED, noted
from ..function.simulation import simulation_of
from ..workload.images import default_image
from .capture_options import add_capture_options, capture_settings, captures_of, check_captures
from .devices import add_waves_options, check_no_window, modern_config, parse_device, waves_window
from .options import (
    UsageError,
    add_command,
    add_device_options,
    add_image_options,
    add_link_options,
    add_model_option,
    add_timeline_option,
    check_output,
    check_timeline,
    link_host,
)
from .report import report_unwritten, status_line, write_json
from .serve_foreign import add_foreign_options, foreign_device_of
from .stop_signals import StopSignals

__all__ = ["add_parser", "run"]

_SOCKET = "ringwalker.sock"
_FOLDER = Path("ringwalker-run")
_KEYS = ("image", "socket", "waves", "timeline", "pcap", "tlp-pcap", "read-only", "format")
_REFRESH_S = 0.25

_EXAMPLES = """\
examples:
  ringwalker serve --socket blk.sock --image disk.img
      one disk, until Ctrl-C; QEMU 10.1 or later connects with
      -object memory-backend-memfd,id=ram,size=512M,share=on -M q35,memory-backend=ram
      -device '{"driver":"vfio-user-pci","x-msg-timeout":3600000,
                "socket":{"type":"unix","path":"blk.sock"}}'
  ringwalker serve --device blk,image=a.img,socket=a.sock --device blk,image=b.img,socket=b.sock
      two disks; without socket=... they are at S.0 and S.1, where S is --socket
  ringwalker serve --function crc32:KIND
      a function of your own, in crc32.py of the working folder (examples/crc32)
  ringwalker serve --rtl top.v --map ports.toml
      a design of yours, with AXI or streams of TLPs (docs/foreign-rtl.md)
  ringwalker serve --image disk.img --waves run.fst --waves-last 200k
      waves of the last 200,000 cycles, however long it runs
  ringwalker serve --image disk.img --timeline run.pftrace
      where each request was when; open it at ui.perfetto.dev
  ringwalker serve --image disk.img --tlp-pcap >(wireshark -k -i -)
      TLPs of the link as they come (docs/captures.md)

The device's identity is the one of today's drivers (preset oasis) unless --preset or --config says
otherwise. The cycles of a window of waves count from the start of the simulation.
Exit codes: 0 ended by Ctrl-C, by SIGTERM, with its terminal or by --once, 1 a device failed or broke a
rule, 2 a bad option, an image or a socket that is in use, or an output that cannot be written.
"""


def add_parser(commands: Any) -> None:
    """Add ``serve`` to the commands."""
    text = "serve devices to a virtual machine over vfio-user"
    parser = add_command(commands, "serve", text, _EXAMPLES, run)
    what = parser.add_argument_group("what is served")
    text = (
        f"unix socket to listen on (default {_SOCKET}); with several devices they are at S.0, S.1 and so on"
    )
    what.add_argument("--socket", metavar="S", default=_SOCKET, help=text)
    what.add_argument("--image", metavar="FILE", help="disk image (default: a small ext4 image is made)")
    add_image_options(what, "no image")
    text = (
        "a device, such as blk,image=FILE,socket=S,waves=FILE.fst,timeline=FILE,pcap=FILE,tlp-pcap=FILE,"
        "read-only,format=raw, with commas in names doubled; can be given several times"
    )
    what.add_argument("--device", metavar="SPEC", action="append", default=[], help=text)
    what.add_argument("--once", action="store_true", help="end when the first virtual machine has gone")
    add_foreign_options(parser.add_argument_group("a design of yours"))
    add_device_options(parser)
    machine = parser.add_argument_group("machine")
    add_link_options(machine)
    text = "chooses what the simulated host does at random (default 1)"
    machine.add_argument("--seed", metavar="N", type=int, default=1, help=text)
    add_model_option(machine)
    output = parser.add_argument_group("output")
    output.add_argument("--waves", metavar="FILE.fst", help="write waves of all signals")
    add_waves_options(output)
    add_timeline_option(output, "")
    add_capture_options(output)
    text = "write the figures at the end as JSON ('-': standard output)"
    output.add_argument("--stats-json", metavar="FILE", help=text)
    output.add_argument("-v", "--verbose", action="store_true", help="log more")


def _devices(options: argparse.Namespace) -> list[Any]:
    """The :class:`~.vfio_user.serving.ServedDevice` that the options describe."""
    from ..vfio_user.serving import ServedDevice

    specs = [parse_device(text, _KEYS) for text in options.device] or [(None, {})]
    several = len(specs) > 1
    one = captures_of(options)
    if several and (options.image or options.waves or options.timeline or one):
        raise UsageError(
            "--image, --waves, --timeline, --pcap and --tlp-pcap are for one device; with several, use "
            "--device ...,image=...,waves=..."
        )
    devices = []
    for number, (function, settings) in enumerate(specs):
        config = modern_config(options, function)
        image = settings.get("image", options.image)
        has_image = simulation_of(config.function).open_disk is not None
        if image is not None and not has_image:
            raise UsageError(f"image {image}: function {config.function} has none")
        if image is None and has_image:
            image = default_image(_FOLDER / (f"disk{number}.img" if several else "disk.img"))
            print(f"made {image}, a small ext4 image", file=sys.stderr)
        waves = waves_window(options, settings.get("waves", options.waves))
        timeline = settings.get("timeline", options.timeline)
        check_timeline(timeline)
        captures = check_captures(capture_settings(settings) or one, config)
        socket = settings.get("socket", f"{options.socket}.{number}" if several else options.socket)
        check_output("--socket", socket)
        devices.append(
            ServedDevice(
                config,
                image,
                socket,
                read_only=options.read_only or "read-only" in settings,
                raw=settings.get("format", options.format) is not None,
                waves=waves,
                timeline=timeline,
                captures=captures,
                host=dataclasses.replace(
                    link_host(options, "native", config),
                    max_payload=config.max_payload,
                    max_read_request=config.max_read_request,
                ),
                seed=options.seed + number,
                at_once=True,
            )
        )
    if not any(device.waves for device in devices):
        check_no_window(options)
    _check_apart(devices)
    return devices


def _check_apart(devices: Sequence[Any]) -> None:
    """No two devices may have the same socket, or write the same file."""
    for what in ("socket", "image", "waves", "timeline", "pcap", "tlp-pcap"):
        seen: dict[Path, Any] = {}
        for device in devices:
            value = _output(device, what)
            name = value.path if what == "waves" and value else value
            if name is None:
                continue
            other = seen.setdefault(Path(name).resolve(), device)
            if other is not device and not (what == "image" and device.read_only and other.read_only):
                raise UsageError(f"{what} {name} is given to two devices")


def _output(device: Any, what: str) -> Any:
    captures = {"pcap": device.captures.frames, "tlp-pcap": device.captures.tlps}
    return captures[what] if what in captures else getattr(device, what)


def _figures(handles: Sequence[Any]) -> dict[str, Any]:
    devices = []
    for handle in handles:
        device = handle.device
        devices.append(
            {
                "function": device.function,
                "socket": str(handle.socket),
                "image": None if device.image is None else str(device.image),
                "data_width": device.config.data_width,
                "face": getattr(device.config, "face", None),
                "error": None if handle.error is None else str(handle.error),
                **handle.stats(),
            }
        )
    return {"devices": devices}


def run(options: argparse.Namespace) -> int:
    """``ringwalker serve``."""
    from ..vfio_user.serving import serve_devices
    from ..waves.note import note_config
    from .serve_report import live_table, logging_to, print_figures

    check_output("--stats-json", options.stats_json)
    foreign = foreign_device_of(options)
    devices = _devices(options) if foreign is None else [foreign]
    for device in devices:
        if device.waves and device.design is None:
            note_config(device.waves.path, device.config)
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopSignals())
        console = stack.enter_context(logging_to(logging.DEBUG if options.verbose else logging.INFO))
        try:
            with status_line("starting") as status:
                # Until the sockets appear a signal ends what builds the models.
                serving = serve_devices(devices, once=options.once, progress=status, built=stop.take)
                handles = stack.enter_context(serving)
        except OSError as error:
            raise UsageError(str(error)) from None
        with live_table(console, handles) as refresh:
            while not stop.wait(_REFRESH_S) and any(handle.running for handle in handles):
                refresh()
        for handle in handles:
            handle.stop()
        for handle in handles:
            handle.join()
        figures = {**_figures(handles), "seconds": time.monotonic() - begin}
    unwritten = [line for handle in handles for line in handle.unwritten]
    if options.stats_json:
        with noted(unwritten):
            write_json(options.stats_json, figures)
    print_figures(console, figures)
    code = report_unwritten(unwritten)
    bad = [item for item in figures["devices"] if item["error"] is not None or item["violations"]]
    for item in bad:
        reason = item["error"] or f"broke {item['violations']} rule(s)"
        print(f"ringwalker: {item['socket']}: the device failed: {reason}", file=sys.stderr)
    return EXIT_FAILED if bad else code
