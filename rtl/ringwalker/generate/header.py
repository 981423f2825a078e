"""The C header: every offset, mask, flag and number of ``spec/``, and what the configuration chose."""

import enum
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from amaranth.lib import data

from ..config import DeviceConfig
from ..function.kind import FUNCTIONS, function_kind
from ..spec import features, fields, ids, legacy, packed, pci, pci_extended, pcie, ring
from ..spec import modern as common
from ..spec.registers import RegisterTable

__all__ = ["c_header"]


def _modules(config: DeviceConfig) -> list[ModuleType]:
    """The modules of ``spec/``, those of the functions among them, and that of the configured function."""
    kinds = [*map(function_kind, FUNCTIONS), config.kind]
    functions = dict.fromkeys(kind.spec for kind in kinds if kind.spec is not None)
    return [ids, common, legacy, features, *functions, fields, ring, packed, pci, pcie, pci_extended]


def _upper(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def _literal(value: int) -> str:
    return f"{value:#x}u" if value < 1 << 32 else f"UINT64_C({value:#x})"


def _define(*words: str, value: int) -> tuple[str, str]:
    """A macro without the prefix that all have, and what it stands for."""
    return "_".join(map(_upper, words)), _literal(value)


def _table(table: RegisterTable) -> Iterator[tuple[str, str]]:
    for register in table:
        yield _define(table.name, register.name, value=register.offset)
        yield _define(table.name, register.name, "bits", value=register.width)
        yield _define(table.name, register.name, "mask", value=(1 << register.width) - 1)
    yield _define(table.name, "table", "bytes", value=table.size)


def _struct(name: str, shape: Any) -> Iterator[tuple[str, str]]:
    """Byte offsets of the fields of a structure in memory."""
    layout: Any = data.Layout.cast(shape)
    fields = list(layout)
    if all(item.offset % 8 == 0 and item.width % 8 == 0 for _key, item in fields):
        for key, item in fields:
            yield _define(name, key, "offset", value=item.offset // 8)


def _enum(prefix: str, kind: type[enum.IntEnum] | type[enum.IntFlag]) -> Iterator[tuple[str, str]]:
    """Flags and codes are their values; features are bit numbers, and get a mask beside."""
    feature = kind.__name__.endswith("Feature")
    for member in kind:
        yield _define(prefix, str(member.name), value=int(member))
        if feature:
            yield _define(prefix, str(member.name), "mask", value=1 << int(member))


def _module(module: ModuleType) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Groups of definitions, each with its heading."""
    area = module.__name__.rpartition(".")[2]
    numbers = []
    names = [name for name in vars(module) if name in module.__all__]
    for name in names:
        item = getattr(module, name)
        if isinstance(item, RegisterTable):
            yield item.doc, list(_table(item))
        elif isinstance(item, type) and issubclass(item, enum.IntEnum | enum.IntFlag):
            prefix = f"pci_{_upper(name)}" if module in (pci, pcie, pci_extended) else name
            yield (item.__doc__ or name).splitlines()[0], list(_enum(prefix, item))
        elif isinstance(item, type) and issubclass(item, data.Struct):
            fields = list(_struct(name, item))
            if fields:
                yield (item.__doc__ or name).splitlines()[0], fields
        elif isinstance(item, int):
            numbers.append(_define(name, value=item))
    if numbers:
        yield f"Numbers of spec/{area}.py.", numbers


def _configuration(config: DeviceConfig) -> list[tuple[str, str]]:
    identity = config.resolved_identity
    chosen = {
        "vendor_id": identity.vendor,
        "device_id": identity.device,
        "subsystem_vendor_id": identity.subsystem_vendor,
        "subsystem_id": identity.subsystem,
        "class_code": identity.class_code,
        "data_width": config.data_width,
        "queues": config.queues,
        "max_queue_size": config.queue_size,
        "vectors": config.vectors,
    }
    return [_define("config", key, value=int(value or 0)) for key, value in chosen.items()]


def c_header(config: DeviceConfig) -> str:
    """The header's text, for C99 and C++. All macros begin with ``config.verilog_name`` in capitals.

    Errors: ``ValueError`` when two definitions have the same name.
    """
    prefix = config.verilog_name.upper()
    groups = [("What this device was generated with.", _configuration(config))]
    for module in _modules(config):
        groups.extend(_module(module))
    lines = [
        "/* Registers, rings and numbers of a Ringwalker device. Generated: do not edit. */",
        f"#ifndef {prefix}_REGS_H",
        f"#define {prefix}_REGS_H",
        "",
        "#include <stdint.h>",
    ]
    seen: dict[str, str] = {}
    for heading, definitions in groups:
        lines += ["", f"/* {heading.replace('``', '')} */"]
        for name, literal in definitions:
            if name in seen:
                raise ValueError(f"{name} is defined as {seen[name]} and again as {literal}")
            seen[name] = literal
            lines.append(f"#define {prefix}_{name} {literal}")
    return "\n".join([*lines, "", "#endif", ""])
