"""What is behind a port of the device, as Python reaches it; the C++ half does what happens in a cycle."""

import ctypes
from collections.abc import Container, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from ..peripherals import peripherals_of
from .abi import EventKind

if TYPE_CHECKING:
    from .engine import NativeEngine

__all__ = ["HANDLE", "POINTER", "U32", "U64", "Functions", "Peripheral", "Peripherals", "peripheral_classes"]

HANDLE, U32, U64, POINTER = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
Functions = Mapping[str, tuple[Any, list[Any]]]
"""Functions of the library: what they give and take, as ctypes. The handle of the host comes first."""


class Peripheral:
    """Base of what is behind one port of ``engine``'s device.

    ``functions`` are those of its C++ half. ``event`` is the kind of event that is its own, or None.
    """

    functions: ClassVar[Functions] = {}
    event: ClassVar[EventKind | None] = None

    def __init__(self, engine: "NativeEngine"):
        self._engine = engine

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(self._engine.library, name)(self._engine.handle(), *arguments)

    def notice(self) -> None:
        """An event of the kind :attr:`event` was delivered to a guest that runs on this engine."""

    def close(self) -> None:
        """The simulation has ended."""


def peripheral_classes(ports: Container[str]) -> dict[str, type[Peripheral]]:
    """The classes for a device whose Verilog has ``ports``, by name of the peripheral."""
    return {
        kind.name: getattr(import_module(f"{__package__}.{kind.name}"), f"{kind.name.capitalize()}Peripheral")
        for kind in peripherals_of(ports)
    }


class Peripherals:
    """What is behind the ports of a device, as attributes: ``ports.storage``, ``ports.mac``, ...

    Errors: ``AttributeError`` for a port that the device does not have.
    """

    def __init__(self, found: Mapping[str, Peripheral]):
        self._found = dict(found)

    def __getattr__(self, name: str) -> Any:
        found = self.__dict__.get("_found", {})
        if name in found:
            return found[name]
        raise AttributeError(f"the device has no {name} port; it has {', '.join(found) or 'none'}")

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[Peripheral]:
        return iter(self._found.values())
