"""The register reference, docs/registers.md."""

import enum
from collections.abc import Iterable, Iterator
from types import ModuleType

from ..config import DeviceConfig
from ..function.kind import FUNCTIONS, FunctionKind, function_kind
from ..spec import features, fields, legacy, pci, pci_extended, pcie
from ..spec import modern as common
from ..spec.registers import RegisterTable
from ..transport.field_list import FieldList, field_list

__all__ = ["register_reference"]

_INTRODUCTION = """\
# Registers

Generated from the tables in `rtl/ringwalker/spec/`; `python -m ringwalker.generate --docs` writes it anew.
Offsets are in bytes. All registers are little-endian.

## Where they are

| Space | Offset | What |
|---|---|---|
"""


def _kinds() -> list[FunctionKind]:
    """The records of our own functions."""
    return [function_kind(name) for name in FUNCTIONS]


def _places() -> Iterator[tuple[str, str, str]]:
    face = f"BAR{common.FACE_BAR} (memory, 64 bits)"
    queue = f"{common.NOTIFY_BASE:#06x} + {common.NOTIFY_MULTIPLIER} x queue"
    yield face, f"{common.COMMON_BASE:#06x}", "[common](#common)"
    yield face, f"{common.ISR_BASE:#06x}", "[isr](#isr)"
    configurations = [table for kind in _kinds() if (table := kind.device_config) is not None]
    links = ", ".join(f"[{table.name}](#{table.name})" for table in configurations)
    yield face, f"{common.DEVICE_BASE:#06x}", f"{links}: that of the function"
    yield face, queue, "doorbell of a queue: a write of the queue's number, 16 bits"
    yield face, f"{fields.FIELDS_BASE:#06x}", "[the field list of 2007](#the-field-list-of-2007)"
    header = f"BAR{legacy.LEGACY_BAR} (I/O, or memory, 32 bits; with a legacy face)"
    yield header, "0x0000", "[legacy](#legacy)"
    moved, unmoved = map(legacy.legacy_device_config_offset, (True, False))
    yield header, f"{unmoved:#06x}, if MSI-X is enabled", "[legacy_msix](#legacy_msix)"
    yield header, f"{unmoved:#06x}, or {moved:#06x} if MSI-X is enabled", f"{links}: that of the function"
    entry = f"0x0000 + {pci.MSIX_ENTRY_BYTES} x vector"
    yield f"BAR{common.MSIX_BAR} (memory, 32 bits)", entry, "[msix_entry](#msix_entry)"
    yield "configuration space", "0x0000", "[pci_header](#pci_header)"
    yield "configuration space", "linked list from `capabilities_pointer`", "the capabilities"
    yield "configuration space", "linked list from 0x100", "extended capabilities, if any were chosen"


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


_FIELD_LIST = """\
## The field list of 2007

A field is a dword header (type in bits 7:0, flags in 15:8, length of the value in bytes in 31:16), the value,
and padding to the next dword. A field of type END closes the list. A driver skips the types that it does
not know. Devices of the vendor 0x5000 have the list, and the capability
[virtio_pci_vndr_data](#virtio_pci_vndr_data) says where. The offsets here are those of the values, from the
start of the list."""


def _field_list(function: str, described: FieldList) -> list[str]:
    """The fields of a function; queue fields are one row, for all of them follow one another."""
    lines = [
        f"### Fields of {function}",
        "",
        "| Offset | Bytes | Type | Name | Flags | |",
        "|---|---|---|---|---|---|",
    ]
    for item in described.fields:
        if item.type == fields.CommonField.END or item.queue:
            continue
        offset = f"{item.offset:#04x}"
        if item.queue is not None:
            offset += f" + {fields.FIELD_QUEUE_STRIDE} x queue"
        flags = ", ".join(flag.name.lower() for flag in fields.FieldFlag if flag.name and flag in item.flags)
        doc = "[queue_field](#queue_field)" if item.queue is not None else item.doc
        lines.append(f"| {offset} | {item.length} | {item.type:#04x} | `{item.name}` | {flags} | {doc} |")
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
    functions = [kind.spec for kind in _kinds() if kind.spec is not None]
    lines += [f"| {space} | {offset} | {what} |" for space, offset, what in _places()]
    lines.append("")
    standard = (pci, pcie, pci_extended)
    for table in _of_kind((common, legacy, *functions, fields, *standard), RegisterTable):
        lines += _table(table)
    lines += [_FIELD_LIST, ""]
    for function in FUNCTIONS:
        lines += _field_list(function, field_list(DeviceConfig(function=function)))
    lines += ["## Numbers", ""]
    for kind in _of_kind(
        (features, common, legacy, *functions, fields, *standard), (enum.IntEnum, enum.IntFlag)
    ):
        lines += _enum(kind)
    return "\n".join(lines).rstrip("\n") + "\n"
