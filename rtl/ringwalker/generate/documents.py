"""The register reference, docs/registers.md."""

import enum
from collections.abc import Iterable, Iterator
from types import ModuleType

from ..spec import blk, common, features, net, pci
from ..spec.registers import RegisterTable

__all__ = ["register_reference"]

_INTRODUCTION = """\
# Registers

Generated from the tables in `rtl/ringwalker/spec/`; `python -m ringwalker.generate --docs` writes it anew.
Offsets are in bytes. All registers are little-endian.

## Where they are

| Space | Offset | What |
|---|---|---|
"""


def _places() -> Iterator[tuple[str, str, str]]:
    face = f"BAR{common.FACE_BAR} (memory, 64 bits)"
    queue = f"{common.NOTIFY_BASE:#06x} + {common.NOTIFY_MULTIPLIER} x queue"
    yield face, f"{common.COMMON_BASE:#06x}", "[common](#common)"
    yield face, f"{common.ISR_BASE:#06x}", "[isr](#isr)"
    configurations = (blk.BLK_CONFIG, net.NET_CONFIG)
    links = ", ".join(f"[{table.name}](#{table.name})" for table in configurations)
    yield face, f"{common.DEVICE_BASE:#06x}", f"{links}: that of the function"
    yield face, queue, "doorbell of a queue: a write of the queue's number, 16 bits"
    entry = f"0x0000 + {pci.MSIX_ENTRY_BYTES} x vector"
    yield f"BAR{common.MSIX_BAR} (memory, 32 bits)", entry, "[msix_entry](#msix_entry)"
    yield "configuration space", "0x0000", "[pci_header](#pci_header)"
    yield "configuration space", "linked list from `capabilities_pointer`", "the capabilities"


def _table(table: RegisterTable) -> list[str]:
    lines = [f"## {table.name}", "", table.doc, "", "| Offset | Bits | Name | Access | Reset | |"]
    lines.append("|---|---|---|---|---|---|")
    for register in table:
        reset = f"{register.reset:#x}" if register.reset else "0"
        lines.append(
            f"| {register.offset:#04x} | {register.width} | `{register.name}` | {register.access.value} "
            f"| {reset} | {register.doc} |"
        )
    return [*lines, ""]


def _enum(kind: type[enum.IntEnum] | type[enum.IntFlag]) -> list[str]:
    heading = (kind.__doc__ or "").splitlines()[0]
    bits = kind.__name__.endswith("Feature")
    lines = [f"### {kind.__name__}", "", heading, "", f"| {'Bit' if bits else 'Value'} | Name |", "|---|---|"]
    for member in kind:
        lines.append(f"| {int(member) if bits else f'{int(member):#x}'} | `{member.name}` |")
    return [*lines, ""]


def _of_kind(modules: Iterable[ModuleType], kinds: type | tuple[type, ...]) -> Iterator:
    for module in modules:
        for name, item in vars(module).items():
            if name not in module.__all__:
                continue
            if isinstance(item, type):
                if isinstance(kinds, tuple) and issubclass(item, kinds):
                    yield item
            elif isinstance(kinds, type) and isinstance(item, kinds):
                yield item


def register_reference() -> str:
    """The whole page."""
    lines = [_INTRODUCTION.rstrip("\n")]
    lines += [f"| {space} | {offset} | {what} |" for space, offset, what in _places()]
    lines.append("")
    for table in _of_kind((common, blk, net, pci), RegisterTable):
        lines += _table(table)
    lines += ["## Numbers", ""]
    for kind in _of_kind((features, common, blk, net, pci), (enum.IntEnum, enum.IntFlag)):
        lines += _enum(kind)
    return "\n".join(lines).rstrip("\n") + "\n"
