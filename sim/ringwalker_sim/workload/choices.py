"""What a person chooses about a device and its machine, by the names that command line and library share.

Every function takes ``named``: how a choice is called in messages, ``--data-width`` on the command line and
``data_width`` in the library.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.pci.endpoint import EdgeConfig

from ..errors import ParameterError
from ..guest.transport.faces import driver_face
from ..host.link import LINKS
from ..host.parameters import HostParameters, LatencyShape

__all__ = ["LATENCY", "check_waves", "device_of", "driver_face_of", "engine_of", "host_of", "machine_of"]

LATENCY = 125
"""Cycles from a read request of the device to its completion, where nothing is said."""

_MODEL = "take engine native, or leave it out"


def _read(config: Any, function: str | None) -> DeviceConfig:
    """A configuration; ``function`` takes the place of the one there."""
    if isinstance(config, DeviceConfig):
        return config if function is None else DeviceConfig.from_dict(config.to_dict(), function)
    if config is None or isinstance(config, Mapping):
        return DeviceConfig.from_dict(config or {}, function)
    return DeviceConfig.from_toml(config, function)


def device_of(
    function: str | None = None,
    config: str | Path | Mapping[str, Any] | DeviceConfig | None = None,
    *,
    chosen: str | None = None,
    preset: str | None = None,
    named: Callable[[str], str] = str,
    **changes: Any,
) -> DeviceConfig:
    """The device of ``config``, a TOML file or what is in one, with ``changes``: its keys; None changes
    nothing, and a table changes what it has.

    ``function`` is the one that the device must have, ``chosen`` one that takes the place of the one in
    ``config``. Errors: ``ConfigError``; :class:`ParameterError` for a configuration of another function.
    """
    # A file need not name a function of the user's own to have a table of its settings.
    found = _read(config, function if function and ":" in function else chosen)
    if function is not None and found.function not in (function, DeviceConfig().function):
        place = named("config") if config is None or isinstance(config, Mapping | DeviceConfig) else config
        raise ParameterError(f"{named('config')} {place}: its function is {found.function}, not {function}")
    if function is not None and function != found.function:
        found = _read(config, function)
    wanted = {key: value for key, value in changes.items() if value is not None}
    if preset is not None:
        wanted["identity"] = {**wanted.get("identity", {}), "preset": preset}
    if not wanted:
        return found
    values = found.to_dict()
    for key, value in wanted.items():
        both = isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
        values[key] = {**values[key], **value} if both else value
    return DeviceConfig.from_dict(values)


def engine_of(engine: str | None, transport: str, usual: str, named: Callable[[str], str] = str) -> str:
    """The engine that was asked for, or that goes with the transport. Errors: :class:`ParameterError`."""
    if transport == "pci":
        return engine or usual
    if engine not in (None, "model"):
        raise ParameterError(f"{named('engine')} {engine}: transport {transport} has no hardware")
    return "model"


def host_of(
    config: EdgeConfig,
    engine: str,
    *,
    link: str | None = None,
    latency: int | None = None,
    latency_ns: float | None = None,
    latency_tail_ns: float | None = None,
    named: Callable[[str], str] = str,
) -> HostParameters:
    """The host on a link of :data:`~..host.link.LINKS`, which takes ``latency`` cycles or ``latency_ns`` to
    answer a read, and up to ``latency_tail_ns`` on average beyond that.

    Errors: :class:`ParameterError`, also for an engine without a link.
    """
    for name, value in (("link", link), ("latency_tail_ns", latency_tail_ns)):
        if value is not None and engine != "native":
            raise ParameterError(f"{named(name)}: the {engine} engine has no model of the link; {_MODEL}")
    if link is not None and link not in LINKS:
        raise ParameterError(f"{named('link')} is {link!r}; it must be one of {', '.join(LINKS)}")
    if latency is not None and latency_ns is not None:
        raise ParameterError(f"{named('latency')} and {named('latency_ns')}: one of them is enough")
    values: dict[str, Any] = {"latency": LATENCY if latency is None else latency}
    if latency_ns is not None:
        values["latency"] = max(1, round(latency_ns * config.clock_mhz / 1000))
    if link is not None:
        values["link_bytes_per_cycle"] = LINKS[link].bytes_per_cycle(config.clock_mhz)
    if latency_tail_ns is not None:
        values["latency_jitter"] = round(latency_tail_ns * config.clock_mhz / 1000)
        values["latency_shape"] = LatencyShape.LONG_TAIL
    return HostParameters(**values)


def driver_face_of(
    config: DeviceConfig,
    transport: str,
    face: str | None,
    in_order: bool,
    named: Callable[[str], str] = str,
) -> str | None:
    """The register face that the driver uses; None on a transport without any. Errors:
    :class:`ParameterError`; those of :func:`~..guest.transport.faces.driver_face`.
    """
    if transport == "pci":
        used = driver_face(config.face, face)
        if used == "legacy" and in_order:
            raise ParameterError(f"{named('in_order')}: a legacy driver cannot ask for that")
        return used
    if face is not None:
        raise ParameterError(f"{named('driver_face')}: a device on transport {transport} has no registers")
    return None


def machine_of(
    config: DeviceConfig,
    *,
    interface: str,
    transport: str,
    interrupt: str,
    driver_face: str | None,
    in_order: bool,
    seed: int,
    named: Callable[[str], str] = str,
) -> dict[str, Any]:
    """The fields of a :class:`~.job.Job` that these choices set. Errors: :class:`ParameterError`."""
    if interrupt == "msi" and transport == "pci" and not config.pci.msi:
        raise ParameterError(
            f"{named('interrupt')} msi: the device has no MSI; a configuration with [pci] msi = 1 has it"
        )
    packed = config.ring != "split"
    return {
        "interface": interface,
        "transport": transport,
        "interrupt": interrupt,
        "driver_face": driver_face_of(config, transport, driver_face, in_order, named),
        "rings": (*(("RING_PACKED",) if packed else ()), *(("IN_ORDER",) if in_order else ())),
        "seed": seed,
    }


def check_waves(
    waves: str | Path | None, engine: str, transport: str, named: Callable[[str], str] = str
) -> None:
    """See that waves can be written to the file. Errors: :class:`ParameterError`."""
    if waves is None:
        return
    name = named("waves")
    if transport != "pci":
        raise ParameterError(f"{name}: a device on transport {transport} has no signals")
    if engine == "model":
        raise ParameterError(f"{name}: a device in Python has no signals; {_MODEL}")
    if Path(waves).suffix != ".fst":
        raise ParameterError(f"{name} {waves}: the name must end with .fst")
    if Path(waves).exists() and not Path(waves).is_file():
        raise ParameterError(f"{name} {waves}: waves are written to a regular file")
