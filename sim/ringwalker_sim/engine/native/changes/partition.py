"""Cuts the order of nodes into chunks, so that what is run in an average cycle is as little as can be.

A chunk has run in the cycles in which any of the variables changed that it reads (:mod:`.rates`).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .graph import Node
from .rates import Rates

__all__ = ["Costs", "cut"]


@dataclass(frozen=True)
class Costs:
    """What things cost, in weights of statements. Found by trying: another machine may like others better."""

    run: float = 65.0
    """Calling a chunk, and what a processor waits for code that it has not run lately."""
    compare: float = 18.0
    """Keeping and comparing one variable that others read."""
    test: float = 2.0
    """Finding out that a chunk need not run."""
    most: int = 600
    """The largest weight of a chunk of several nodes."""


def cut(nodes: Sequence[Node], rates: Rates, costs: Costs | None = None) -> list[list[Node]]:
    """The chunks: ``nodes`` in their order, cut where the expected cost of a cycle is least.

    By dynamic programming over where the last chunk begins.
    """
    costs = costs or Costs()
    written_at = {name: number for number, node in enumerate(nodes) for name in node.writes}
    readers: dict[str, int] = defaultdict(int)
    for node in nodes:
        for name in node.exposed:
            readers[name] += 1
    mask = (1 << rates.cycles) - 1

    def busy(name: str, reader: int) -> int:
        """Cycles in which a reader at that place of the order sees another value of ``name``."""
        bits = rates.of(name)
        return bits if written_at.get(name, -1) < reader else bits << 1 & mask

    seen = [[(name, busy(name, number)) for name in node.exposed] for number, node in enumerate(nodes)]
    count = len(nodes)
    best = [0.0] + [float("inf")] * count
    begins = [0] * (count + 1)
    for first in range(count):
        weight, bits, outputs = 0, 0, 0
        inside: dict[str, int] = {}
        """Variables that the chunk writes, and how many of their readers are outside of it."""
        for last in range(first, count):
            node = nodes[last]
            weight += node.weight
            if weight > costs.most and last > first:
                break
            for name, cycles in seen[last]:
                if name in inside:
                    inside[name] -= 1
                    outputs -= not inside[name]
                else:
                    bits |= cycles
            for name in node.writes:
                if others := readers[name]:
                    inside[name] = others
                    outputs += 1
            share = bits.bit_count() / rates.cycles
            total = best[first] + costs.test + share * (weight + costs.run + costs.compare * outputs)
            if total < best[last + 1]:
                best[last + 1], begins[last + 1] = total, first
    chunks: list[list[Node]] = []
    end = count
    while end:
        chunks.append(list(nodes[begins[end] : end]))
        end = begins[end]
    return chunks[::-1]
