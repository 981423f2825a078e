"""The base class of every hardware block.

How busy a block is has three words, where it has such ports:

- ``idle`` Out 1: it holds nothing, and waits for nothing that it asked for;
- ``waiting`` Out 1: it could go on, if something from outside came or made room;
- ``halted`` Out 1: it was asked to stop, and has stopped.
"""

from typing import TYPE_CHECKING, Any

from amaranth.lib import wiring

from .apart import placed

__all__ = ["Component"]


class Component(wiring.Component):
    """``amaranth.lib.wiring.Component``, whose ports need no second declaration for the type checker.

    Amaranth makes the attributes of a component from its signature when an object is constructed. A signature
    that depends on no parameter is written as annotations in the class body, one member a line with its
    docstring; any other is a dict given to the constructor. What it is in its parent a platform may decide
    (:mod:`.apart`).
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if "elaborate" in vars(cls):
            cls.elaborate = placed(cls.elaborate)
