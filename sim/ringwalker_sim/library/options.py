"""The options of ``open``: those of the command line and the keys of a TOML file, by the same names."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import FUNCTIONS

from ..engine.engines import ENGINES
from ..errors import ParameterError
from ..waves.note import note_config
from ..workload.choices import check_waves, device_of, engine_of, host_of, machine_of
from ..workload.job import Job, OpenTask

__all__ = ["Chosen", "Options", "choose"]


class Options(TypedDict, total=False):
    """What can be said about a device and its machine."""

    config: str | Path | Mapping[str, Any] | DeviceConfig
    """A TOML file, what is in one, or a configuration."""
    data_width: int
    """Bits a beat: 64, 128, 256 or 512."""
    queues: int
    queue_size: int
    ring: str
    """``"split"``, ``"packed"`` or ``"both"``."""
    face: str
    """``"modern"``, ``"legacy"`` or ``"transitional"``."""
    preset: str
    """``"2007"`` or ``"oasis"``."""
    read_tags: int
    legacy_io: bool
    suspend: bool
    ring_tags: int
    chains: int
    max_payload: int
    max_read_request: int
    completion_timeout: int
    clock_mhz: int
    fields: bool
    name: str
    identity: Mapping[str, Any]
    pci: Mapping[str, Any]
    settings: Mapping[str, Any]
    """Of the function: the table that has its name in TOML."""
    blk: Mapping[str, Any]
    net: Mapping[str, Any]
    console: Mapping[str, Any]
    engine: str
    """``"native"`` (default), the compiled hardware; ``"model"``, the golden model in Python."""
    interface: str
    """The stage of the virtio interface: ``"modern"``, ``"2007-05"``, ..."""
    transport: str
    """``"pci"``, ``"memory"`` or ``"pipe"``."""
    driver_face: str
    in_order: bool
    interrupt: str
    """``"msix"``, ``"msi"`` or ``"intx"``."""
    link: str
    """``"gen2x4"``, ``"gen3x8"`` or ``"gen3x16"``; without it the link has no limit."""
    latency: int
    """Cycles that the host takes to answer a read."""
    latency_ns: float
    latency_tail_ns: float
    plain_model: bool
    """Verilator's model as it is: slower, and built in less time."""
    seed: int
    waves: str | Path
    """FST file that gets the waves of all signals."""
    image: str | Path
    """Disk image; without one the disk is blank."""
    read_only: bool
    format: str
    """``"raw"``: an image is taken for the bytes of a disk, whatever it looks like."""
    memory_bytes: int
    """Guest RAM; 64 MiB if nothing is said."""


_USUAL: Mapping[str, Any] = {
    "interface": "modern",
    "transport": "pci",
    "interrupt": "msix",
    "driver_face": None,
    "in_order": False,
    "seed": 1,
}
_LINK = ("link", "latency", "latency_ns", "latency_tail_ns")
_OTHERS = (
    "config",
    "engine",
    "plain_model",
    "waves",
    "image",
    "read_only",
    "format",
    "memory_bytes",
    "settings",
)
_TABLES = ("identity", "pci", *FUNCTIONS)
_RAM_BYTES = 64 << 20
_ENGINES = tuple(name for name in ENGINES if name != "cocotb")


@dataclass(frozen=True)
class Chosen:
    """What the options come to: a device, an engine, and the machine for it as a job."""

    config: DeviceConfig
    engine: str
    job: Job
    waves: Path | None
    plain: bool | None


def _check_names(options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ParameterError(f"{name} is no option{hint} There is {', '.join(sorted(known))}")


def _check_engine(engine: str | None) -> None:
    if engine == "cocotb":
        raise ParameterError(
            "engine is 'cocotb', whose simulator is a process of its own and cannot be opened here; take "
            "engine 'native' or 'model', and 'ringwalker run --engine cocotb' for the other"
        )
    if engine not in (None, *_ENGINES):
        raise ParameterError(f"engine is {engine!r}; it must be one of {', '.join(_ENGINES)}")


def choose(function: str, options: Mapping[str, Any]) -> Chosen:
    """What ``options`` say about the device of ``function``. Errors: ``RingwalkerError`` that names the
    option and what would do.
    """
    keys = tuple(item.name for item in dataclasses.fields(DeviceConfig) if item.name != "function")
    own = (function,) if function.isidentifier() else ()
    _check_names(options, (*keys, "preset", *_USUAL, *_LINK, *_OTHERS, *_TABLES, *own))
    _check_engine(options.get("engine"))
    given = {
        name: options[name] for name in (*keys, "preset", *_TABLES, *own) if options.get(name) is not None
    }
    config = device_of(function, options.get("config"), **_with_settings(function, given))
    machine = {name: options.get(name, usual) for name, usual in _USUAL.items()}
    engine = engine_of(options.get("engine"), machine["transport"], "native")
    fields = machine_of(config, **machine)
    link: dict[str, Any] = {name: options.get(name) for name in _LINK}
    fields["host"] = host_of(config, engine, **link)
    waves = options.get("waves")
    check_waves(waves, engine, machine["transport"])
    image, form = options.get("image"), options.get("format")
    if form not in (None, "raw"):
        raise ParameterError(f"format is {form!r}; it must be 'raw', or be left out")
    job = Job(
        OpenTask(),
        image=None if image is None else str(image),
        read_only=bool(options.get("read_only", False)),
        raw=form is not None,
        memory_bytes=options.get("memory_bytes", _RAM_BYTES),
        **fields,
    )
    if waves is not None:
        note_config(waves, config)
    plain = True if options.get("plain_model") else None
    return Chosen(config, engine, job, None if waves is None else Path(waves), plain)


def _with_settings(function: str, given: dict[str, Any]) -> dict[str, Any]:
    """``given`` with ``settings`` under the name of the function's table."""
    from ringwalker.function.kind import function_kind

    values = dict(given)
    if (settings := values.pop("settings", None)) is not None:
        name = function_kind(function).name
        values[name] = {**settings, **values.get(name, {})}
    return values
