"""The keys of a map file, and the values that a file has for them. docs/foreign-rtl.md has the table."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringwalker.checks import ConfigError, is_integer, shown, shown_key

__all__ = ["KEYS", "TABLES", "Key", "MapError", "read_map", "size_of", "table_of_keys"]


class MapError(ConfigError):
    """A map that does not fit; the message names the file, the key and what would do."""


@dataclass(frozen=True)
class Key:
    """A key of ``table`` ("": of the file itself): what its value is, what it is by itself, what it means.

    ``wanted`` is one of :data:`_TYPES`. ``usual`` as it stands in TOML; None: it must be given.
    """

    table: str
    name: str
    wanted: str
    usual: str | None
    meaning: str


KEYS: tuple[Key, ...] = (
    Key("", "top", "a name", "the file's", "the module that becomes the device"),
    Key("", "timeout", "a number", "250000", "cycles after which a read of a register is all ones"),
    Key("", "vectors", "a number", "as many as are used", "entries of the MSI-X table"),
    Key("", "msix_bar", "a number", "the first that is free", "the BAR of the MSI-X table"),
    Key("", "max_payload", "a number", "512", "bytes of a TLP at most: 128 to 4096"),
    Key("", "max_read_request", "a number", "512", "bytes that a read asks for at most: 128 to 4096"),
    Key("identity", "vendor", "a number", None, "vendor ID"),
    Key("identity", "device", "a number", None, "device ID"),
    Key("identity", "subsystem_vendor", "a number", "`vendor`", "subsystem vendor ID"),
    Key("identity", "subsystem", "a number", "`device`", "subsystem ID"),
    Key("identity", "class_code", "a number", "0xff0000", "class code, 24 bits"),
    Key("identity", "revision", "a number", "0", "revision ID"),
    Key("clock", "port", "names", '"clk"', "the clock, or several that are all the same one"),
    Key("clock", "reset", "names", '"rst"', 'the resets; `[]` for none'),
    Key("clock", "reset_level", "0 or 1", "1", "the level that resets"),
    Key("clock", "mhz", "a number", "250", "its frequency, for the link's rate and waves"),
    Key("clock", "idle", "a name", "none", "output: nothing will happen by itself"),
    Key("clock", "linger", "a number", "100000", "cycles for which time goes on behind traffic; 0: always"),
    Key("bar", "index", "a number", None, "which BAR: 0 to 5"),
    Key("bar", "size", "a size", None, 'bytes, as 65536 or "64K"; from 4K to 16M'),
    Key("bar", "bits", "32 or 64", "32", "a BAR of 64 bits takes the next one, too"),
    Key("bar", "axi_lite", "a bus", "none", "the slave behind it; without one it is that of `[tlp]`"),
    Key("bar", "base", "a number", "0", "added to each offset on the bus"),
    Key("axi", "prefix", "a name", None, "what the names of the master's ports begin with"),
    Key("tlp", "receive", "a stream", None, "stream of TLPs of the host into the design"),
    Key("tlp", "send", "a stream", None, "stream of TLPs of the design to the host"),
    Key("tlp", "bytes", '"big" or "little"', '"big"', "where the first byte of a dword of payload is"),
    Key("interrupt", "port", "a name", None, "output that rises for each interrupt"),
    Key("interrupt", "vector", "a number", "0", "the vector that is sent"),
    Key("interrupt", "kind", '"level" or "pulse"', '"level"', "a level drives INTA, too, while MSI-X is off"),
    Key("vector", "valid", "a name", None, "output: a vector is offered; with `[tlp]`"),
    Key("vector", "ready", "a name", "none", "input: it is taken"),
    Key("vector", "number", "a name", "none", "output: which one; without it always 0"),
    Key("show", "id", "a name", "none", "input: bus, device and function; with `[tlp]`"),
    Key("show", "bus_master_enable", "a name", "none", "input: the device may make requests"),
    Key("show", "memory_enable", "a name", "none", "input: memory BARs are decoded; with `[tlp]`"),
    Key("show", "msix_enable", "a name", "none", "input: MSI-X is on"),
    Key("show", "max_payload", "a name", "none", "input: bytes that a write may have"),
    Key("show", "max_read_request", "a name", "none", "input: bytes that a read may ask for"),
)  # fmt: skip
"""All keys. Of ``[parameters]`` and ``[tie]`` the keys are names of the design."""

TABLES = ("identity", "clock", "axi", "tlp", "vector", "show", "parameters", "tie")
_LISTS = ("bar", "interrupt")
_OPEN = ("axi",)
"""Tables that also have names of signals as keys."""
_UNITS = {"K": 1 << 10, "M": 1 << 20}


def size_of(value: Any) -> int | None:
    """Bytes of a size such as 4096 or "4K"; None if it is none."""
    if isinstance(value, str) and value[-1:] in _UNITS and value[:-1].isdecimal():
        return int(value[:-1]) * _UNITS[value[-1]]
    return value if isinstance(value, int) and is_integer(value) and value > 0 else None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_bus(value: Any) -> bool:
    return _is_name(value) or (isinstance(value, dict) and all(_is_name(item) for item in value.values()))


_TYPES: dict[str, Any] = {
    "a name": _is_name,
    "a number": lambda value: is_integer(value) and value >= 0,
    "names": lambda value: _is_name(value) or (isinstance(value, list) and all(map(_is_name, value))),
    "0 or 1": lambda value: is_integer(value) and value in (0, 1),
    "32 or 64": lambda value: is_integer(value) and value in (32, 64),
    "a size": lambda value: size_of(value) is not None,
    "a bus": _is_bus,
    "a stream": _is_bus,
    '"big" or "little"': lambda value: value in ("big", "little"),
    '"level" or "pulse"': lambda value: value in ("level", "pulse"),
}


def _checked(table: str, values: Any, where: str) -> dict[str, Any]:
    """A table whose keys are known and whose values fit. Errors: :class:`MapError`."""
    dot = f"{where}." if where else ""
    if not isinstance(values, Mapping):
        raise MapError(f"{where} is {shown(values)}; it must be a table")
    keys = {key.name: key for key in KEYS if key.table == table}
    for name, value in values.items():
        key = keys.get(name)
        if key is None and not (table in _OPEN and _is_name(value)):
            raise MapError(f"{dot}{shown_key(name)} is no key; there are {', '.join(keys)}")
        if key is not None and not _TYPES[key.wanted](value):
            raise MapError(f"{dot}{name} is {shown(value)}; it must be {key.wanted}")
    for key in keys.values():
        if key.usual is None and key.name not in values:
            raise MapError(f"{dot}{key.name} is missing: {key.meaning}")
    return dict(values)


def _names(table: str, values: Any, kinds: tuple[type, ...]) -> dict[str, Any]:
    fits = isinstance(values, Mapping) and all(
        isinstance(value, kinds) and not isinstance(value, bool) for value in values.values()
    )
    if not fits:
        raise MapError(
            f"{table} is {shown(values)}; it must be a table of names of the design and their values"
        )
    return dict(values)


def table_of_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in a map, checked key by key: the tables by name, ``bar`` and ``interrupt`` as lists of
    tables, and under ``""`` the keys outside of tables. Errors: :class:`MapError`.
    """
    alone = {name: value for name, value in values.items() if name not in (*TABLES, *_LISTS)}
    known = [key.name for key in KEYS if not key.table]
    for name in alone:
        if name not in known:
            tables = ", ".join(f"[{table}]" for table in (*TABLES, *_LISTS))
            raise MapError(
                f"{shown_key(name)} is no key; there are {', '.join(known)}, and the tables {tables}"
            )
    found: dict[str, Any] = {"": _checked("", alone, "")}
    found["identity"] = _checked("identity", values.get("identity", {}), "identity")
    for table in ("clock", "show"):
        found[table] = _checked(table, values.get(table, {}), table)
    for table in ("axi", "tlp", "vector"):
        found[table] = _checked(table, values[table], table) if table in values else None
    for table in _LISTS:
        rows = values.get(table, [])
        if not isinstance(rows, Sequence) or isinstance(rows, str):
            raise MapError(f"{table} is {shown(rows)}; it must be tables, each under [[{table}]]")
        found[table] = [_checked(table, row, f"{table}[{n}]") for n, row in enumerate(rows)]
    found["parameters"] = _names("parameters", values.get("parameters", {}), (int, str))
    found["tie"] = _names("tie", values.get("tie", {}), (int,))
    return found


def read_map(path: str | Path) -> dict[str, Any]:
    """The map in a TOML file, as :func:`table_of_keys` gives it. Errors: :class:`MapError`."""
    try:
        return table_of_keys(tomllib.loads(Path(path).read_bytes().decode()))
    except OSError as error:
        raise MapError(f"{path}: {error.strerror}") from None
    except MapError as error:
        raise MapError(f"{path}: {error}") from None
    except RecursionError:
        raise MapError(f"{path}: it is nested too deeply") from None
    except ValueError as error:
        raise MapError(f"{path}: not TOML: {error}") from None
