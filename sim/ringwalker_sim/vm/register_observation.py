"""What a driver sees in the registers of a virtio block device, through either face."""

from collections.abc import Iterable
from typing import Any

from ringwalker.spec.legacy import LEGACY, LEGACY_BAR, LEGACY_MSIX, legacy_device_config_offset
from ringwalker.spec.modern import COMMON, ISR, CapabilityType
from ringwalker.spec.registers import Register

from ..guest.pci import PciDevice
from ..guest.transport.legacy_pci import LegacyPciTransport
from ..guest.transport.pci_transport import PciTransport
from ..guest.transport.virtio_pci import VirtioPciTransport

__all__ = ["FEATURE_REGISTERS", "legacy_accesses", "registers"]

FEATURE_REGISTERS = (("device_feature", "device_features"), ("driver_feature", "driver_features"))
"""Names of the registers of the offered and of the accepted features, those of the modern face first."""

_ADDRESSES = ("queue_desc", "queue_driver", "queue_device", "queue_pfn")
_QUEUES = (0, 31)
"""The index of the queue, and the index of a queue that does not exist."""


async def registers(transport: PciTransport, step: str) -> dict[str, Any]:
    """The registers of the face of ``transport``, for queue 0 and for a queue that does not exist.

    The names begin with ``step``. Of addresses that are set, it is only said that they are.
    """
    seen: dict[str, Any] = {}
    for queue in _QUEUES:
        place = step if queue == 0 else f"{step}, no such queue"
        for register, value in await _face(transport, queue):
            if queue and not register.name.startswith("queue_"):
                continue
            shown = value if not value or register.name not in _ADDRESSES or queue else "set"
            seen[f"{place}: {register.name}"] = shown
    return seen


async def _face(transport: PciTransport, queue: int) -> Iterable[tuple[Register, int]]:
    """All registers while ``queue`` is selected; queue 0 is selected afterwards."""
    if isinstance(transport, LegacyPciTransport):
        return await _legacy(transport, queue)
    assert isinstance(transport, VirtioPciTransport)
    structures = transport.structures
    size = structures.places[CapabilityType.COMMON].size
    found = [(ISR.isr_status, await structures.read(CapabilityType.ISR, ISR.isr_status))]
    await transport.write_common("queue_select", queue)
    for register in COMMON:
        if register.offset + register.size <= size:
            found.append((register, await transport.read_common(register.name)))
    await transport.write_common("queue_select", 0)
    return found


async def _legacy(transport: LegacyPciTransport, queue: int) -> Iterable[tuple[Register, int]]:
    header = transport.header
    found = []
    await header.write("queue_select", queue)
    for table in (LEGACY, LEGACY_MSIX) if transport._interrupts.vectors else (LEGACY,):
        for register in table:
            found.append((register, await header.read(register.name, table)))
    await header.write("queue_select", 0)
    return found


async def legacy_accesses(pci: PciDevice, msix: bool) -> dict[str, Any]:
    """Whether parts of registers of the legacy header, and of what follows it, read as the whole ones do."""
    seen: dict[str, Any] = {}
    places = {"header": 0, "configuration": legacy_device_config_offset(msix)}
    for name, start in places.items():
        whole = b"".join(
            [(await pci.bar_read(LEGACY_BAR, start + at, 4)).to_bytes(4, "little") for at in (0, 4)]
        )
        for at, size in [*((at, 1) for at in range(8)), (1, 2), (2, 2), (5, 2), (6, 2)]:
            value = await pci.bar_read(LEGACY_BAR, start + at, size)
            same = int(value.to_bytes(size, "little") == whole[at : at + size])
            seen[f"{name}, {size} bytes at {at}: as in the dword"] = same
    return seen
