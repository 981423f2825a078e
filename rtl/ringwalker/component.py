"""The base class of every hardware block."""

from typing import TYPE_CHECKING, Any

from amaranth.lib import wiring

__all__ = ["Component"]


class Component(wiring.Component):
    """``amaranth.lib.wiring.Component``, whose ports need no second declaration for the type checker.

    Amaranth makes the attributes of a component from its signature when an object is constructed. A signature
    that depends on no parameter is written as annotations in the class body, one member a line with its
    docstring; any other is a dict given to the constructor.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
