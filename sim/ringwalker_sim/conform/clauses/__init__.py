"""The normative statements that devices are held to, by id; one table for each chapter, in this folder.

:data:`CHAPTERS` are the list that the suite has to account for; :data:`FURTHER` are statements beside
it: of the notes on the legacy interface, and of parts that only some devices have.

An id such as ``pci-05.03`` counts the devices' normative sections of a chapter and the statements in each:
the words MUST, SHOULD, MAY and their negations. Ref: virtio 1.4.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["CHAPTERS", "FURTHER", "Clause", "clauses", "mmio_clauses"]

CHAPTERS = ("core", "admin", "pci", "net", "blk", "console", "entropy")
"""The tables, in the order of the specification. ``admin`` has the ids of ``core`` that are about
administration commands."""

FURTHER = ("legacy", "more")
"""Tables of further statements. ``more``: suspension, queues that are enabled again, vendor data."""


@dataclass(frozen=True)
class Clause:
    """A statement: where it stands, its ``keyword``, and what it ``says`` in our words.

    ``unchecked``: why no check can tell from outside; empty for a statement that a check names.
    """

    id: str
    section: str
    keyword: str
    says: str
    unchecked: str

    @property
    def binding(self) -> bool:
        """Whether a device that breaks it does not conform: MUST or MUST NOT."""
        return self.keyword.startswith("MUST")


@cache
def clauses() -> dict[str, Clause]:
    """All statements by id, in the order of the specification; further ones behind."""
    return {clause.id: clause for chapter in (*CHAPTERS, *FURTHER) for clause in _table(chapter)}


@cache
def mmio_clauses() -> dict[str, Clause]:
    """The statements on the memory-mapped transport, by id. The suite tests PCI functions and has no part in
    them; the monitor of :mod:`ringwalker_sim.vip` does.
    """
    return {clause.id: clause for clause in _table("mmio")}


def _table(name: str) -> list[Clause]:
    text = files(__name__).joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return [Clause(**row) for row in csv.DictReader(text.splitlines())]
