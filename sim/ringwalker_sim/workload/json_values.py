"""Frozen dataclasses as values that JSON can hold, and back: by the types that their fields declare."""

import dataclasses
import enum
import importlib
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..errors import ParameterError

__all__ = ["decode", "decode_named", "encode", "encode_named"]

_CLASS = "class"
"""Key that says which class an object of :func:`encode_named` is of, as ``module:name``."""

_HEX = "hex"
"""Key of bytes."""


def encode(value: Any) -> Any:
    """``value`` as JSON: dataclasses become objects, bytes and enumerations too what :func:`decode` reads."""
    if dataclasses.is_dataclass(value):
        return {item.name: encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return {_HEX: value.hex()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return value


def encode_named(value: Any) -> dict[str, Any]:
    """The dataclass ``value`` as JSON together with where its class is, for :func:`decode_named`."""
    kind = type(value)
    return {_CLASS: f"{kind.__module__}:{kind.__qualname__}", **encode(value)}


def decode_named(base: type, content: Any) -> Any:
    """What :func:`encode_named` made. Errors: :class:`ParameterError` for what is not a ``base``."""
    if not isinstance(content, Mapping) or _CLASS not in content:
        raise ParameterError(f"{content!r} has no {_CLASS!r}, so it is no {base.__name__}")
    place = str(content[_CLASS])
    module, _, name = place.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ParameterError(f"{_CLASS} is {place!r}, which cannot be found: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ParameterError(f"{_CLASS} is {place!r}; it must be a {base.__name__}")
    return decode(kind, {key: value for key, value in content.items() if key != _CLASS})


def decode(kind: Any, content: Any) -> Any:
    """A value of the type ``kind`` from JSON. Errors: :class:`ParameterError` that names the field."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_one_of(get_args(kind), content)
    if dataclasses.is_dataclass(kind):
        return _decode_object(kind, content)
    if origin is tuple and isinstance(content, list):
        items = get_args(kind)
        if items[1:] == (...,):
            items = items[:1] * len(content)
        return tuple(decode(item, value) for item, value in zip(items, content, strict=True))
    if kind is bytes and isinstance(content, Mapping):
        return bytes.fromhex(content[_HEX])
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(content)
    return content


def _decode_one_of(kinds: tuple[Any, ...], content: Any) -> Any:
    if content is None:
        return None
    for kind in kinds:
        wanted = Mapping if dataclasses.is_dataclass(kind) or kind is bytes else get_origin(kind)
        if wanted is not None and isinstance(content, list if wanted is tuple else wanted):
            return decode(kind, content)
    return content


def _decode_object(kind: Any, content: Any) -> Any:
    if not isinstance(content, Mapping):
        raise ParameterError(f"a {kind.__name__} is {content!r}; it must be an object")
    hints = get_type_hints(kind)
    names = [item.name for item in dataclasses.fields(kind)]
    for key in content:
        if key not in names:
            raise ParameterError(f"{key} is no part of a {kind.__name__}; there is {', '.join(names)}")
    return kind(**{key: decode(hints[key], value) for key, value in content.items()})
