"""Writes the chunks as C++, with what calls them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .graph import Node, exposed
from .source import Model

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

// One bit for each chunk: whether it must run. What the inputs were at the last edge.
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
    statements: list[list[int]]
    readers: dict[str, list[int]]
    """The chunks that must run when a variable has changed."""

    @classmethod
    def of(cls, model: Model, cut: Sequence[Sequence[Node]]) -> "Chunks":
        """The chunks of a cut order of nodes."""
        numbers = [sorted(n for node in chunk for n in node.statements) for chunk in cut]
        readers: dict[str, list[int]] = defaultdict(list)
        for chunk, statements in enumerate(numbers):
            for name in exposed(statements, model.statements) - model.own:
                readers[name].append(chunk)
        return cls(model, numbers, dict(readers))

    @property
    def words(self) -> int:
        """Words of flags."""
        return -(-len(self.statements) // _WORD)

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


def _function(chunks: Chunks, number: int) -> str:
    """The function of one chunk."""
    model = chunks.model
    statements = [model.statements[n] for n in chunks.statements[number]]
    written = list(dict.fromkeys(name for item in statements for name in sorted(item.writes)))
    used = {name for item in statements for name in item.reads | item.writes}
    marks: dict[str, str] = {}
    before, after = "", ""
    for masks, names in _by_masks(chunks, (name for name in written if name not in model.own)).items():
        conditions = []
        for name in names:
            if model.is_array(name):
                conditions.append(marks.setdefault(name, f"stored{len(marks)}"))
                continue
            kept = f"before{before.count(';')}"
            before += f"  const {model.types[name]} {kept} = self->{name};\n"
            conditions.append(f"differ(self->{name}, {kept})")
        after += _raise(masks, " | ".join(conditions))
    locals_ = "".join(f"  {model.types[name]} {name};\n" for name in sorted(used & model.own))
    flags = "".join(f"  bool {mark} = false;\n" for mark in marks.values())
    body = "\n".join(_with_marks(item.text, item.stores, marks) for item in statements)
    word, bit = divmod(number, _WORD)
    return (
        f"void chunk{number}(Root* __restrict self, std::uint64_t* __restrict flags) {{\n"
        f"  Root& vlSelfRef = *self;\n  flags[{word}] &= ~{1 << bit:#x}ULL;\n"
        f"{locals_}{flags}{before}{body}\n{after}}}\n\n"
    )


def _declarations(chunks: Chunks) -> str:
    hidden = '[[gnu::visibility("hidden"), gnu::noinline]]'
    return "".join(
        f"{hidden} void chunk{n}(Root* __restrict, std::uint64_t* __restrict);\n"
        for n in range(len(chunks.statements))
    )


def _calls(chunks: Chunks) -> str:
    """Calls every chunk whose flag is up. A chunk may raise the flag of one behind it in the same byte."""
    kind = "const volatile std::uint8_t*"
    text = f"  {kind} const bytes = reinterpret_cast<{kind}>(flags);\n"
    count = len(chunks.statements)
    for word in range(chunks.words):
        text += f"  if (*const_cast<const volatile std::uint64_t*>(flags + {word})) {{\n"
        for byte in range(word * _BYTE, min((word + 1) * _BYTE, -(-count // _BYTE))):
            text += f"    if (bytes[{byte}]) {{\n"
            for chunk in range(byte * _BYTE, min((byte + 1) * _BYTE, count)):
                text += f"      if (bytes[{byte}] & {1 << chunk % _BYTE:#x}) chunk{chunk}(self, flags);\n"
            text += "    }\n"
        text += "  }\n"
    return text


def _all(chunks: Chunks) -> str:
    """Raises the flags of all chunks."""
    left = len(chunks.statements)
    masks = [(1 << min(_WORD, left - word * _WORD)) - 1 for word in range(chunks.words)]
    return "".join(f"  chunks->flags[{word}] = {mask:#x}ULL;\n" for word, mask in enumerate(masks))


def _inputs(chunks: Chunks) -> list[str]:
    return [name for name in chunks.model.inputs if chunks.readers.get(name)]


def _edge(chunks: Chunks) -> str:
    """What the host calls."""
    text = (
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
    return f"{text}{_calls(chunks)}}}\n"


def write_chunks(chunks: Chunks, folder: Path, prefix: str) -> list[str]:
    """Write ``chunks.h`` and the files with the chunks into ``folder``; the names of the latter.

    They define ``make_chunks``, ``drop_chunks``, ``run_all`` and ``step`` of the host's ``model_steps.h``.
    """
    model = chunks.model
    inputs = "".join(f"    {model.types[name]} {name};\n" for name in _inputs(chunks)).rstrip()
    header = _HEADER.format(prefix=prefix, root=model.root, words=max(1, chunks.words), inputs=inputs)
    (folder / "chunks.h").write_text(header)
    head = _HEAD.format(prefix=prefix)
    constants = "\n".join(model.externs) + "\n\n"
    names = []
    for first in range(0, len(chunks.statements), _FILE_CHUNKS):
        numbers = range(first, min(first + _FILE_CHUNKS, len(chunks.statements)))
        functions = "".join(_function(chunks, number) for number in numbers)
        names.append(f"chunks{first // _FILE_CHUNKS}.cpp")
        text = (
            f"{head}{constants}namespace rw {{\n\n{_declarations(chunks)}\n{functions}}}  // namespace rw\n"
        )
        (folder / names[-1]).write_text(text)
    names.append("chunk_calls.cpp")
    text = f"{head}namespace rw {{\n\n{_declarations(chunks)}\n{_edge(chunks)}\n}}  // namespace rw\n"
    (folder / names[-1]).write_text(text)
    return names
