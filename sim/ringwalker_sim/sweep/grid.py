"""The grid of a sweep: its keys, their values, and the cases that it comes to."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import function_kind

from ..errors import ParameterError, RingwalkerError
from ..host.link import Link
from ..performance.cases import DIRECTIONS, Case

__all__ = ["WORKLOAD_KEYS", "Grid", "GridCase", "device_keys", "parse_setting"]

WORKLOAD_KEYS = (
    *("function", "direction", "size", "queues", "depth", "indirect", "notification_data", "in_order"),
    *("driver_face", "link", "latency_ns", "requests"),
)
"""The keys of the workload and of the link; all others say what the device is, of one function."""

_TABLES = ("identity", "pci")
_NO_KEYS = {"queues", "name", "settings", "pci.rom", "pci.rom_content", *_TABLES}
"""What a case has in another way, tables, and what is a file or its content."""


@dataclass(frozen=True)
class GridCase(Case):
    """A case on a device of which more is chosen: ``device`` has keys of its configuration, a table and a key
    with a dot between them, and values. Errors: as of a case; ``ConfigError``.
    """

    device: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self):
        super().__post_init__()
        _ = self.config

    @property
    def config(self) -> DeviceConfig:
        """The device."""
        return _config(self)

    @property
    def pcie(self) -> Link:
        """The link, with no larger packets than the device takes."""
        link, config = super().pcie, self.config
        return replace(
            link,
            max_payload=min(link.max_payload, config.max_payload),
            max_read_request=min(link.max_read_request, config.max_read_request),
        )


@cache
def _config(case: GridCase) -> DeviceConfig:
    values = Case.config.__get__(case).to_dict()
    for name, value in case.device:
        table, dot, key = name.rpartition(".")
        (values.setdefault(table, {}) if dot else values)[key] = value
    return DeviceConfig.from_dict(values)


def device_keys() -> list[str]:
    """Keys of a configuration that are no keys of a case: of all devices, of tables, and of functions."""
    case = {item.name for item in fields(Case)} | _NO_KEYS
    names = [item.name for item in fields(DeviceConfig) if item.name not in case]
    for item in fields(DeviceConfig):
        if item.name in _TABLES:
            table = getattr(DeviceConfig(), item.name)
            names += [name for key in fields(table) if (name := f"{item.name}.{key.name}") not in _NO_KEYS]
    for function in DIRECTIONS:
        settings = function_kind(function).settings
        names += [f"{function}.{key.name}" for key in fields(settings)] if settings else []
    return names


def _number(text: str, thousand: int) -> int:
    scale = {"k": thousand, "m": thousand**2, "g": thousand**3}.get(text[-1:].lower(), 1)
    digits = text[:-1] if scale > 1 else text
    if not digits.isdecimal():
        raise ValueError("it must be a whole number")
    return int(digits) * scale


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("it must be true or false")
    return text == "true"


def _value(key: str, text: str) -> Any:
    """The value of a key as text. Errors: ``ValueError``."""
    usual = {item.name: item.default for item in fields(Case)}
    if key not in usual:  # What it has to be is known where the configuration is checked.
        return text == "true" if text in ("true", "false") else int(text) if text.isdecimal() else text
    if isinstance(usual[key], bool):
        return _flag(text)
    if isinstance(usual[key], int):
        return _number(text, 1024 if key == "size" else 1000)
    return text


def parse_setting(text: str) -> tuple[str, tuple[Any, ...]]:
    """``KEY=VALUE,VALUE`` as the key and its values. Errors: :class:`ParameterError`."""
    key, equals, values = text.partition("=")
    known = [*(item.name for item in fields(Case)), *device_keys()]
    key = key.strip().replace("-", "_")
    if not equals:
        raise ParameterError(f"{text}: is not KEY=VALUE,VALUE")
    if key not in known:
        raise ParameterError(f"{key} is no key; there are {', '.join(known)}")
    found = []
    for item in values.split(","):
        try:
            found.append(_value(key, item.strip()))
        except ValueError as error:
            raise ParameterError(f"{key} is {item.strip()!r}; {error}") from None
    if len(set(found)) < len(found):
        raise ParameterError(f"{text}: has a value twice")
    return key, tuple(found)


@dataclass(frozen=True)
class Grid:
    """Values of keys; each of one key with each of all others is a case, if there can be such a case.

    Errors: :class:`ParameterError` for a value of which no case can be, with the reason.
    """

    values: Mapping[str, tuple[Any, ...]]
    cases: tuple[GridCase, ...]
    """Those that can be, in the order of the grid: the last key changes fastest."""
    reasons: tuple[str, ...]
    """Why each of the others cannot be."""

    @classmethod
    def of(cls, settings: Sequence[str]) -> "Grid":
        """The grid of some ``KEY=VALUE,VALUE``. Errors: :class:`ParameterError`."""
        values: dict[str, tuple[Any, ...]] = {}
        for key, found in map(parse_setting, settings):
            if key in values:
                raise ParameterError(f"{key} is set twice")
            values[key] = found
        cases, reasons = [], []
        why: dict[tuple[str, Any], str] = {}
        possible = set()
        for chosen in itertools.product(*values.values()):
            settled = dict(zip(values, chosen, strict=True))
            try:
                cases.append(_case(settled))
                possible.update(settled.items())
            except RingwalkerError as error:
                reasons.append(str(error))
                for item in settled.items():
                    why.setdefault(item, str(error))
        never = [item for item in why if item not in possible]
        if never:
            # Where the reason has another name, the value may be good with others of that key.
            key, value = next((item for item in never if why[item].startswith(item[0])), never[0])
            raise ParameterError(f"no case can have {key}={_text(value)}: {why[key, value]}")
        return cls(values, tuple(cases), tuple(reasons))

    @property
    def varied(self) -> list[str]:
        """The keys with more than one value."""
        return [key for key, values in self.values.items() if len(values) > 1]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _case(settled: Mapping[str, Any]) -> GridCase:
    names = {item.name for item in fields(Case)}
    chosen = {key: value for key, value in settled.items() if key in names}
    function = chosen.get("function", Case.function)
    chosen.setdefault("direction", DIRECTIONS.get(function, (Case.direction,))[0])
    device = tuple((key, value) for key, value in settled.items() if key not in names)
    return GridCase(**chosen, device=device)
