"""The whole devices that tests build: one narrow and small one a function, so that its model is built once.

A test takes another configuration only where a fault would show there alone, and is then a slow one, as a
rule. ``docs/testing.md`` says what a model costs.
"""

from dataclasses import replace
from pathlib import Path

from ringwalker.config import DeviceConfig, Identity, PciOptions

__all__ = [
    "BOTH",
    "BOTH_BLK",
    "BOTH_NET",
    "OPTIONAL_RNG",
    "SERVED_BLK",
    "SMALL",
    "SMALL_BLK",
    "SMALL_CONSOLE",
    "SMALL_NET",
    "SMALL_RNG",
    "TRANSITIONAL",
    "every_option",
]

SMALL_BLK = DeviceConfig(data_width=64, queues=4, queue_size=32)
"""The block device, also that of the small rows of ``docs/performance.json``."""

SMALL_NET = DeviceConfig(function="net", data_width=64, queue_size=64, read_tags=32, ring_tags=8, chains=32)
"""The network device, also that of the small rows of ``docs/performance.json``."""

SMALL_CONSOLE = DeviceConfig(function="console", data_width=64, queue_size=64, ring="both")
"""The console, with split and packed rings."""

SMALL_RNG = DeviceConfig(function="rng", data_width=64, queue_size=64, ring="both")
"""The entropy device, with split and packed rings."""

BOTH_BLK = DeviceConfig(
    data_width=64, queues=4, queue_size=32, ring="both", identity=Identity(preset="oasis")
)
"""A block device that offers split and packed rings, also to Linux: for slow tests."""

BOTH_NET = replace(SMALL_NET, ring="both")
"""A network device that offers split and packed rings: for slow tests."""

SERVED_BLK = DeviceConfig(data_width=64, identity=Identity(preset="oasis"))
"""What ``ringwalker serve --data-width 64`` and ``guest --data-width 64`` offer."""

OPTIONAL_RNG = replace(
    SMALL_RNG,
    identity=Identity(preset="oasis"),
    pci=PciOptions(msi=2, serial_number="02-00-00-ff-fe-00-00-01", tags=10, aer=True),
)
"""An entropy device with those options of ``[pci]`` that QEMU shows to a guest: for campaigns."""


def every_option(rom: Path) -> DeviceConfig:
    """A block device with both faces, VIRTIO_F_SUSPEND and every option of ``[pci]``: for slow tests.

    ``rom`` is a file for the expansion ROM.
    """
    options = PciOptions(
        vectors=3,
        msi=2,
        serial_number="02-00-00-ff-fe-00-00-01",
        tags=10,
        timeout_ranges=True,
        aer=True,
        rom=str(rom),
    )
    return DeviceConfig(
        data_width=64,
        queues=4,
        queue_size=32,
        face="transitional",
        suspend=True,
        identity=Identity(preset="oasis"),
        pci=options,
    )


BOTH = {"blk": BOTH_BLK, "net": BOTH_NET, "console": SMALL_CONSOLE, "rng": SMALL_RNG}
"""The device of each function that offers split and packed rings, by the function's name."""

TRANSITIONAL = {
    name: replace(config, face="transitional", identity=Identity(preset="oasis"))
    for name, config in BOTH.items()
}
"""The same devices with both register faces, as drivers of any age expect them, by the function's name."""

SMALL = {"blk": SMALL_BLK, "net": SMALL_NET, "console": SMALL_CONSOLE, "rng": SMALL_RNG}
"""The device of each function, by its name."""
