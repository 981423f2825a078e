"""What ``serve --rtl`` serves: a design of the user's, by a map of its ports."""

import argparse
import dataclasses
import sys
from typing import Any

from .capture_options import captures_of, check_captures
from .devices import check_no_window, waves_window
from .options import UsageError, check_output, link_host

__all__ = ["add_foreign_options", "foreign_device_of"]

_OURS = (
    "image",
    "timeline",
    "read_only",
    "format",
    "device",
    "function",
    "config",
    "data_width",
    "queues",
    "ring",
    "face",
)
"""Options of devices that are not the user's."""


def add_foreign_options(group: Any) -> None:
    """``--rtl``, ``--map`` and ``--rtl-include``."""
    text = "Verilog of a design of yours that is the device; can be given several times, the top first"
    group.add_argument("--rtl", metavar="FILE.v", action="append", default=[], help=text)
    text = "which ports of it are what, and what the device is (docs/foreign-rtl.md)"
    group.add_argument("--map", metavar="FILE.toml", help=text)
    text = "a folder with what the Verilog includes; can be given several times"
    group.add_argument("--rtl-include", metavar="DIR", action="append", default=[], help=text)


def foreign_device_of(options: argparse.Namespace) -> Any:
    """The :class:`~..vfio_user.serving.ServedDevice` of ``--rtl``; None without that option.

    Errors: :class:`UsageError`; those of :func:`~..foreign.device.foreign_device`.
    """
    if not options.rtl:
        if options.map or options.rtl_include:
            raise UsageError("--map and --rtl-include need --rtl")
        return None
    if not options.map:
        raise UsageError("--rtl needs --map: which ports of the design are what")
    for name in _OURS:
        if getattr(options, name):
            raise UsageError(
                f"--{name.replace('_', '-')} is of no use with --rtl; the map says what the device is"
            )
    from ..foreign.device import foreign_device
    from ..vfio_user.serving import ServedDevice

    check_output("--socket", options.socket)
    waves = waves_window(options, options.waves)
    if waves is None:
        check_no_window(options)
    found = foreign_device(options.rtl, options.map, options.rtl_include)
    config = found.config
    if options.clock_mhz is not None:
        config = dataclasses.replace(config, clock_mhz=options.clock_mhz)
    bars = ", ".join(f"BAR {one.bar} of {one.size} bytes" for one in config.windows) or "no BAR"
    identity = f"{config.identity.vendor:04x}:{config.identity.device:04x}"
    print(f"{found.top.module}: {identity}, {bars}, MSI-X in BAR {config.msix_bar}", file=sys.stderr)
    return ServedDevice(
        config,
        None,
        options.socket,
        waves=waves,
        captures=check_captures(captures_of(options), config),
        host=dataclasses.replace(
            link_host(options, "native", config),
            max_payload=config.max_payload,
            max_read_request=config.max_read_request,
            completion_timeout=found.timeout,
        ),
        seed=options.seed,
        design=found.verilog(),
        name=found.top.module,
        runs_on=found.runs_on,
    )
