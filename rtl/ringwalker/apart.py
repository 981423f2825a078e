"""Components that are converted to Verilog on their own, so that what was made of one can be kept.

Amaranth converts a design as a whole. With a :class:`Placement` as the platform each component asks what it
shall be in its parent: itself, or an instance of a module that is converted elsewhere.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from amaranth import hdl
from amaranth.hdl import Elaboratable, Fragment, Value
from amaranth.lib import wiring

__all__ = ["Placement", "ResetInserter", "placed"]


class Placement:
    """A platform that decides what a component is in its parent."""

    def place(self, component: wiring.Component, elaborate: Callable[[Any], Any]) -> Any:
        """What is elaborated in place of ``component``, which ``elaborate`` elaborates for a platform."""
        raise NotImplementedError

    def flushed(self, flush: Value) -> "Placement":
        """The platform for what is also reset by ``flush``."""
        raise NotImplementedError


def placed(elaborate: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method ``elaborate`` of a component, which asks a :class:`Placement` first."""

    @wraps(elaborate)
    def ask(self: wiring.Component, platform: Any) -> Any:
        if isinstance(platform, Placement):
            return platform.place(self, lambda inside: elaborate(self, inside))
        return elaborate(self, platform)

    return ask


class ResetInserter(hdl.ResetInserter):
    """Amaranth's, for domain ``sync``. It reaches the instances of a :class:`Placement`, too."""

    def __init__(self, flush: Value):
        super().__init__(flush)
        self.flush = flush

    def __call__(self, value: Any, *, src_loc_at: int = 0) -> Any:
        if isinstance(value, Fragment):
            return super().__call__(value, src_loc_at=src_loc_at)
        return _Flushed(self, value)


class _Flushed(Elaboratable):
    """What a :class:`ResetInserter` makes of a component."""

    def __init__(self, inserter: ResetInserter, component: Any):
        self._inserter = inserter
        self._component = component

    def elaborate(self, platform):
        inside = platform.flushed(self._inserter.flush) if isinstance(platform, Placement) else platform
        return self._inserter(Fragment.get(self._component, inside))
