"""All mutants, by block, and those of the proofs."""

from collections.abc import Sequence

from ..errors import ParameterError
from . import chains, direct_memory, edge, functions, packed_ring, queues, registers, split_ring
from .mutant import BLOCKS, Mutant

__all__ = ["MUTANTS", "in_turns", "select"]

MUTANTS: tuple[Mutant, ...] = tuple(
    sorted(
        (
            *split_ring.MUTANTS,
            *packed_ring.MUTANTS,
            *chains.MUTANTS,
            *queues.MUTANTS,
            *direct_memory.MUTANTS,
            *registers.MUTANTS,
            *edge.MUTANTS,
            *functions.MUTANTS,
        ),
        key=lambda one: list(BLOCKS).index(one.block),
    )
)


def select(names: Sequence[str]) -> list[Mutant]:
    """The mutants whose name contains one of ``names``; all without any.

    Errors: :class:`ParameterError` for a name that is in none.
    """
    for name in names:
        if not any(name in one.name for one in MUTANTS):
            raise ParameterError(f"no mutant has {name!r} in its name; --list shows all names")
    return [one for one in MUTANTS if not names or any(name in one.name for name in names)]


def in_turns(mutants: Sequence[Mutant]) -> list[Mutant]:
    """The same, in turns from each block, so that a run that is stopped has seen something of all."""
    ranks: dict[str, int] = {}
    placed = []
    for one in mutants:
        ranks[one.block] = ranks.get(one.block, 0) + 1
        placed.append((ranks[one.block], one))
    return [one for _rank, one in sorted(placed, key=lambda pair: pair[0])]
