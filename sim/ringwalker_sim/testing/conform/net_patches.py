"""Ways to make a device in Python wrong, for the lists of faults."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

from ...conform.net.header import PacketHeader
from .fault import around

__all__ = ["Patch", "accepts", "cut", "header", "ignores", "kept", "put", "says", "with_driver_ok"]

Patch = Callable[[Any], Any]
"""Makes the device of a port wrong."""


def put(name: str, value: int) -> Patch:
    """A field of the configuration has another value."""
    return lambda port: port.model.put(name, value)


def with_driver_ok(name: str, value: int) -> Patch:
    """A field changes when the device starts."""

    def write(write: Any, model: Any, status: int) -> None:
        write(status)
        if model.running:
            model.put(name, value)

    return lambda port: around(
        port.model, "write_status", lambda call, status: write(call, port.model, status)
    )


def cut(change: Callable[[Any, PacketHeader, bytes, list[bytes]], list[bytes]]) -> Patch:
    """Packets that are sent become ``change(model, header, packet, frames)``."""

    def patch(port: Any) -> None:
        model = port.model
        around(model, "cut", lambda cut, header, frame: change(model, header, frame, cut(header, frame)))

    return patch


def header(change: Callable[[PacketHeader, bytes], tuple[PacketHeader, bytes]]) -> Patch:
    """Packets that are received, and their headers, become ``change(header, packet)``."""
    return lambda port: around(port.model, "header", lambda make, *arguments: change(*make(*arguments)))


def says(**values: int) -> Patch:
    """Fields of the header of received packets have other values."""
    return header(lambda header, frame: (replace(header, **values), frame))


def accepts(decide: Callable[[Any, bytes, bool], bool]) -> Patch:
    """The filter becomes ``decide(modes, frame, accepted)``."""

    def patch(port: Any) -> None:
        model = port.model
        around(model, "accepts", lambda accepts, frame: decide(model.modes, frame, accepts(frame)))

    return patch


def ignores(*command: int) -> Patch:
    """A command has no effect."""
    return lambda port: port.model.commands.update({command: lambda _device, _data: b""})


def kept(*names: str) -> Patch:
    """A reset leaves something of the device."""

    def reset(reset: Any, model: Any) -> None:
        values = {name: copy(getattr(model, name)) for name in names}
        reset()
        for name, value in values.items():
            setattr(model, name, value)

    return lambda port: around(port.model, "reset", lambda call: reset(call, port.model))
