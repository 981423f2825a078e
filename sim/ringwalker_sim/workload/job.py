"""What a guest is to do, on which machine: one value that every engine takes, in any process."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.spec.features import Feature
from ringwalker.spec.pci import CONFIG_SPACE_BYTES, EXTENDED_CONFIG_SPACE_BYTES, HEADER, ExpansionRom

from ..disk_image import DiskImage
from ..errors import ParameterError
from ..function.simulation import simulation_of
from ..guest.bus import VirtioDeviceId
from ..guest.errors import BindError
from ..guest.history import INTERFACES
from ..guest.machine import Machine
from ..guest.opening import TRANSPORTS, OpenDevice, open_device
from ..guest.pci import PciDevice, enumerate_pci
from ..guest.ring_queue import RING_FEATURES
from ..guest.transport.faces import DRIVER_FACES
from ..guest.transport.pci_interrupts import INTERRUPTS
from ..host.parameters import HostParameters
from .json_values import decode, decode_named, encode, encode_named

__all__ = [
    "RING_NAMES",
    "CallTask",
    "DescribeTask",
    "DeviceTask",
    "Job",
    "OpenTask",
    "Progress",
    "Task",
    "describe",
    "model_behind",
    "open_for",
]

Progress = Callable[[str, int, int], None]
"""Called with the name of what is being done, how much is done, and of how much."""

RING_NAMES = tuple(feature.name for feature in Feature if RING_FEATURES >> feature & 1)
"""Features of rings that a driver here can use."""

_LEAST_MEMORY = 1 << 16


class Task(ABC):
    """What the guest does: a frozen dataclass of values that JSON can hold (and bytes, and further ones)."""

    @abstractmethod
    async def run(
        self, port: Any, config: DeviceConfig, job: "Job", progress: Progress | None
    ) -> dict[str, Any]:
        """Do it with the device of ``config`` behind ``port``; the result is something that JSON can hold.

        Errors: :class:`~..errors.RingwalkerError` of any kind.
        """

    def again(self, folder: Path) -> "Task":
        """The same task for another device; what it would write goes into files in ``folder``."""
        return self

    def in_turn(self) -> "Task":
        """The same task, in which nothing depends on the order in which a device answers requests."""
        return self


@dataclass(frozen=True)
class Job:
    """A task and the machine for it. Errors: :class:`~..errors.ParameterError` that names the field."""

    task: Task
    interface: str = "modern"
    """Stage of the virtio interface that the driver works by: one of ``INTERFACES``."""
    transport: str = "pci"
    """How driver and device meet: one of ``TRANSPORTS``. Only ``pci`` has hardware."""
    interrupt: str = "msix"
    """Kind of interrupts that the driver uses: one of
    :data:`~..guest.transport.pci_interrupts.INTERRUPTS`."""
    seed: int = 1
    """Of all that is random in the machine."""
    memory_bytes: int = 64 << 20
    """Guest RAM."""
    image: str | None = None
    """File with the disk image behind a function that has one; None: a blank disk of the configured size."""
    read_only: bool = False
    """The image is not written."""
    host: HostParameters = field(default_factory=HostParameters)
    """The root complex. The cocotb engine has latencies, limits and stalls of it."""
    raw: bool = False
    """The image is taken as it is, whatever it looks like."""
    rings: tuple[str, ...] = ()
    """Features of rings that the transport accepts where the device offers them, of :data:`RING_NAMES`."""
    driver_face: str | None = None
    """The register face by which a driver uses a PCI function, of
    :data:`~..guest.transport.faces.DRIVER_FACES`; None: the modern one where there is one."""

    def __post_init__(self):
        for name, known in (
            ("interface", INTERFACES),
            ("transport", tuple(TRANSPORTS)),
            ("interrupt", INTERRUPTS),
            ("driver_face", (None, *DRIVER_FACES)),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ParameterError(f"{name} is {value!r}; it must be one of {', '.join(map(str, known))}")
        object.__setattr__(self, "rings", tuple(self.rings))
        strange = [name for name in self.rings if name not in RING_NAMES]
        if strange:
            raise ParameterError(f"rings has {strange[0]!r}; there is {', '.join(RING_NAMES)}")
        if not isinstance(self.seed, int):
            raise ParameterError(f"seed is {self.seed!r}; it must be an integer")
        if not isinstance(self.memory_bytes, int) or self.memory_bytes < _LEAST_MEMORY:
            raise ParameterError(
                f"memory_bytes is {self.memory_bytes!r}; it must be an integer from {_LEAST_MEMORY} up"
            )
        if not isinstance(self.task, Task):
            raise ParameterError(f"task is {self.task!r}; it must be a Task")
        if not isinstance(self.host, HostParameters):
            raise ParameterError(f"host is {self.host!r}; it must be HostParameters")

    def open_disk(self, config: DeviceConfig) -> DiskImage | None:
        """The disk behind the device, None for a function without one. Errors: :class:`ParameterError` for an
        image that the function has no place for; :class:`~..memory.DiskError`.
        """
        open_disk = simulation_of(config.function).open_disk
        if open_disk is not None:
            return open_disk(config, self.image, self.read_only, self.raw)
        if self.image is not None:
            raise ParameterError(f"image is {self.image!r}; function {config.function} has no disk")
        return None

    async def run(self, port: Any, config: DeviceConfig, progress: Progress | None = None) -> dict[str, Any]:
        """Do the task; see :meth:`Task.run`."""
        return await self.task.run(port, config, self, progress)

    def to_json(self) -> dict[str, Any]:
        """The job as JSON can hold it."""
        return {**encode(self), "task": encode_named(self.task)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Job":
        """The job that :meth:`to_json` gave. Errors: :class:`~..errors.ParameterError`."""
        others = {key: value for key, value in content.items() if key != "task"}
        host = decode(HostParameters, others.pop("host", {}))
        unknown = set(others) - set(cls.__dataclass_fields__)
        if unknown:
            raise ParameterError(
                f"{min(unknown)} is no part of a Job; there is {', '.join(cls.__dataclass_fields__)}"
            )
        return cls(decode_named(Task, content.get("task")), host=host, **others)


def model_behind(opened: OpenDevice) -> Any:
    """The device in Python that is opened; None for one of hardware."""
    model = opened.model
    return getattr(opened.machine.port, "model", None) if model is None else model


class DeviceTask(Task):
    """A task for one device and its driver: opens the device of the configuration, works, and closes it."""

    def driver_options(self, config: DeviceConfig) -> dict[str, Any]:
        """Arguments of the function's driver, beside the port and the ids."""
        return {}

    @abstractmethod
    async def work(
        self, opened: OpenDevice, config: DeviceConfig, progress: Progress | None
    ) -> dict[str, Any]:
        """Work with ``opened.driven``, which is what the driver offers; the result."""

    async def run(
        self, port: Any, config: DeviceConfig, job: Job, progress: Progress | None
    ) -> dict[str, Any]:
        """Open, work, close. ``tlps`` counts all of it, unless the task has counted a part of its own."""
        opened = await open_for(Machine(port), config, job, **self.driver_options(config))
        result = await self.work(opened, config, progress)
        await opened.close()
        return {"tlps": port.tlps(), **result}


@dataclass(frozen=True)
class OpenTask(DeviceTask):
    """Opens the device and closes it."""

    async def work(
        self, opened: OpenDevice, config: DeviceConfig, progress: Progress | None
    ) -> dict[str, Any]:
        """Nothing more."""
        return {}


async def open_for(machine: Machine, config: DeviceConfig, job: Job, **options: Any) -> OpenDevice:
    """The device of ``config`` on the transport of ``job``, with its driver; ``options`` go to the driver.

    Errors: those of :func:`~..guest.opening.open_device`.
    """
    from ..golden.build import model_of

    port: Any = machine.port
    model = None
    if job.transport != "pci":
        model = model_of(config, port.schedule, port.disk, seed=job.seed)
    identity = config.resolved_identity
    assert identity.vendor is not None
    assert identity.device is not None
    return await open_device(
        machine,
        config.function,
        job.interface,
        job.transport,
        model=model,
        interrupt=job.interrupt,
        pipe={"seed": job.seed},
        rings=sum(1 << Feature[name] for name in job.rings),
        ids=[VirtioDeviceId(identity.vendor, identity.device)],
        face=job.driver_face,
        **options,
    )


async def _rom_size(pci: PciDevice) -> int:
    """Bytes of the expansion ROM, 0 if there is none; found by writing ones, as for BARs."""
    register, enable = HEADER.expansion_rom, int(ExpansionRom.ENABLE)
    before = await pci.read(register)
    await pci.write(register, 0xFFFFFFFF & ~enable)
    mask = await pci.read(register)
    await pci.write(register, before)
    return -(mask & ~enable) & 0xFFFFFFFF


async def describe(pci: PciDevice) -> dict[str, Any]:
    """``bdf``, ``config`` (hexadecimal), and sizes of ``bars`` and ``rom`` of a function."""
    content = bytearray()
    extended = await pci.port.config_read(pci.bdf, CONFIG_SPACE_BYTES, 4)
    has_extended = extended not in (0, 0xFFFFFFFF)
    for offset in range(0, EXTENDED_CONFIG_SPACE_BYTES if has_extended else CONFIG_SPACE_BYTES, 4):
        content += (await pci.port.config_read(pci.bdf, offset, 4)).to_bytes(4, "little")
    return {
        "bdf": pci.bdf,
        "config": content.hex(),
        "bars": {str(bar.index): bar.size for bar in pci.bars.values()},
        "rom": await _rom_size(pci),
    }


@dataclass(frozen=True)
class DescribeTask(Task):
    """What ``lspci`` asks.

    The result has ``functions``, each with ``bdf``, ``config`` (hexadecimal), sizes of ``bars`` and ``rom``.
    """

    async def run(
        self, port: Any, config: DeviceConfig, job: Job, progress: Progress | None
    ) -> dict[str, Any]:
        """Find all functions. Errors: :class:`~..guest.errors.BindError` when there is none."""
        found = await enumerate_pci(port, assign=len(port.mmio32) > 0)
        if not found:
            raise BindError("no PCI function answers")
        return {"functions": [await describe(pci) for pci in found]}


@dataclass(frozen=True)
class CallTask(Task):
    """Calls the coroutine ``function`` (``module:name``) with the port and ``arguments``, JSON values."""

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    async def run(
        self, port: Any, config: DeviceConfig, job: Job, progress: Progress | None
    ) -> dict[str, Any]:
        """Call it."""
        module, _, name = self.function.partition(":")
        return await getattr(import_module(module), name)(port, **self.arguments)
