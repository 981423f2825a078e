"""What a diagram shows of a design: less than all that is there, by a few rules that are always the same."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .design import Block, Graph

__all__ = ["TIMES", "Box", "Drawing", "Line", "drawn"]

TIMES = " \N{MULTIPLICATION SIGN} "
"""Between a number and what there are so many of."""

_BUFFERS = "ringwalker.buffers"
"""The module whose components only pass on what they get."""


@dataclass(frozen=True, order=True)
class Box:
    """A block, or who is around it: ``path`` and ``kind``; ``room`` is the folder of the block's source.

    What is around has the name of its port with ``:`` in front as path, no kind and no room.
    """

    path: str
    kind: str
    room: str


@dataclass(frozen=True, order=True)
class Line:
    """From box to box, by path: ``label`` says what goes, ``stream`` whether it may wait."""

    source: str
    sink: str
    label: str
    stream: bool


@dataclass(frozen=True)
class Drawing:
    """All that is in a diagram."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


_Edge = tuple[str, str, str, bool]
"""Source, sink, what it carries, and whether it is a stream."""


def _room(module: str) -> str:
    """``queue/split`` of ``ringwalker.queue.split.ring``; nothing for what stands in no folder."""
    return "/".join(module.split(".")[1:-1])


def _without(name: str, edges: list[_Edge]) -> list[_Edge] | None:
    """``edges`` without the box ``name``, if it has one way in and one out."""
    into = [edge for edge in edges if edge[1] == name]
    out = [edge for edge in edges if edge[0] == name]
    if len(into) != 1 or len(out) != 1:
        return None
    rest = [edge for edge in edges if name not in edge[:2]]
    return [*rest, (into[0][0], out[0][1], into[0][2], into[0][3])]


def _around(centre: frozenset[str], edges: list[_Edge]) -> list[_Edge]:
    """The edges of the boxes ``centre``, and those between two of their neighbours."""
    near = {end for edge in edges if centre & {*edge[:2]} for end in edge[:2]}
    return [edge for edge in edges if edge[0] in near and edge[1] in near]


def _folded(kinds: frozenset[str], blocks: dict[str, Block]) -> dict[str, Block]:
    """For each block of one of ``kinds``, that which stands for all of its kind."""
    found = {}
    for kind in kinds:
        alike = [block for block in blocks.values() if block.kind == kind]
        if len(alike) > 1:
            one = Block(f"{len(alike)}{TIMES}{kind}", kind, alike[0].module)
            found |= {block.path: one for block in alike}
    return found


def drawn(
    graph: Graph,
    hidden: Iterable[str] = (),
    folded: Iterable[str] = (),
    centre: Iterable[str] = (),
    without: Iterable[str] = (),
) -> Drawing:
    """The diagram of ``graph``.

    What carries one of ``hidden`` is left out, and so are blocks of a class of ``without``; blocks of a class
    of ``folded`` are one box; with ``centre``, paths of blocks, only those and their neighbours are shown. A
    buffer between two blocks is a part of the line, lines between the same two that carry the same are one,
    and a block without any line is left out.
    """
    left_out, middle = frozenset(hidden), frozenset(centre)
    blocks: dict[str, Block] = {block.path: block for block in graph.blocks}
    stands = _folded(frozenset(folded), blocks)
    names = {path: one.path for path, one in stands.items()}
    blocks |= {one.path: one for one in stands.values()}
    gone = {block.path for block in graph.blocks if block.kind in frozenset(without)}
    edges: list[_Edge] = [
        (
            names.get(edge.source, edge.source) or f":{edge.leaves}",
            names.get(edge.sink, edge.sink) or f":{edge.enters}",
            edge.carries,
            edge.stream,
        )
        for edge in graph.edges
        if edge.carries.split()[0] not in left_out and not gone & {edge.source, edge.sink}
    ]
    for block in graph.blocks:
        if block.module == _BUFFERS and (fewer := _without(block.path, edges)) is not None:
            edges = fewer
    if middle:
        edges = _around(middle, edges)
    counts = Counter(edges)
    lines = [
        Line(source, sink, f"{count}{TIMES}{carries}" if count > 1 else carries, stream)
        for (source, sink, carries, stream), count in counts.items()
    ]
    ends = sorted({end for line in lines for end in (line.source, line.sink)})
    boxes = [
        Box(end, blocks[end].kind, _room(blocks[end].module)) if end in blocks else Box(end, "", "")
        for end in ends
    ]
    return Drawing(tuple(boxes), tuple(sorted(lines)))
