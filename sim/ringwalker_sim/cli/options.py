"""Options that several commands have, and what they come to."""

import argparse
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ringwalker.config import FACES, RINGS, DeviceConfig
from ringwalker.function.kind import FUNCTIONS
from ringwalker.pci.endpoint import EdgeConfig

from ..errors import RingwalkerError
from ..host.parameters import HostParameters

__all__ = [
    "RAW",
    "UsageError",
    "add_command",
    "add_device_options",
    "add_engine_option",
    "add_image_options",
    "add_interface_options",
    "add_link_options",
    "add_model_option",
    "add_report_option",
    "add_timeline_option",
    "byte_count",
    "check_folder",
    "check_output",
    "check_report",
    "check_timeline",
    "device_config",
    "link_host",
    "option",
    "positive",
]

RAW = "raw"
"""The one format of images that can be asked for."""

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class UsageError(RingwalkerError):
    """Something that the person asked for cannot be; the message says what."""


def byte_count(text: str) -> int:
    """A number of bytes: ``4096``, ``4k``, ``1M``."""
    scale = _UNITS.get(text[-1:].lower(), 1)
    digits = text[:-1] if scale > 1 else text
    if not digits.isdecimal() or int(digits) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes like 4096, 4k or 1M")
    return int(digits) * scale


def positive(text: str) -> int:
    """A whole number from 1 up; ``10k`` is 10000."""
    scale = {"k": 1000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    digits = text[:-1] if scale > 1 else text
    if not digits.isdecimal() or int(digits) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(digits) * scale


def add_engine_option(
    parser: Any, default: str | None = "native", engines: Sequence[str] | None = None
) -> None:
    """``--engine``, of ``engines`` or of all; ``default`` None leaves the choice to the command."""
    from ..engine.engines import ENGINES

    text = "what simulates the device (default native; model: a model in Python, without the hardware)"
    parser.add_argument("--engine", choices=engines or ENGINES, default=default, help=text)


def add_command(
    commands: Any, name: str, summary: str, examples: str, run: Callable[[argparse.Namespace], int]
) -> Any:
    """A parser for a command: ``summary``, in lower case, is its help and, as a sentence, its description;
    ``run(options)`` does it and gives the exit code.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=run)
    return parser


def add_device_options(parser: Any, function: bool = True) -> None:
    """``--config`` and options that change single settings of it; no ``--function`` without ``function``."""
    group = parser.add_argument_group("device")
    if function:
        text = (
            f"what the device is for: {', '.join(FUNCTIONS)}, or a function of your own as "
            f"package.module:Name (default {DeviceConfig().function})"
        )
        group.add_argument("--function", metavar="NAME", help=text)
    group.add_argument("--config", metavar="FILE.toml", help="configuration of the device")
    group.add_argument("--data-width", type=int, choices=(64, 128, 256, 512), help="bits a beat")
    group.add_argument("--queues", metavar="N", type=int, help="how many queues the device has")
    text = "the rings that the device offers; drivers here use packed ones where they are"
    group.add_argument("--ring", choices=RINGS, help=text)
    text = "the registers that drivers find: of virtio 1.x, of 0.9.5, or both (default modern)"
    group.add_argument("--face", choices=FACES, help=text)
    text = "who the device says it is: vendor 0x5000 (2007) or 0x1af4 (oasis)"
    group.add_argument("--preset", choices=("2007", "oasis"), help=text)


class _PlainModel(argparse.Action):
    """Asks for plain models, also in processes that this one starts."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, nargs=0, **options)

    def __call__(self, *_args: Any) -> None:
        from ..engine.native.models import MODEL_VARIABLE

        os.environ[MODEL_VARIABLE] = "plain"


def add_model_option(parser: Any) -> None:
    """``--plain-model``."""
    text = "simulate with the model as Verilator makes it: slower, and built in less time"
    parser.add_argument("--plain-model", action=_PlainModel, help=text)


def add_image_options(group: Any, whose: str) -> None:
    """``--read-only`` and ``--format``, for ``whose`` image or images."""
    text = f"the device says that it is read-only, and {whose} is never written"
    group.add_argument("--read-only", action="store_true", help=text)
    text = "take an image for the bytes of a disk even if it looks like something else, such as qcow2"
    group.add_argument("--format", choices=(RAW,), help=text)


def add_interface_options(parser: Any) -> None:
    """``--interface``, ``--transport`` and ``--driver-face``."""
    from ..guest.opening import INTERFACES, TRANSPORTS
    from ..guest.transport.faces import DRIVER_FACES

    group = parser.add_argument_group("interface")
    text = "stage of the virtio interface that the driver works by (default modern); see docs/history.md"
    group.add_argument("--interface", choices=INTERFACES, default="modern", help=text)
    text = (
        "how driver and device meet (default pci, the real device); memory: rings, with a device in Python; "
        "pipe: a stream of bytes"
    )
    group.add_argument("--transport", choices=TRANSPORTS, default="pci", help=text)
    text = "which registers the driver uses of a device that has both (default modern, where there are those)"
    group.add_argument("--driver-face", choices=tuple(DRIVER_FACES), help=text)


def option(name: str) -> str:
    """How a choice is called on the command line: ``--data-width`` for ``data_width``."""
    return f"--{name.replace('_', '-')}"


def device_config(options: argparse.Namespace, function: str | None = None) -> DeviceConfig:
    """The configuration that the options of :func:`add_device_options` describe, for ``function``.

    Errors: as for :func:`~..workload.choices.device_of`.
    """
    from ..workload.choices import device_of

    names = ("clock_mhz", "data_width", "queues", "ring", "face", "preset")
    changes = {name: getattr(options, name, None) for name in names}
    chosen = getattr(options, "function", None)
    return device_of(function, options.config, chosen=chosen, named=option, **changes)


def add_link_options(parser: Any) -> None:
    """``--link``, the device's clock, and how long the host takes to answer a read."""
    from ..host.link import LINKS
    from ..workload.choices import LATENCY

    parser.add_argument("--link", choices=tuple(LINKS), help="the link's rate counts (default: no limit)")
    text = "the device's clock (default 250), which times in ns and the link's rate refer to"
    parser.add_argument("--clock-mhz", metavar="N", type=positive, help=text)
    latency = parser.add_mutually_exclusive_group()
    text = f"cycles from a read request of the device to its completion (default {LATENCY})"
    latency.add_argument("--latency", metavar="N", type=positive, help=text)
    latency.add_argument("--latency-ns", metavar="N", type=positive, help="the same in ns")
    text = "mean of what a read takes beyond that, exponentially distributed (default 0)"
    parser.add_argument("--latency-tail-ns", metavar="N", type=positive, help=text)


def link_host(options: argparse.Namespace, engine: str, config: EdgeConfig) -> HostParameters:
    """What the options of :func:`add_link_options` come to. Errors: :class:`~..errors.ParameterError`, also
    for an engine without a link.
    """
    from ..workload.choices import host_of

    names = ("link", "latency", "latency_ns", "latency_tail_ns")
    return host_of(config, engine, named=option, **{name: getattr(options, name) for name in names})


def check_output(option: str, name: str | None) -> None:
    """See that a file can be written, before the work that fills it. ``-`` is standard output."""
    if name is None or name == "-":
        return
    path = Path(name)
    if path.is_dir():
        raise UsageError(f"{option} {name}: is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {name}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{option} {name}: cannot be written: {os.strerror(errno.EACCES)}")


def add_report_option(group: Any, of: str) -> None:
    """``--report``, of ``of``."""
    text = f"write all that a report needs of {of} into a folder, and report.html, which is one"
    group.add_argument("--report", metavar="FOLDER", help=text)


def check_report(name: str | None) -> None:
    """See that the folder of a report can be made or written to."""
    if name is None:
        return
    if name == "-":
        raise UsageError("--report -: a report is a folder with several files")
    path = Path(name)
    if path.is_dir():
        check_folder("--report", name)
    elif path.exists():
        raise UsageError(f"--report {name}: is a file; a report is a folder with several files")
    else:
        check_output("--report", name)


def add_timeline_option(group: Any, of: str) -> None:
    """``--timeline``, of every request ``of`` something."""
    text = f"write a timeline of every request{of}: open it at ui.perfetto.dev, or with ringwalker_sim"
    group.add_argument("--timeline", metavar="FILE", help=text)


def check_timeline(name: str | None, option: str = "--timeline") -> None:
    """See that a timeline can be recorded, and written."""
    check_output(option, name)
    if name == "-":
        raise UsageError(f"{option} -: a timeline is written to a file")


def check_folder(option: str, name: str | None) -> None:
    """See that files can be written into a folder that there is, before the work that fills them."""
    if name is None:
        return
    if not Path(name).is_dir():
        raise UsageError(f"{option} {name}: is not a folder")
    if not os.access(name, os.W_OK):
        raise UsageError(f"{option} {name}: cannot be written: {os.strerror(errno.EACCES)}")
