"""What a function is, in one record; and the door through which a device finds it by name.

A function of somebody else's is a module with a :class:`FunctionKind` in it. The configuration names it as
``"package.module:Name"``.
"""

import dataclasses
import enum
import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..checks import ConfigError, is_integer, one_line, shown
from ..spec.fields import FieldView
from ..spec.modern import PAGE
from ..spec.registers import RegisterTable
from ..streams import MOST_QUEUES

if TYPE_CHECKING:
    from ..config import DeviceConfig

__all__ = ["FUNCTIONS", "FunctionKind", "add_import_folder", "function_kind", "module_name", "sources"]

FUNCTIONS: Mapping[str, str] = {
    "blk": "ringwalker.function.blk:KIND",
    "net": "ringwalker.function.net:KIND",
    "console": "ringwalker.function.console:KIND",
    "rng": "ringwalker.function.entropy:KIND",
}
"""The functions that have a short name, and where their records are."""


def _one_lane(config: "DeviceConfig") -> dict[str, tuple[int, ...]]:
    return {"chain": tuple(range(config.queues))}


def _no_ports(config: "DeviceConfig") -> dict[str, Any]:
    return {}


def _no_features(config: "DeviceConfig") -> int:
    return 0


@dataclass(frozen=True)
class FunctionKind:
    """Everything about a function that the device around it, its configuration and its documents ask.

    What depends on the configuration is called with a valid :class:`~ringwalker.config.DeviceConfig`, whose
    ``settings`` are an instance of ``settings``. Errors: ``ValueError`` naming the member.
    """

    name: str
    """Short name: of its table in TOML and in documents. A lower-case identifier."""
    device_type: int
    """Virtio device type, from 1 to 0xEFBF."""
    component: Callable[["DeviceConfig"], Any]
    """Gives the hardware: a component with the members of ``ports``, an ``In(ChainPort(data_width))`` for
    each name of ``lanes``, and, if there is a ``device_config``, ``registers`` In(RegisterPort()), which
    :class:`~.device_config.DeviceConfigFace` answers.

    It may have these members too:

    - ``active`` Out 1: it works on something that its chains do not show
    - ``generation`` Out 8: goes up whenever it changes its device configuration
    - ``config_change`` Out 1: a pulse for a change that the driver is to hear of
    - ``withheld`` Out 64: those of ``features`` that are not offered at present; they do not change from a
      device reset until FEATURES_OK is set
    - ``driver_ok`` In 1: DRIVER_OK is set, and no reset is in progress or needed
    - ``legacy`` In 1: the driver is one of virtio 0.9.5; it does not change while there are chains
    - ``clear`` In 1: a pulse at a device reset once all chains are answered: forget what the driver has set
    """
    class_code: int = 0x00FF00
    """PCI class, subclass and interface; the default is a device that fits no class."""
    queues: int = 1
    """Number of virtqueues unless the configuration says otherwise."""
    queue_choices: range = range(0)
    """Numbers of virtqueues that a configuration may choose; empty: only ``queues``."""
    lanes: Callable[["DeviceConfig"], Mapping[str, tuple[int, ...]]] = _one_lane
    """The queues behind each chain port, by name of the port; every queue stands behind one. A chain waits
    for those before it on its port, never for another port's. When a queue is reset that does not end its
    chains soon, those of the other queues on its port that are not used yet come a second time. Default: all
    queues behind ``chain``."""
    forgets: bool = False
    """Whether the component acts on ``forget`` of its chain ports. Otherwise a
    :class:`~.chain_guard.ChainGuard` leads it to the end of void chains: a reset does not wait for that, but
    the next chains do. So it should then end chains soon while ``halt`` is up."""
    write_only: tuple[str, ...] = ()
    """Chain ports whose chains are usually only written to: they get few tags to read payload with."""
    ports: Callable[["DeviceConfig"], Mapping[str, Any]] = _no_ports
    """Members of the component that become ports of the device, by name. Default: none."""
    features: Callable[["DeviceConfig"], int] = _no_features
    """Mask of the feature bits of this device type that are offered, but for ``withheld`` of the component.
    Default: none."""
    feature_bits: type[enum.IntEnum] | None = None
    """Names of the feature bits of this device type."""
    settings: type | None = None
    """Frozen dataclass of what can be set in its table, every member with a default; None: nothing."""
    device_config: RegisterTable | None = None
    """The device configuration structure; None: the device has none."""
    fields: tuple[FieldView, ...] = ()
    """Its fields in the list of 2007."""
    spec: ModuleType | None = None
    """A module with registers, structures and numbers for the C header, those in its ``__all__``."""
    simulation: str | None = None
    """The simulation's half, as ``"package.module:Name"``."""

    def __post_init__(self):
        for wanted, name, good in (
            ("a lower-case identifier", "name", _is_identifier(self.name)),
            ("an integer from 1 to 0xefbf", "device_type", _is_between(self.device_type, 1, 0xEFBF)),
            ("an integer from 0 to 0xffffff", "class_code", _is_between(self.class_code, 0, 0xFFFFFF)),
            (f"an integer from 1 to {MOST_QUEUES}", "queues", _is_between(self.queues, 1, MOST_QUEUES)),
            (f"a range inside 1 to {MOST_QUEUES}", "queue_choices", _is_choice(self.queue_choices)),
            ("callable", "component", callable(self.component)),
            ("callable", "lanes", callable(self.lanes)),
            ("True or False", "forgets", isinstance(self.forgets, bool)),
            ("callable", "ports", callable(self.ports)),
            ("callable", "features", callable(self.features)),
            ("a dataclass or None", "settings", self.settings is None or _is_record(self.settings)),
            (
                f"a RegisterTable of 1 to {PAGE} bytes, or None",
                "device_config",
                _is_structure(self.device_config),
            ),
            ("a module or None", "spec", _is_optional(self.spec, ModuleType)),
            ("a string or None", "simulation", _is_optional(self.simulation, str)),
        ):
            if not good:
                raise ValueError(f"{name} of FunctionKind is {getattr(self, name)!r}; it must be {wanted}")


def _is_identifier(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier() and value == value.lower()


def _is_between(value: Any, low: int, high: int) -> bool:
    return is_integer(value) and low <= value <= high


def _is_choice(value: Any) -> bool:
    return isinstance(value, range) and all(1 <= number <= MOST_QUEUES for number in value)


def _is_record(value: Any) -> bool:
    return isinstance(value, type) and dataclasses.is_dataclass(value)


def _is_structure(value: Any) -> bool:
    return value is None or (
        isinstance(value, RegisterTable) and bool(value.registers) and value.size <= PAGE
    )


def _is_optional(value: Any, kind: type) -> bool:
    return value is None or isinstance(value, kind)


def add_import_folder(folder: str | Path) -> None:
    """Modules in ``folder`` can be imported from now on, unless others of their name come before."""
    place = str(Path(folder).resolve())
    if place not in sys.path:
        sys.path.append(place)


def function_kind(function: str) -> FunctionKind:
    """The record of a function: a name of :data:`FUNCTIONS`, or ``"package.module:Name"``.

    Modules are looked for where Python does, and then in the working folder. Errors:
    :class:`~ringwalker.checks.ConfigError`, one line that says what is wrong with the name.
    """
    names = ", ".join(f'"{name}"' for name in FUNCTIONS)
    wanted = f'it must be {names} or "package.module:Name"'
    if not isinstance(function, str):
        raise ConfigError(f"function is {shown(function)}; {wanted}")
    module_name, colon, attribute = FUNCTIONS.get(function, function).partition(":")
    parts = (*module_name.split("."), attribute)
    if not colon or not all(part.isidentifier() for part in parts):
        raise ConfigError(f"function is {shown(function)}; {wanted}")
    if function not in FUNCTIONS:
        add_import_folder(".")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigError(
            f"function is {function!r}; module {module_name} does not import: {one_line(error)}"
        ) from error
    kind = getattr(module, attribute, None)
    if kind is None:
        place = getattr(module, "__file__", None) or module_name
        raise ConfigError(f"function is {function!r}; there is no {attribute} in {place}")
    if not isinstance(kind, FunctionKind):
        raise ConfigError(f"function is {function!r}; {attribute} must be a FunctionKind, not {kind!r}")
    return kind


def module_name(function: str) -> str:
    """The module with the record of a function: ``package.module`` of its ``"package.module:Name"``."""
    return FUNCTIONS.get(function, function).partition(":")[0]


def sources(function: str) -> list[Path]:
    """The Python files of a function: those of its package, or those beside a module that is in none.

    Errors: as :func:`function_kind`.
    """
    function_kind(function)
    module = sys.modules[module_name(function)]
    folder = Path(str(module.__file__)).parent
    return sorted(folder.glob("*.py") if not module.__package__ else folder.rglob("*.py"))
