"""Writes the chunks as C++, with what calls them.

A step calls, in this order: the chunks that need what registers were before the edge, the load of the
registers (:mod:`.registers`), and all other chunks. Flags of the former fill words of their own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .graph import Node, exposed
from .registers import LINE, Layout
from .source import Model
from .statements import Statement

__all__ = ["Chunks", "write_chunks"]

_WORD = 64
_BYTE = 8
_FILE_CHUNKS = 2 * _WORD
_BRANCH_WORDS = 2
"""Flags in up to so many words are raised without a branch."""

_HEAD = """\
// Generated; do not edit.
#include "{prefix}__pch.h"
#include "chunks.h"

"""

_HEADER = """\
// Generated; do not edit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "{prefix}.h"
#include "{root}.h"

namespace rw {{

using Root = {root};

// One bit for each chunk, whether it must run; then one for each line of what registers get, whether anything
// in it may have been written. What the inputs were at the last edge.
struct Chunks {{
  alignas(64) std::uint64_t flags[{words}];
  struct {{
{inputs}
  }} before;
}};

template <std::size_t words>
inline bool differ(const VlWide<words>& one, const VlWide<words>& other) {{
  std::uint32_t found = 0;
  for (std::size_t i = 0; i < words; ++i) found |= one.m_storage[i] ^ other.m_storage[i];
  return found != 0;
}}

template <class Number>
inline bool differ(Number one, Number other) {{
  return one != other;
}}

}}  // namespace rw
"""


@dataclass
class Chunks:
    """The chunks as lists of statements, and who reads what."""

    model: Model
    layout: Layout
    statements: list[list[int]]
    """By chunk. Empty ones fill up words of flags and are never called."""
    before: int
    """Words of flags of chunks that run before registers are loaded."""
    readers: dict[str, list[int]]
    """The chunks that must run when a variable has changed."""

    @classmethod
    def of(
        cls, model: Model, layout: Layout, before: Sequence[Sequence[Node]], behind: Sequence[Sequence[Node]]
    ) -> "Chunks":
        """The chunks of cut orders of nodes: of those that come before registers are loaded, and the rest."""
        words = -(-len(before) // _WORD)
        gap: list[Sequence[Node]] = [()] * (words * _WORD - len(before))
        numbers = [sorted(n for node in chunk for n in node.statements) for chunk in [*before, *gap, *behind]]
        readers: dict[str, list[int]] = defaultdict(list)
        for chunk, statements in enumerate(numbers):
            for name in exposed(statements, model.statements) - model.own:
                readers[name].append(chunk)
        return cls(model, layout, numbers, words, dict(readers))

    @property
    def words(self) -> int:
        """Words of flags of chunks."""
        return -(-len(self.statements) // _WORD)

    @property
    def line_words(self) -> int:
        """Words of flags of lines, which are behind those."""
        return -(-self.layout.lines // _WORD)

    def lines(self, names: Iterable[str]) -> tuple[tuple[int, int], ...]:
        """The flags of the lines in which variables lie that registers get: words, and their bits."""
        masks: dict[int, int] = defaultdict(int)
        for name in names:
            for line in self.layout.lines_of(name):
                masks[self.words + line // _WORD] |= 1 << line % _WORD
        return tuple(sorted(masks.items()))

    def masks(self, name: str) -> tuple[tuple[int, int], ...]:
        """The flags of the readers of a variable: words, and their bits."""
        masks: dict[int, int] = defaultdict(int)
        for chunk in self.readers.get(name, ()):
            masks[chunk // _WORD] |= 1 << chunk % _WORD
        return tuple(sorted(masks.items()))


def _raise(masks: Iterable[tuple[int, int]], condition: str) -> str:
    """Raise flags if something is so."""
    masks = list(masks)
    if len(masks) <= _BRANCH_WORDS:
        raises = " ".join(f"flags[{word}] |= changed & {mask:#x}ULL;" for word, mask in masks)
        return f"  {{ const std::uint64_t changed = -static_cast<std::uint64_t>({condition}); {raises} }}\n"
    raises = " ".join(f"flags[{word}] |= {mask:#x}ULL;" for word, mask in masks)
    return f"  if ({condition}) {{ {raises} }}\n"


def _by_masks(chunks: Chunks, names: Iterable[str]) -> dict[tuple[tuple[int, int], ...], list[str]]:
    """Variables that others read, by the flags that they raise."""
    groups: dict[tuple[tuple[int, int], ...], list[str]] = defaultdict(list)
    for name in names:
        if masks := chunks.masks(name):
            groups[masks].append(name)
    return groups


def _with_marks(text: str, stores: Sequence[tuple[int, str]], marks: Mapping[str, str]) -> str:
    """A statement that notes when it has written an element of an array that others read."""
    for at, name in reversed(stores):
        if name in marks:
            text = f"{text[:at]} {marks[name]} = true;{text[at:]}"
    return text


def _tested(model: Model, statements: Sequence[Statement]) -> set[str]:
    """Variables of one word that one statement writes, always: they are tested where they are written."""
    written: dict[str, int] = defaultdict(int)
    for item in statements:
        for name in item.writes:
            written[name] += 1
    found = {item.target for item in statements if item.target is not None}
    return {
        name for name in found if written[name] == 1 and not model.is_wide(name) and not model.is_array(name)
    }


def _with_test(model: Model, item: Statement, changed: str) -> str:
    """An assignment that notes whether it has changed what it writes."""
    _target, _sign, value = item.text.partition("=")
    return (
        f"{{ const {model.types[str(item.target)]} value = {value.strip()}\n"
        f"{changed} |= value ^ self->{item.target}; self->{item.target} = value; }}"
    )


def _function(chunks: Chunks, number: int) -> str:
    """The function of one chunk."""
    model = chunks.model
    statements = [model.statements[n] for n in chunks.statements[number]]
    written = list(dict.fromkeys(name for item in statements for name in sorted(item.writes)))
    used = {name for item in statements for name in item.reads | item.writes}
    tested = _tested(model, statements)
    tests: dict[str, str] = {}
    marks: dict[str, str] = {}
    before, after = "", ""
    for masks, names in _by_masks(chunks, (name for name in written if name not in model.own)).items():
        conditions = []
        for name in names:
            if name in tested:
                tests[name] = f"changed{len(after)}"
                continue
            if model.is_array(name):
                conditions.append(marks.setdefault(name, f"stored{len(marks)}"))
                continue
            kept = f"before{before.count(';')}"
            before += f"  const {model.types[name]} {kept} = self->{name};\n"
            conditions.append(f"differ(self->{name}, {kept})")
        if f"changed{len(after)}" in tests.values():
            conditions.append(f"(changed{len(after)} != 0)")
        after += _raise(masks, " | ".join(conditions))
    raises = "".join(f" flags[{word}] |= {mask:#x}ULL;" for word, mask in chunks.lines(written))
    locals_ = "".join(f"  {model.types[name]} {name};\n" for name in sorted(used & model.own))
    flags = "".join(f"  bool {mark} = false;\n" for mark in marks.values())
    flags += "".join(f"  std::uint64_t {name} = 0;\n" for name in dict.fromkeys(tests.values()))
    body = "\n".join(
        _with_test(model, item, tests[item.target])
        if item.target in tests
        else _with_marks(item.text, item.stores, marks)
        for item in statements
    )
    word, bit = divmod(number, _WORD)
    return (
        f"void chunk{number}(Root* __restrict self, std::uint64_t* __restrict flags) {{\n"
        f"  Root& vlSelfRef = *self;\n  flags[{word}] &= ~{1 << bit:#x}ULL;{raises}\n"
        f"{locals_}{flags}{before}{body}\n{after}}}\n\n"
    )


def _declarations(chunks: Chunks) -> str:
    hidden = '[[gnu::visibility("hidden"), gnu::noinline]]'
    return "".join(
        f"{hidden} void chunk{n}(Root* __restrict, std::uint64_t* __restrict);\n"
        for n, statements in enumerate(chunks.statements)
        if statements
    )


def _calls(chunks: Chunks, words: range) -> str:
    """Calls every chunk whose flag is up. A chunk may raise the flag of one behind it in the same byte."""
    text = ""
    for word in words:
        text += f"  if (*const_cast<const volatile std::uint64_t*>(flags + {word})) {{\n"
        for byte in range(word * _BYTE, (word + 1) * _BYTE):
            first, end = byte * _BYTE, min((byte + 1) * _BYTE, len(chunks.statements))
            numbers = [chunk for chunk in range(first, end) if chunks.statements[chunk]]
            if not numbers:
                continue
            text += f"    if (bytes[{byte}]) {{\n"
            for chunk in numbers:
                text += f"      if (bytes[{byte}] & {1 << chunk % _BYTE:#x}) chunk{chunk}(self, flags);\n"
            text += "    }\n"
        text += "  }\n"
    return text


def _all(chunks: Chunks) -> str:
    """Raises the flags of all chunks and lines."""
    masks = [0] * (chunks.words + chunks.line_words)
    for chunk, statements in enumerate(chunks.statements):
        masks[chunk // _WORD] |= bool(statements) << chunk % _WORD
    for line in range(chunks.layout.lines):
        masks[chunks.words + line // _WORD] |= 1 << line % _WORD
    return "".join(f"  chunks->flags[{word}] = {mask:#x}ULL;\n" for word, mask in enumerate(masks))


def _table(name: str, kind: str, items: Iterable[object]) -> str:
    return f"const {kind} {name}[] = {{{', '.join(map(str, items))}}};\n\n"


def _registers(chunks: Chunks) -> str:
    """What is known of registers, and the function that loads them."""
    layout = chunks.layout
    if not layout.registers:
        return ""
    size = layout.lines * LINE
    last, row = [0] * layout.lines, [0] * size
    rows: dict[tuple[tuple[int, int], ...], int] = {}
    ends = [*layout.begins[1:], size]
    for item, begin, end in zip(layout.registers, layout.begins, ends, strict=True):
        number = rows.setdefault(chunks.masks(item.name), len(rows))
        for line in range(begin // LINE, -(-end // LINE)):
            byte = min(end, (line + 1) * LINE) - 1
            last[line] |= 1 << byte % LINE
            row[byte] = number
    words = range(chunks.words)
    flags = [[f"{dict(masks).get(word, 0):#x}ULL" for word in words] for masks in rows]
    first = layout.registers[0]
    checks = "".join(
        f"static_assert(offsetof(Root, {name}) - offsetof(Root, {base}) == {begin});\n"
        for item, begin in zip(layout.registers, layout.begins, strict=True)
        for name, base in ((item.name, first.name), (item.following, first.following))
    )
    inputs = chunks.lines(chunks.model.inputs)
    always = "".join(f"  flags[{word}] |= {mask:#x}ULL;  // of the inputs\n" for word, mask in inputs)
    return (
        f"{checks}\n"
        + _table("last_bytes", "std::uint64_t", (f"{bits:#x}ULL" for bits in last))
        + _table("row_numbers", "std::uint16_t", row)
        + _table("rows", f"Row<{len(words)}>", (f"{{{{{', '.join(items)}}}}}\n" for items in flags))
        + f"void load(Root* self, std::uint64_t* flags) {{\n{always}"
        "  auto* const root = reinterpret_cast<std::uint8_t*>(self);\n"
        f"  load_registers<{chunks.line_words}, {len(words)}>(\n"
        f"      root + offsetof(Root, {first.name}), root + offsetof(Root, {first.following}),\n"
        f"      flags + {len(words)}, flags, "
        "{last_bytes, row_numbers}, rows);\n}\n\n"
    )


def _inputs(chunks: Chunks) -> list[str]:
    return [name for name in chunks.model.inputs if chunks.readers.get(name)]


def _edge(chunks: Chunks) -> str:
    """What the host calls."""
    kind = "const volatile std::uint8_t*"
    text = (
        f"{_registers(chunks)}"
        "Chunks* make_chunks() { return new Chunks(); }\n"
        "void drop_chunks(Chunks* chunks) { delete chunks; }\n"
        f"void run_all(Chunks* chunks) {{\n{_all(chunks)}}}\n\n"
        "void step(Root* self, Chunks* chunks) {\n  std::uint64_t* const flags = chunks->flags;\n"
    )
    for masks, names in _by_masks(chunks, _inputs(chunks)).items():
        condition = " | ".join(f"differ(self->{name}, chunks->before.{name})" for name in names)
        keep = " ".join(f"chunks->before.{name} = self->{name};" for name in names)
        raises = " ".join(f"flags[{word}] |= {mask:#x}ULL;" for word, mask in masks)
        text += f"  if ({condition}) {{ {keep} {raises} }}\n"
    text += f"  {kind} const bytes = reinterpret_cast<{kind}>(flags);\n{_calls(chunks, range(chunks.before))}"
    text += "  load(self, flags);\n" if chunks.layout.registers else ""
    return f"{text}{_calls(chunks, range(chunks.before, chunks.words))}}}\n"


def write_chunks(chunks: Chunks, folder: Path, prefix: str) -> list[str]:
    """Write ``chunks.h`` and the files with the chunks into ``folder``; the names of the latter.

    They define ``make_chunks``, ``drop_chunks``, ``run_all`` and ``step`` of the host's ``model_steps.h``.
    """
    model = chunks.model
    inputs = "".join(f"    {model.types[name]} {name};\n" for name in _inputs(chunks)).rstrip()
    header = _HEADER.format(
        prefix=prefix, root=model.root, words=max(1, chunks.words + chunks.line_words), inputs=inputs
    )
    (folder / "chunks.h").write_text(header)
    head = _HEAD.format(prefix=prefix)
    constants = "\n".join(model.externs) + "\n\n"
    names = []
    for first in range(0, len(chunks.statements), _FILE_CHUNKS):
        numbers = range(first, min(first + _FILE_CHUNKS, len(chunks.statements)))
        functions = "".join(_function(chunks, number) for number in numbers if chunks.statements[number])
        names.append(f"chunks{first // _FILE_CHUNKS}.cpp")
        text = (
            f"{head}{constants}namespace rw {{\n\n{_declarations(chunks)}\n{functions}}}  // namespace rw\n"
        )
        (folder / names[-1]).write_text(text)
    names.append("chunk_calls.cpp")
    text = f'{head}#include "registers.h"\n\n'
    text += f"namespace rw {{\n\n{_declarations(chunks)}\n{_edge(chunks)}\n}}  // namespace rw\n"
    (folder / names[-1]).write_text(text)
    return names
