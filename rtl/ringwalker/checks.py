"""Checks of values that a person has chosen, each with a message that says what would do."""

import re
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import RingwalkerError
from .verilog_names import KEYWORDS

__all__ = [
    "ConfigError",
    "check",
    "check_flag",
    "check_name",
    "check_power",
    "check_range",
    "check_text",
    "check_types",
    "is_integer",
    "one_line",
    "shown",
    "shown_key",
]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")

_LONGEST = 80
"""Characters of a value in a message."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class ConfigError(RingwalkerError, ValueError):
    """A configuration that cannot be built; the message names the key, the value and what would do."""


def check(condition: bool, key: str, value: object, wanted: str) -> None:
    """Errors: :class:`ConfigError` unless ``condition``; ``wanted`` says what ``key`` has to be."""
    if not condition:
        raise ConfigError(f"{key} is {shown(value)}; it must be {wanted}")


def shown(value: object) -> str:
    """A value as it stands in a message: on one line, and not too long."""
    try:
        text = repr(value)
    except ValueError:
        return "an integer of thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def shown_key(key: str) -> str:
    """A key of a table as it stands in a message: quoted, unless TOML needs no quotes for it."""
    return key if _BARE_KEY.fullmatch(key) else shown(key)


def is_integer(value: object) -> bool:
    """Whether ``value`` is an integer and not a truth value, which Python counts among them."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_range(key: str, value: object, low: int, high: int) -> None:
    """Errors: :class:`ConfigError` unless ``value`` is an integer from ``low`` to ``high``."""
    inside = isinstance(value, int) and is_integer(value) and low <= value <= high
    check(inside, key, value, f"an integer from {low} to {high}")


def check_power(key: str, value: object, low: int, high: int) -> None:
    """Errors: :class:`ConfigError` unless ``value`` is a power of two from ``low`` to ``high``."""
    inside = isinstance(value, int) and is_integer(value) and low <= value <= high
    power = isinstance(value, int) and value & value - 1 == 0
    check(inside and power, key, value, f"a power of two from {low} to {high}")


def check_flag(key: str, value: object) -> None:
    """Errors: :class:`ConfigError` unless ``value`` is true or false."""
    check(isinstance(value, bool), key, value, "true or false")


def check_name(key: str, value: object) -> None:
    """Errors: :class:`ConfigError` unless ``value`` can begin names of modules, files and macros.

    Words are joined by single underscores, since double ones join the names of instances: so no name that
    begins with one prefix begins with another.
    """
    plain = isinstance(value, str) and _NAME.fullmatch(value) is not None
    check(plain, key, value, "letters and digits, and single underscores between them, a letter first")
    check(value not in KEYWORDS, key, value, "no keyword of Verilog or SystemVerilog")


def check_text(key: str, value: object, choices: tuple[str, ...]) -> None:
    """Errors: :class:`ConfigError` unless ``value`` is one of at least two strings."""
    quoted = [f'"{choice}"' for choice in choices]
    wanted = f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    check(isinstance(value, str) and value in choices, key, value, wanted)


def check_types(table: str, values: dict[str, Any], cls: type) -> None:
    """Errors: :class:`ConfigError` unless ``values`` are of the types that the dataclass ``cls`` declares.

    It knows ``bool``, ``int``, ``float``, ``str``, ``None``, ``Literal``, tuples, and unions of these. A
    value of any other declared type passes, and all do where the types cannot be found.
    """
    try:
        types_of = get_type_hints(cls)
    except (NameError, TypeError, AttributeError):
        return
    for key, value in values.items():
        if not _fits(value, types_of[key]):
            raise ConfigError(f"{table}.{key} is {shown(value)}; it must be {_type_name(types_of[key])}")


def _fits(value: Any, wanted: Any) -> bool:
    kind, inner = get_origin(wanted) or wanted, get_args(wanted)
    if kind in (types.UnionType, Union):
        return any(_fits(value, one) for one in inner)
    if kind is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if kind is tuple and isinstance(value, tuple) and inner:
        each = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(value) == len(each) and all(map(_fits, value, each))
    if kind is int:
        return is_integer(value)
    if kind is float:
        return isinstance(value, float) or is_integer(value)
    return not isinstance(kind, type) or kind not in _TYPE_NAMES or isinstance(value, kind)


_TYPE_NAMES = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    tuple: "an array",
    types.NoneType: "left out",
}


def _type_name(wanted: Any) -> str:
    kind, inner = get_origin(wanted) or wanted, get_args(wanted)
    if kind in (types.UnionType, Union):
        return " or ".join(_type_name(one) for one in inner if one is not types.NoneType)
    if kind is Literal:
        return " or ".join(map(shown, inner))
    if kind is tuple and inner:
        if inner[1:] == (...,):
            return f"an array, each item {_type_name(inner[0])}"
        return f"an array: {', '.join(map(_type_name, inner))}"
    return _TYPE_NAMES.get(kind, str(wanted))


def one_line(error: BaseException) -> str:
    """An exception's class and message, without line ends."""
    return " ".join(f"{type(error).__name__}: {error}".split())
