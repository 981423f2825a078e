"""What a seeded fault is: a switch of the tests that makes a reference device wrong in one way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...conform.check import Way

__all__ = ["Fault", "around", "nothing"]


@dataclass(frozen=True)
class Fault:
    """A fault called ``name``, that ``patch(port)`` puts into the device of a port. ``check`` finds it by one
    ``way``, and says that ``clause`` is broken."""

    name: str
    check: str
    clause: str
    patch: Callable[[Any], Any]
    way: Way = Way.SPLIT


def around(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace a method of an object: ``wrapper(method, *arguments)`` runs in its place."""
    method = getattr(owner, name)
    setattr(owner, name, lambda *arguments: wrapper(method, *arguments))


def nothing(*_arguments: Any) -> None:
    """A method that does nothing."""
