"""The page of all keys of a configuration, from its dataclasses."""

import dataclasses
from typing import Any

from ringwalker.config import USUAL, DeviceConfig
from ringwalker.function.kind import FUNCTIONS, function_kind
from ringwalker.identity import Identity
from ringwalker.pci_options import PciOptions

from ..markdown import markdown_table
from .texts import GENERATED, cell, member_texts

__all__ = ["configuration_page"]

_INTRODUCTION = """\
A device is described by a TOML file, which the option `--config` of every command names. Every key can be
left out. The options `--data-width`, `--queues`, `--ring`, `--face` and `--preset` change single keys of it;
the library takes all of them as keywords. A key that there is not, or a value that cannot be, is refused in a
line that says what would do.
"""
_EXAMPLE = """\
```toml
function = "blk"
data_width = 64
ring = "both"

[identity]
preset = "oasis"

[blk]
serial = "mine"
```"""
_TABLES = ("identity", "pci", "settings")


def configuration_page() -> str:
    """The text of the page."""
    lines = ["# Configuration", "", GENERATED, "", _INTRODUCTION, _EXAMPLE, ""]
    lines += ["## The device", "", *_table(DeviceConfig, without=_TABLES)]
    lines += ["", "## `[identity]`", "", *_table(Identity)]
    lines += [
        "",
        "## `[pci]`",
        "",
        "[The PCI function](../pci.md) says more of each.",
        "",
        *_table(PciOptions),
    ]
    for name in FUNCTIONS:
        settings = function_kind(name).settings
        if settings is not None:
            lines += ["", f"## `[{name}]`", "", *_table(settings)]
    return "\n".join(lines) + "\n"


def _table(kind: Any, without: tuple[str, ...] = ()) -> list[str]:
    texts = member_texts(kind)
    rows = [
        [f"`{item.name}`", _default(item), cell(texts.get(item.name, ""))]
        for item in dataclasses.fields(kind)
        if item.init and item.name not in without
    ]
    return markdown_table(("key", "by itself", "what"), rows)


def _default(item: dataclasses.Field[Any]) -> str:
    if item.default is None or item.default == USUAL:
        return "not given"
    value = item.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"
