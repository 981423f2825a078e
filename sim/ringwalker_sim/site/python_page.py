"""The page of the Python library: every public name, from its docstring and signature."""

import dataclasses
import inspect
from typing import Any

import ringwalker_sim
from ringwalker.config import DeviceConfig

from ..library.counters import Counters
from ..library.latencies import Latencies
from ..library.memory_map import MemoryMap
from ..library.opening import open as open_device
from ..library.operation import Operation
from ..library.options import Options
from ..library.pci import PciFunction
from ..markdown import markdown_table
from .texts import GENERATED, cell, in_markdown, member_texts

__all__ = ["python_page"]

_INTRODUCTION = """\
All that `import ringwalker_sim as rw` offers. [The library](../library.md) says how it is used. An
*operation* runs until it is done; `NAME.aio(...)` is the same under asyncio, and `NAME.coroutine(...)` the
guest's coroutine itself.
"""
_FURTHER = (PciFunction, Counters, Latencies, MemoryMap)
"""What is not opened by name, but is an attribute of a device."""


def python_page() -> str:
    """The text of the page."""
    lines = ["# Python", "", GENERATED, "", _INTRODUCTION, "## open, open_async", "", _text(open_device), ""]
    texts = {**member_texts(DeviceConfig), **member_texts(Options)}
    rows = [
        [f"`{name}`", f"`{_kind(kind)}`", cell(texts.get(name, ""))]
        for name, kind in Options.__annotations__.items()
    ]
    lines += markdown_table(("option", "type", ""), rows)
    public = [getattr(ringwalker_sim, name) for name in sorted(ringwalker_sim.__all__)]
    for item in [*(item for item in public if inspect.isclass(item)), *_FURTHER]:
        lines += ["", *_class(item)]
    return "\n".join(lines) + "\n"


def _class(kind: type) -> list[str]:
    bases = [base.__name__ for base in kind.__bases__ if base.__module__.startswith("ringwalker")]
    title = f"## {kind.__name__}"
    lines = [title, "", *([f"A `{bases[0]}`.", ""] if bases else []), _text(kind)]
    rows = []
    if dataclasses.is_dataclass(kind):
        texts = member_texts(kind)
        rows += [
            [f"`{item.name}`", cell(texts.get(item.name, ""))]
            for item in dataclasses.fields(kind)
            if item.init
        ]
    for name, member in vars(kind).items():
        if name.startswith("_") or isinstance(member, dataclasses.Field):
            continue
        if isinstance(member, property):
            rows.append([f"`{name}`", cell(in_markdown(member.__doc__).split("\n\n")[0])])
        elif isinstance(member, Operation):
            rows.append(_call(name, member._function, " *operation*"))
        elif inspect.isfunction(member) or isinstance(member, classmethod):
            rows.append(_call(name, getattr(member, "__func__", member), ""))
    if rows:
        lines += ["", *markdown_table(("member", ""), rows)]
    return lines


def _call(name: str, function: Any, what: str) -> list[str]:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = [
        f"{stars.get(item.kind, '')}{item.name}"
        + ("" if item.default is item.empty else f"={item.default!r}")
        for item in list(inspect.signature(function).parameters.values())[1:]
    ]
    text = in_markdown(function.__doc__).split("\n\n")[0]
    return [f"`{name}({', '.join(names)})`{what}", cell(text)]


def _kind(kind: Any) -> str:
    """A type as it is written, without the modules."""
    text = kind.__forward_arg__ if hasattr(kind, "__forward_arg__") else inspect.formatannotation(kind)
    for module in ("ringwalker.config.", "pathlib.", "typing.", "collections.abc."):
        text = text.replace(module, "")
    return text.replace("|", "or").replace("  ", " ")


def _text(item: Any) -> str:
    """A docstring, whose examples become blocks."""
    lines: list[str] = []
    inside = False
    for line in in_markdown(item.__doc__).splitlines():
        starts = line.startswith(">>> ")
        if starts and not inside:
            lines.append("```pycon")
            inside = True
        elif inside and not line:
            lines.append("```")
            inside = False
        lines.append(line)
    return "\n".join([*lines, *(["```"] if inside else [])])
