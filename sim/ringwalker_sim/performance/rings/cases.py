"""What is measured of each way to use a ring."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..cases import Case
from ..report import case_of

__all__ = ["FORMS", "LOADS", "Form", "Load", "cases", "form_of", "load_of"]


@dataclass(frozen=True)
class Form:
    """A ring format, and whether the device uses requests in order."""

    name: str
    ring: str
    in_order: bool

    def of(self, case: Case) -> Case:
        """``case`` in this form."""
        return replace(case, ring=self.ring, in_order=self.in_order)


FORMS = (
    Form("split", "split", False),
    Form("split in order", "split", True),
    Form("packed", "packed", False),
    Form("packed in order", "packed", True),
)
"""In the order of the tables."""


@dataclass(frozen=True)
class Load:
    """``case`` without its form. ``least``: the share of its ceiling that it ought to reach, if any."""

    name: str
    case: Case
    least: float | None = None


_LEAST = 0.9


def _loads() -> Iterator[Load]:
    frame = Case(function="net", direction="tx", size=64, requests=10000)
    for direction in ("tx", "rx"):
        yield Load(f"net {direction} 64", replace(frame, direction=direction), _LEAST)
        yield Load(f"net {direction} 1514", replace(frame, direction=direction, size=1514, requests=2000))
    for size, requests in ((512, 4000), (4096, 1000)):
        for direction in ("read", "write"):
            block = Case(direction=direction, size=size, requests=requests)
            yield Load(f"blk {direction} {size}", block, _LEAST)
    for direction in ("read", "write"):
        block = Case(direction=direction, size=512, queues=16, requests=4000)
        yield Load(f"blk {direction} 512, 16 queues", block, _LEAST)
    for direction in ("tx", "rx"):
        yield Load(f"net {direction} 64, alone", replace(frame, direction=direction, depth=1, requests=100))
    for direction in ("read", "write"):
        alone = Case(direction=direction, depth=1, requests=100, notification_data=True)
        yield Load(f"blk {direction} 4096, alone", alone)


LOADS = tuple(_loads())
"""Batches of 32 under load; ``alone``: one request at a time, of block requests with NOTIFICATION_DATA."""


def cases() -> list[Case]:
    """Every load in every form. Loads of one device follow each other."""
    every = [form.of(load.case) for form in FORMS for load in LOADS]
    return sorted(every, key=lambda case: (case.function, case.ring))


def form_of(row: Mapping[str, Any]) -> Form:
    """The form of a row of figures. Errors: ``LookupError``."""
    return next(form for form in FORMS if (form.ring, form.in_order) == (row["ring"], row["in_order"]))


def load_of(row: Mapping[str, Any]) -> Load:
    """The load of a row of figures. Errors: ``LookupError`` for a row of none of them."""
    for load in LOADS:
        if form_of(row).of(load.case) == case_of(row):
            return load
    raise LookupError(f"no load is like {row}")
