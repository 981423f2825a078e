"""Registers that are loaded at the edge of the clock, all at once.

Most of what happens at an edge is that a register gets the value that has been computed for it in the cycle
before: ``register = following``. As a statement of a chunk it costs a test of ``following`` where that is
computed, a chunk that runs, and a test of the register. So these statements are taken out, and the model's
variables are moved: all registers lie side by side, and so does all that they get, in the same order. Then a
line of 64 bytes is compared and copied at a time (``src/registers.h``), and only where a chunk has run that
may have written something there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .graph import Graph, Node
from .source import Model, NotUnderstood

__all__ = ["LINE", "Layout", "Register", "find_registers", "with_layout"]

LINE = 64
"""Bytes that are compared at once."""

_COPY = re.compile(r"vlSelfRef\.(\w+)(?:\[(\d+)U\])?\s*=\s*vlSelfRef\.(\w+)(?:\[(\d+)U\])?;")
_WORDS = re.compile(r"VlWide<(\d+)>")
_SIZES = {"CData": 1, "SData": 2, "IData": 4, "QData": 8}
_WORD = 4
_CLASS = re.compile(r"^(class (?:alignas\(\w+\) )?(\w+) final \{\n  public:\n)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Register:
    """A variable, what it gets at every edge, and the node of the graph that says so."""

    name: str
    following: str
    node: int


def _words(kind: str) -> int:
    """Words of a wide variable; 0 for another."""
    match = _WORDS.fullmatch(kind)
    return int(match[1]) if match else 0


def _copied(node: Node, model: Model) -> tuple[str, str] | None:
    """The variable that a node does nothing but copy whole into another: the latter, and the former."""
    words: set[int] = set()
    names: set[tuple[str, str]] = set()
    for number in node.statements:
        match = _COPY.fullmatch(model.statements[number].text)
        if match is None or match[2] != match[4]:
            return None
        names.add((match[1], match[3]))
        if match[2] is not None:
            words.add(int(match[2]))
    if len(names) != 1:
        return None
    to, of = names.pop()
    kind = model.types[to]
    if kind != model.types[of] or model.is_array(to) or words != set(range(_words(kind))):
        return None
    return to, of


def find_registers(model: Model, graph: Graph) -> list[Register]:
    """The registers that can be loaded all at once: nothing must happen between them.

    By name. What a register gets is no such register itself, and goes to one alone.
    """
    found: dict[int, tuple[str, str]] = {}
    for number, node in sorted(graph.nodes.items()):
        if pair := _copied(node, model):
            found[number] = pair
    loaded = {to for to, _of in found.values()}
    taken: set[str] = set()
    for number, (_to, of) in list(found.items()):
        if of in loaded or of in taken:
            del found[number]
        taken.add(of)
    while True:
        between = graph.behind(found) - found.keys()
        wrong = [n for n in found if graph.predecessors.get(n, set()) & (between | found.keys())]
        if not wrong:
            break
        for number in wrong:
            del found[number]
    return sorted((Register(to, of, n) for n, (to, of) in found.items()), key=lambda item: item.name)


class Layout:
    """Where registers lie: by module, and in each the large ones first."""

    def __init__(self, registers: Sequence[Register], types: Mapping[str, str]):
        def key(item: Register) -> tuple[tuple[str, ...], int, str]:
            return tuple(item.name.split("__DOT__")[:-1]), -_SIZES.get(types[item.name], _WORD), item.name

        self.registers = sorted(registers, key=key)
        self.begins: list[int] = []
        """Where each begins, in bytes."""
        self._of: dict[str, tuple[int, int]] = {}
        end = 0
        for item in self.registers:
            kind = types[item.name]
            alignment = _SIZES.get(kind, _WORD)
            begin = -(-end // alignment) * alignment
            end = begin + (_words(kind) * _WORD or alignment)
            self.begins.append(begin)
            self._of[item.following] = (begin, end)
        self.lines = -(-end // LINE)

    def lines_of(self, following: str) -> range:
        """The lines in which something lies that a register gets."""
        begin, end = self._of.get(following, (0, 0))
        return range(begin // LINE, -(-end // LINE))


def with_layout(header: str, layout: Layout) -> str:
    """The header of the model's class with its registers, and what they get, as ``layout`` says.

    Errors: :class:`NotUnderstood`.
    """
    declarations: dict[str, str] = {}
    rest: list[str] = []
    names = {name for item in layout.registers for name in (item.name, item.following)}
    for line in header.splitlines(keepends=True):
        match = re.search(r"^\s*(?:VL_(?:IN|OUT)\w*\((\w+),|[\w<>/*:, ]+[ /](\w+);)", line)
        name = match and (match[1] or match[2])
        if name in names and name not in declarations:
            declarations[name] = line
        else:
            rest.append(line)
    if missing := names - declarations.keys():
        raise NotUnderstood(f"the declaration of {min(missing)}")
    following = "".join(declarations[item.following] for item in layout.registers)
    now = "".join(declarations[item.name] for item in layout.registers)
    both = "".join(f"    struct alignas({LINE}) {{\n{text}    }};\n" for text in (following, now) if text)
    text, found = _CLASS.subn(lambda match: match[1] + both, "".join(rest), count=1)
    if not found:
        raise NotUnderstood("the class of the model")
    return text
