"""All properties, and what comes out when they are tried."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ParameterError
from . import dma, merging, requests, stream_rules, transport
from .property import Property
from .solver import holds, translate

__all__ = ["PROPERTIES", "Result", "select", "try_all", "unproved"]

PROPERTIES: tuple[Property, ...] = (
    *stream_rules.PROPERTIES,
    *merging.PROPERTIES,
    *dma.PROPERTIES,
    *requests.PROPERTIES,
    *transport.PROPERTIES,
)


@dataclass(frozen=True)
class Result:
    """What came out: it is ``proved``, the ``mutant`` is found. ``seconds`` of the proof, without mutant."""

    name: str
    proved: bool
    mutant: bool
    seconds: float

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return self.proved and self.mutant


def select(names: Sequence[str]) -> list[Property]:
    """The properties whose name contains one of ``names``; all without any.

    Errors: :class:`ParameterError` for a name that is in none.
    """
    for name in names:
        if not any(name in one.name for one in PROPERTIES):
            raise ParameterError(f"no property has {name!r} in its name; --list shows all names")
    return [one for one in PROPERTIES if not names or any(name in one.name for name in names)]


def _mutant(one: Property) -> str:
    return f"{one.name}.mutant"


def _is_proved(one: Property, folder: Path) -> bool:
    proved = holds(one.name, one.depth, False, folder)
    return proved and (not one.inductive or holds(one.name, one.depth, True, folder))


def unproved(properties: Sequence[Property], folder: Path) -> list[str]:
    """The names of those that do not hold, or not by induction; files go to ``folder``.

    Errors: ``ToolError`` when a tool is missing or fails.
    """
    translate({one.name: one.rtlil() for one in properties}, folder)
    return [one.name for one in properties if not _is_proved(one, folder)]


def try_all(
    properties: Sequence[Property], folder: Path, progress: Callable[[Result], None] = lambda _result: None
) -> list[Result]:
    """Prove each property, and look for its violation with its mutant; files go to ``folder``.

    Errors: ``ToolError`` when a tool is missing or fails; ``ParameterError`` for a mutant that does not fit
    the text any more.
    """
    designs = {one.name: one.rtlil() for one in properties}
    designs.update({_mutant(one): one.rtlil(faulty=True) for one in properties})
    translate(designs, folder)
    results = []
    for one in properties:
        begin = time.perf_counter()
        proved = _is_proved(one, folder)
        seconds = time.perf_counter() - begin
        # A violation that is seen from power-up on: that no induction goes through would say little.
        found = not holds(_mutant(one), one.mutant_depth or one.depth + 1, False, folder)
        results.append(Result(one.name, proved, found, round(seconds, 2)))
        progress(results[-1])
    return results
