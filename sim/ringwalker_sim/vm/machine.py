"""The command line of QEMU: machine, devices and serial ports."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "IOMMUS",
    "SERIAL_PORTS",
    "OwnDevice",
    "OwnDisk",
    "VfioUserDevice",
    "comma_option",
    "device_options",
    "machine_options",
    "serial_options",
]

MESSAGE_TIMEOUT_MS = 3_600_000
"""Time limit of QEMU for an answer of a vfio-user device, long enough for a debugger."""

SERIAL_PORTS = {"console": 4, "out": 3, "err": 5, "state": 7}
"""The serial ports ttyS0 to ttyS3, each with an interrupt that is not shared."""


@dataclass(frozen=True)
class VfioUserDevice:
    """A device on the vfio-user socket ``socket``."""

    socket: Path


@dataclass(frozen=True)
class OwnDisk:
    """QEMU's own virtio-blk-pci on a raw ``image``, for comparison.

    It has ``queues`` of ``queue_size`` entries. ``face`` names its register faces: ``"modern"``, ``"legacy"``
    or ``"transitional"``. ``options`` are names of its properties that are switched on.
    """

    image: Path
    read_only: bool = False
    serial: str = "ringwalker"
    queues: int = 1
    queue_size: int = 256
    face: str = "modern"
    options: Sequence[str] = ()


@dataclass(frozen=True)
class OwnDevice:
    """Any device of QEMU's own: ``driver`` with ``properties``; True is on and False is off.

    ``before`` are options for what is behind it, ``after`` for what is on its own bus.
    """

    driver: str
    properties: Mapping[str, object] = field(default_factory=dict)
    before: Sequence[str] = ()
    after: Sequence[str] = ()


def comma_option(first: str, properties: Mapping[str, object]) -> str:
    """``first,name=value,...`` as QEMU takes it; a comma in a value is doubled."""
    words = {True: "on", False: "off"}
    texts = {
        name: words[value] if isinstance(value, bool) else str(value) for name, value in properties.items()
    }
    return ",".join([first, *(f"{name}={value.replace(',', ',,')}" for name, value in texts.items())])


def _json_option(option: str, values: dict[str, object]) -> list[str]:
    return [option, json.dumps(values, separators=(",", ":"))]


def device_options(devices: Sequence[VfioUserDevice | OwnDisk | OwnDevice]) -> list[str]:
    """Options for ``devices``, in the order in which the guest finds them."""
    options: list[str] = []
    for number, device in enumerate(devices):
        address = f"{number + 2:#x}"
        if isinstance(device, OwnDevice):
            text = comma_option(device.driver, {"addr": address, **device.properties})
            options += [*device.before, "-device", text, *device.after]
            continue
        if isinstance(device, VfioUserDevice):
            values: dict[str, object] = {
                "driver": "vfio-user-pci",
                "socket": {"type": "unix", "path": str(device.socket)},
                "x-msg-timeout": MESSAGE_TIMEOUT_MS,
                "addr": address,
            }
        else:
            node = f"disk{number}"
            backend = {
                "driver": "raw",
                "node-name": node,
                "read-only": device.read_only,
                "file": {"driver": "file", "filename": str(device.image)},
            }
            options += _json_option("-blockdev", backend)
            values = {
                "driver": "virtio-blk-pci",
                "drive": node,
                "disable-legacy": "on" if device.face == "modern" else "off",
                "disable-modern": device.face == "legacy",
                "num-queues": device.queues,
                "queue-size": device.queue_size,
                **dict.fromkeys(device.options, True),
                "serial": device.serial,
                "addr": address,
            }
        options += _json_option("-device", values)
    return options


IOMMUS: dict[str, list[str]] = {
    # In its caching mode the guest announces new mappings too, which QEMU passes on to the devices.
    "intel": ["-device", "intel-iommu,caching-mode=on"],
}
"""Options of QEMU for each IOMMU that a machine can have; they come before those of devices."""


def machine_options(
    memory_mib: int,
    ram_file: Path | None = None,
    accelerator: str = "tcg",
    processors: int = 1,
    iommu: str | None = None,
) -> list[str]:
    """Options for a q35 machine without default devices, with RAM that other processes can map.

    ``ram_file`` is the file of the RAM; None for a memfd. ``iommu`` is one of :data:`IOMMUS`, or None.
    """
    size = f"{memory_mib}M"
    backend: dict[str, object] = {"id": "ram", "size": memory_mib << 20, "share": True}
    if ram_file is None:
        backend["qom-type"] = "memory-backend-memfd"
    else:
        backend |= {"qom-type": "memory-backend-file", "mem-path": str(ram_file)}
    return [
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-M", f"q35,accel={accelerator},memory-backend=ram", "-cpu", "max", "-m", size),
        *(("-smp", str(processors)) if processors > 1 else ()),
        *_json_option("-object", backend),
        *(IOMMUS[iommu] if iommu is not None else ()),
    ]


def serial_options(sockets: dict[str, Path], interactive: bool) -> list[str]:
    """Options for the serial ports of :data:`SERIAL_PORTS`, each on a socket; with ``interactive`` the
    console is on the terminal.
    """
    options: list[str] = []
    for index, (name, interrupt) in enumerate(SERIAL_PORTS.items()):
        if name == "console" and interactive:
            # Control-A x ends QEMU; control-C goes to the guest.
            options += ["-chardev", f"stdio,id={name},mux=on,signal=off"]
            options += ["-mon", f"chardev={name},mode=readline"]
        else:
            path = str(sockets[name]).replace(",", ",,")
            options += ["-chardev", f"socket,id={name},path={path}"]
        values: dict[str, object] = {
            "driver": "isa-serial",
            "chardev": name,
            "index": index,
            "irq": interrupt,
        }
        options += _json_option("-device", values)
    return options
