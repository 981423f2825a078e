"""What a function of a given configuration consists of, asked of its record and checked.

The record may be somebody else's. Whatever is wrong with it becomes one line that names the function.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Const, Elaboratable, Fragment, Shape
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..checks import ConfigError, is_integer, one_line
from ..interfaces import TLP_STREAMS, ChainPort, RegisterPort

if TYPE_CHECKING:
    from ..config import DeviceConfig

__all__ = ["FunctionParts", "GuardedFunction", "function_component", "function_parts", "optional_output"]

_STREAMS = (*TLP_STREAMS, "edge")
_OF_DEVICES = (*_STREAMS, "intx", "idle", "clk", "rst", "config", "elaborate", "signature", "metadata")
_OPTIONAL = {
    "active": Out(1),
    "generation": Out(8),
    "config_change": Out(1),
    "withheld": Out(64),
    "driver_ok": In(1),
    "clear": In(1),
    "legacy": In(1),
}


@dataclass(frozen=True)
class FunctionParts:
    """The parts of :class:`~.kind.FunctionKind` that depend on the configuration."""

    chain_ports: tuple[str, ...]
    """Names of the chain ports, one a lane."""
    lanes: tuple[tuple[int, ...], ...]
    """The queues behind each chain port."""
    write_only: tuple[int, ...]
    """Numbers of the lanes whose chains the function only writes to."""
    ports: dict[str, wiring.Member]
    """Members of the component that become ports of the device."""
    features: int
    """Mask of the feature bits of the device type that may be offered."""


def _wrong(config: "DeviceConfig", text: str) -> ConfigError:
    return ConfigError(f"function is {config.function!r}; {text}")


def _asked(config: "DeviceConfig", name: str) -> Any:
    """What the callable ``name`` of the record gives for ``config``."""
    part: Callable[[Any], Any] = getattr(config.kind, name)
    try:
        return part(config)
    except ConfigError:
        raise
    except Exception as error:
        raise _wrong(config, f"its {name} raises {one_line(error)}") from error


def _check_lanes(config: "DeviceConfig", lanes: Any) -> None:
    text = f"its lanes are {lanes!r}; they must be a dict from names of chain ports to tuples of queues"
    try:
        queues = [queue for lane in lanes.values() for queue in lane]
        names = list(lanes)
    except (AttributeError, TypeError):
        raise _wrong(config, text) from None
    if not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise _wrong(config, text)
    whole = all(is_integer(queue) for queue in queues) and sorted(queues) == list(range(config.queues))
    if not whole or not all(len(lane) for lane in lanes.values()):
        last = config.queues - 1
        raise _wrong(config, f"its lanes are {lanes!r}; each queue from 0 to {last} must be in one")


def _check_ports(config: "DeviceConfig", ports: Any, lanes: Collection[str]) -> None:
    if not isinstance(ports, dict) or not all(isinstance(item, wiring.Member) for item in ports.values()):
        raise _wrong(
            config, f"its ports are {ports!r}; they must be a dict from names to In(...) and Out(...)"
        )
    for name in ports:
        if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
            raise _wrong(config, f"its port {name!r} needs a name that is an identifier without _ in front")
        # In Verilog the parts of a port have its name in front of theirs.
        if name in _OF_DEVICES or name.startswith(tuple(f"{stream}_" for stream in _STREAMS)):
            raise _wrong(config, f"its port {name} needs another name; every device has this one already")
        if name == "registers" or name in _OPTIONAL or name in lanes:
            raise _wrong(config, f"its port {name} needs another name; the device inside connects this one")


def function_parts(config: "DeviceConfig") -> FunctionParts:
    """The parts of the function of ``config``. Errors: :class:`~ringwalker.checks.ConfigError`."""
    lanes, ports, features = (_asked(config, name) for name in ("lanes", "ports", "features"))
    _check_lanes(config, lanes)
    _check_ports(config, ports, lanes)
    if not is_integer(features) or not 0 <= features < 1 << 64:
        raise _wrong(config, f"its features are {features!r}; they must be a mask of at most 64 bits")
    strange = [name for name in config.kind.write_only if name not in lanes]
    if strange:
        raise _wrong(config, f"{strange[0]!r} of its write_only is not among its lanes, {', '.join(lanes)}")
    return FunctionParts(
        tuple(lanes),
        tuple(tuple(lane) for lane in lanes.values()),
        tuple(n for n, name in enumerate(lanes) if name in config.kind.write_only),
        ports,
        int(features),
    )


def _alike(one: wiring.Member, other: wiring.Member) -> bool:
    """Whether two members are of one make. (Amaranth compares signatures of named classes by identity.)"""
    if (one.flow, one.dimensions, one.is_port) != (other.flow, other.dimensions, other.is_port):
        return False
    if one.is_port:
        return Shape.cast(one.shape) == Shape.cast(other.shape)
    ours, theirs = one.signature.members, other.signature.members
    return set(ours) == set(theirs) and all(_alike(ours[name], theirs[name]) for name in ours)


def function_component(config: "DeviceConfig") -> Any:
    """The hardware of the function of ``config``: a component that has all the members it must have.

    Errors: :class:`~ringwalker.checks.ConfigError`.
    """
    component = _asked(config, "component")
    if not isinstance(component, wiring.Component):
        raise _wrong(config, f"its component is {component!r}; it must be a wiring.Component")
    parts = function_parts(config)
    wanted: dict[str, wiring.Member] = {
        **{name: In(ChainPort(config.data_width)) for name in parts.chain_ports},
        **parts.ports,
    }
    if config.kind.device_config is not None:
        wanted["registers"] = In(RegisterPort())
    members = component.signature.members
    wanted |= {name: member for name, member in _OPTIONAL.items() if name in members}
    for name, member in wanted.items():
        if name not in members:
            raise _wrong(config, f"{type(component).__name__} has no member {name}; it must be {member!r}")
        if not _alike(members[name], member):
            raise _wrong(
                config, f"{type(component).__name__}.{name} is {members[name]!r}; it must be {member!r}"
            )
    return component


def optional_output(component: Any, name: str) -> Any:
    """The member ``name`` of a function's component, or 0 for one that has none."""
    return getattr(component, name) if name in component.signature.members else Const(0)


class GuardedFunction(Elaboratable):
    """The hardware of a function, whose errors while it is elaborated name the function.

    Errors: :class:`~ringwalker.checks.ConfigError` from ``elaborate``.
    """

    def __init__(self, config: "DeviceConfig", component: wiring.Component):
        self._config = config
        self._component = component

    def elaborate(self, platform):
        try:
            return Fragment.get(self._component, platform)
        except Exception as error:
            name = type(self._component).__name__
            raise _wrong(self._config, f"{name}.elaborate raises {one_line(error)}") from error
