"""The devices that the page about synthesis is about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from ringwalker.config import DeviceConfig, Identity
from ringwalker.spec.expansion_rom import ROM_SIGNATURE

from .flow import Chip

__all__ = ["CASES", "FACES_AND_OPTIONS", "ROM_BYTES", "SMALL", "Case", "Option"]

SMALL = DeviceConfig(
    data_width=64,
    queues=1,
    queue_size=64,
    read_tags=8,
    ring_tags=4,
    chains=8,
    max_payload=256,
    max_read_request=256,
    completion_timeout=1 << 16,
    clock_mhz=125,
    identity=Identity(preset="oasis"),
)
"""A small block device for today's drivers: one queue of 64 entries, 8 chains and 8 payload reads of 256
bytes in flight, and a completion timeout of half a millisecond."""

ROM_BYTES = 16384
"""The size of an expansion ROM among options."""

_ROM = "option.rom"


@dataclass(frozen=True)
class Option:
    """A device that differs from another by ``settings``, keys and tables as in TOML."""

    settings: Mapping[str, Any]
    title: str | None = None

    @property
    def name(self) -> str:
        """``title``, or by itself the settings."""
        return ", ".join(_said(self.settings)) if self.title is None else self.title

    def config(self, base: DeviceConfig, folder: Path) -> DeviceConfig:
        """``base`` with the settings. The file of an expansion ROM is made in ``folder``."""
        values = base.to_dict()
        for key, value in self.settings.items():
            values[key] = {**values.get(key, {}), **value} if isinstance(value, Mapping) else value
        if "rom" in values.get("pci", {}):
            path = folder / values["pci"]["rom"]
            path.write_bytes(ROM_SIGNATURE + bytes((7 * at + at // 256) % 251 for at in range(2, ROM_BYTES)))
            values["pci"] = {**values["pci"], "rom": str(path)}
        return DeviceConfig.from_dict(values)


def _said(settings: Mapping[str, Any], before: str = "") -> list[str]:
    found = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += _said(value, f"{before}{key}.")
        else:
            found.append(before + tomli_w.dumps({key: value}).strip())
    return found


_PCI = {
    "msi": 2,
    "serial_number": "02-00-00-ff-fe-00-00-01",
    "timeout_ranges": True,
    "aer": True,
    "rom": _ROM,
}

FACES_AND_OPTIONS = (
    Option({"face": "modern"}),
    Option({"face": "transitional"}),
    Option({"face": "legacy"}),
    Option({"face": "legacy", "legacy_io": False}),
    Option({"suspend": True}),
    Option({"pci": {"vectors": 1}}),
    *(Option({"pci": {key: value}}) for key, value in _PCI.items()),
    Option({"face": "transitional", "suspend": True, "pci": _PCI}, "transitional, with all of these options"),
    Option({"pci": {"tags": 10}}),
)
"""What a device can be given, each by itself; the first is the one that the others are compared with."""


@dataclass(frozen=True)
class Case:
    """A device, what it is synthesized for, and what it ought to reach.

    ``seeds`` runs of place and route on ``chip``. ``most_luts`` as a whole and ``most_levels`` on the longest
    path between registers are upper bounds; ``chip.freq`` is to be met in all runs. None: no such goal.
    ``options`` are devices that are compared with the first of them.
    """

    name: str
    target: str
    config: DeviceConfig
    seeds: int = 0
    chip: Chip = field(default_factory=Chip)
    most_luts: int | None = None
    most_levels: int | None = None
    options: tuple[Option, ...] = ()


SEEDS = 3
"""Runs of place and route."""

CASES = (
    Case(
        "block device, 64 bits, small",
        "ecp5",
        SMALL,
        seeds=SEEDS,
        most_luts=8000,
        options=FACES_AND_OPTIONS,
    ),
    Case("block device, 256 bits", "xilinxup", DeviceConfig(), most_levels=9),
)
"""What is measured for the page."""
