"""What Python and the C++ of fuzzing agree on, written once: hence the ctypes and ``fuzz_spec.h``."""

import ctypes
import enum

from ringwalker.spec import packed, ring
from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import LEGACY, LEGACY_MSIX, LEGACY_QUEUE_SHIFT
from ringwalker.spec.modern import COMMON, NO_VECTOR, DeviceStatus
from ringwalker.spec.pci import HEADER, MSIX_CAPABILITY, Command, MsixControl
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl
from ringwalker.spec.registers import RegisterTable

from .operations import UNLESS_BROKEN, Kind, Recovery
from .spaces import Space

__all__ = ["FINDING", "SETTINGS", "CFinding", "CSettings", "fuzz_header"]

_SPACE_FIELDS = ("way", "bar", "offset", "size")
_BAR_FIELDS = ("address", "size", "io")
_BARS = 6

SETTINGS = (
    "memory_array",
    "memory_bytes",
    "target_id",
    "legacy",
    "notify_multiplier",
    "max_payload",
    "queues",
    "queue_size",
    "vectors",
    "most_cycles",
    *(f"space{space.value}_{field}" for space in Space for field in _SPACE_FIELDS),
    *(f"bar{bar}_{field}" for bar in range(_BARS) for field in _BAR_FIELDS),
)
"""``struct Settings``: 64-bit numbers. ``way`` of a space is 0 for configuration, 1 for memory, 2 for I/O,
3 for what there is not; with a ``bar`` of 6 ``offset`` is an address."""

FINDING = ("rule", "text", "cycle", "operation")
"""``struct FoundText``: the first two point to text that is good until the next case begins."""


class CSettings(ctypes.Structure):
    """``struct Settings``."""

    _fields_ = [(name, ctypes.c_uint64) for name in SETTINGS]


class CFinding(ctypes.Structure):
    """``struct FoundText``."""

    _fields_ = [
        ("rule", ctypes.c_char_p),
        ("text", ctypes.c_char_p),
        ("cycle", ctypes.c_uint64),
        ("operation", ctypes.c_uint64),
    ]


def _enum(name: str, members: type[enum.IntEnum]) -> list[str]:
    rows = [f"  {member.name} = {int(member)}," for member in members]
    return [f"enum class {name} : std::uint32_t {{", *rows, "};", ""]


def _offsets(name: str, table: RegisterTable) -> list[str]:
    rows = [f"inline constexpr unsigned {register.name} = {register.offset};" for register in table]
    return [f"namespace {name} {{", *rows, "}", ""]


_CONSTANTS = {
    "unless_broken": UNLESS_BROKEN,
    "no_vector": NO_VECTOR,
    "legacy_queue_shift": LEGACY_QUEUE_SHIFT,
    "config_command": HEADER.command.offset,
    "config_bar0": HEADER.bar0.offset,
    "command_bus_master": int(Command.BUS_MASTER_ENABLE),
    "msix_enable": int(MsixControl.ENABLE),
    "msix_function_mask": int(MsixControl.FUNCTION_MASK),
    "initiate_reset": int(DeviceControl.INITIATE_FUNCTION_LEVEL_RESET),
    "desc_next": ring.DESC_F_NEXT,
    "desc_write": ring.DESC_F_WRITE,
    "desc_indirect": ring.DESC_F_INDIRECT,
    "desc_avail": packed.DESC_F_AVAIL,
    "desc_used": packed.DESC_F_USED,
    "event_bytes": packed.EVENT_BYTES,
    "bars": _BARS,
    **{f"status_{bit.name.lower()}": int(bit) for bit in DeviceStatus if bit.name},
    **{f"feature_{bit.name.lower()}": int(bit) for bit in Feature},
}


def fuzz_header() -> str:
    """The text of ``fuzz_spec.h``."""
    lines = ["// Generated; do not edit.", "#pragma once", "", "#include <array>", "#include <cstdint>", ""]
    lines += ["namespace rw::fuzz {", ""]
    lines += [f"inline constexpr unsigned {name} = {value};" for name, value in _CONSTANTS.items()]
    lines.append("")
    lines += [*_enum("Kind", Kind), *_enum("Space", Space), *_enum("Recovery", Recovery)]
    for name, table in (
        ("common", COMMON),
        ("legacy", LEGACY),
        ("legacy_msix", LEGACY_MSIX),
        ("pcie", PCIE_CAPABILITY),
        ("msix", MSIX_CAPABILITY),
    ):
        lines += _offsets(name, table)
    number = "  std::uint64_t"
    lines += ["struct Place {", *(f"{number} {field};" for field in _SPACE_FIELDS), "};", ""]
    lines += ["struct Bar {", *(f"{number} {field};" for field in _BAR_FIELDS), "};", ""]
    single = [name for name in SETTINGS if not name.startswith(("space", "bar"))]
    lines += ["struct Settings {", *(f"{number} {name};" for name in single)]
    lines += [f"  std::array<Place, {len(Space)}> places;", f"  std::array<Bar, {_BARS}> bar_places;", "};"]
    lines += [f"static_assert(sizeof(Settings) == {ctypes.sizeof(CSettings)});", ""]
    lines += ["struct FoundText {", "  const char* rule;", "  const char* text;"]
    lines += [f"{number} cycle;", f"{number} operation;", "};", "", "}  // namespace rw::fuzz", ""]
    return "\n".join(lines)
