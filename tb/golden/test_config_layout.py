"""Configuration space of the golden model and of the hardware: two descriptions of the same bytes."""

from pathlib import Path
from typing import Any

import pytest

from ringwalker.config import DeviceConfig, Identity, PciOptions
from ringwalker.pci.capabilities import expansion_rom, layout
from ringwalker_sim.golden.config_layout import ConfigLayout
from ringwalker_sim.testing.option_rom import write_option_rom

FUNCTIONS = [("blk", 1), ("blk", 3), ("blk", 256), ("net", 3), ("console", 2), ("rng", 1)]
OPTIONS = [
    PciOptions(),
    PciOptions(vectors=1, tags=5, serial_number="02-00-00-ff-fe-00-00-01"),
    PciOptions(msi=1, aer=True, tags=10),
    PciOptions(msi=2, aer=True, tags=10, timeout_ranges=True, serial_number="00-11-22-33-44-55-66-77"),
]


def hardware(config: DeviceConfig) -> dict[str, bytes]:
    """What the hardware's configuration space is made from."""
    dwords = layout(config).dwords
    names = ("reset", "writable", "w1c", "kept")
    return {name: b"".join(getattr(dword, name).to_bytes(4, "little") for dword in dwords) for name in names}


def shape(bar: Any) -> tuple[int, int, bool, bool]:
    """A base address register of either description."""
    return bar.index, bar.size, bar.io, bar.is_64


def compare(config: DeviceConfig) -> None:
    """Both descriptions of ``config`` are the same."""
    golden = ConfigLayout(config)
    for name, content in hardware(config).items():
        assert getattr(golden, name).hex(" ", 4) == content.hex(" ", 4), (config, name)
    bars = (*layout(config).bars, *expansion_rom(config))
    assert [*map(shape, golden.bars.values())] == [*map(shape, bars)], config


@pytest.mark.parametrize("face", ["modern", "legacy", "transitional"])
def test_every_byte_is_the_same(face: str) -> None:
    for n, (function, queues) in enumerate(FUNCTIONS):
        for preset, pci in (("2007", OPTIONS[n % 2]), ("oasis", OPTIONS[n % 4])):
            config = DeviceConfig(
                function=function,
                queues=queues,
                face=face,
                legacy_io=bool(n % 2),
                identity=Identity(preset=preset),
                pci=pci,
                max_payload=128 << n,
            )
            compare(config)


def test_an_expansion_rom_and_an_identity_of_ones_own(tmp_path: Path) -> None:
    identity = Identity(vendor=0x1234, subsystem=7, class_code=0x123456, revision=9)
    for size in (512, 2560):
        folder = tmp_path / str(size)
        folder.mkdir()
        compare(DeviceConfig(identity=identity, pci=PciOptions(rom=str(write_option_rom(folder, size)))))


def test_the_field_list_beside_an_identity_of_oasis() -> None:
    compare(DeviceConfig(fields=True, identity=Identity(preset="oasis"), face="transitional"))
