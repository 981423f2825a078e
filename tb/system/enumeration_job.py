"""cocotbext-pcie alone with the device: its enumeration, its windows and its MSI-X, without our driver."""

from itertools import pairwise
from typing import Any

from cocotbext.pcie.core.caps import PciCapId
from cocotbext.pcie.core.utils import PcieId

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import bars, layout
from ringwalker.spec.blk import ID_BYTES, BlkRequestHeader, BlkRequestType, BlkStatus
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, COMMON_BASE, FACE_BAR, NOTIFY_BASE, NOTIFY_MULTIPLIER, DeviceStatus
from ringwalker.spec.pci import CapabilityId
from ringwalker.spec.ring import (
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_RING_OFFSET,
    Descriptor,
    RingHeader,
    UsedElement,
)

__all__ = ["enumerate_and_interrupt"]


class _Registers:
    """Common configuration through a window of cocotbext-pcie."""

    def __init__(self, window: Any):
        self.window = window

    async def write(self, name: str, value: int) -> None:
        register = COMMON[name]
        for part in range(0, register.size, 4):
            size = min(4, register.size)
            raw = (value >> 8 * part & (1 << 8 * size) - 1).to_bytes(size, "little")
            await self.window.write(COMMON_BASE + register.offset + part, raw)

    async def read(self, name: str) -> int:
        register = COMMON[name]
        return int.from_bytes(await self.window.read(COMMON_BASE + register.offset, register.size), "little")


def _check_function(function: Any, config: DeviceConfig) -> None:
    """What cocotbext-pcie found is what the configuration says."""
    identity = config.resolved_identity
    assert (function.vendor_id, function.device_id) == (identity.vendor, identity.device)
    assert function.class_code == identity.class_code
    assert function.header_type == 0
    assert not function.multifunction
    expected = {bar.index: bar.size for bar in bars(config)}
    assert {index: size for index, size in enumerate(function.bar_size) if size} == expected
    taken = sorted((function.bar_addr[index], expected[index]) for index in expected)
    assert all(address % size == 0 for address, size in taken)
    assert all(first[0] + first[1] <= second[0] for first, second in pairwise(taken))
    capabilities = layout(config).capabilities
    assert function.capabilities == [(item.values["id"], item.offset) for item in capabilities]
    assert {number for number, _ in function.capabilities} == set(CapabilityId)


def _offset(config: DeviceConfig, number: CapabilityId) -> int:
    return next(item.offset for item in layout(config).capabilities if item.values["id"] == number)


async def _negotiate(registers: _Registers) -> None:
    await registers.write("device_status", 0)
    while await registers.read("device_status"):
        pass
    status = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER
    await registers.write("device_status", status)
    await registers.write("driver_feature_select", 1)
    await registers.write("driver_feature", 1 << Feature.VERSION_1 - 32)
    status |= DeviceStatus.FEATURES_OK
    await registers.write("device_status", status)
    assert await registers.read("device_status") == status


async def enumerate_and_interrupt(port: Any, device: dict[str, Any]) -> dict[str, Any]:
    """cocotbext-pcie alone: its enumeration, its BAR windows, its MSI-X; one GET_ID by hand."""
    config = DeviceConfig.from_dict(device)
    function = port.rc.find_device(PcieId(1, 0, 0))
    assert function is not None
    _check_function(function, config)
    await function.enable_device()
    await function.set_master()
    vectors = await function.alloc_irq_vectors(1, config.vectors)
    assert vectors == config.vectors
    assert await function.msix_vec_count() == config.vectors
    assert function.get_capability_offset(PciCapId.MSIX) == _offset(config, CapabilityId.MSIX)
    registers = _Registers(function.bar_window[FACE_BAR])
    await _negotiate(registers)
    memory, size = port.memory, 4
    rings = memory.allocate(4096, 4096)
    desc, driver, used_ring = rings.address, rings.address + 1024, rings.address + 2048
    queue, vector = config.queues - 1, config.vectors - 1
    for name, value in {
        "queue_select": queue,
        "queue_size": size,
        "queue_msix_vector": vector,
        "queue_desc": desc,
        "queue_driver": driver,
        "queue_device": used_ring,
        "queue_enable": 1,
    }.items():
        await registers.write(name, value)
    assert await registers.read("queue_msix_vector") == vector
    status = await registers.read("device_status") | DeviceStatus.DRIVER_OK
    await registers.write("device_status", status)
    header, reply = memory.allocate(16, 16), memory.allocate(ID_BYTES + 1, 1)
    memory.struct_view(header.address, BlkRequestHeader)[0]["type"] = BlkRequestType.GET_ID
    table = memory.struct_view(desc, Descriptor, 3)
    table[0] = (header.address, 16, DESC_F_NEXT, 2)
    table[2] = (reply.address, ID_BYTES, DESC_F_NEXT | DESC_F_WRITE, 1)
    table[1] = (reply.address + ID_BYTES, 1, DESC_F_WRITE, 0)
    memory.struct_view(driver, RingHeader)[0]["idx"] = 1
    arrived = function.msi_vectors[vector].event
    others = [item.event for item in function.msi_vectors if item.event is not arrived]
    await registers.write("queue_select", queue)
    doorbell = NOTIFY_BASE + NOTIFY_MULTIPLIER * await registers.read("queue_notify_off")
    await function.bar_window[FACE_BAR].write(doorbell, queue.to_bytes(2, "little"))
    await arrived.wait()
    assert not any(event.is_set() for event in others)
    assert memory.struct_view(used_ring, RingHeader)[0]["idx"] == 1
    used = memory.struct_view(used_ring + USED_RING_OFFSET, UsedElement)[0]
    assert (used["id"], used["len"]) == (0, ID_BYTES + 1)
    assert reply.array[ID_BYTES] == BlkStatus.OK
    assert port.faults == []
    return {"serial": bytes(reply.array[:ID_BYTES]).rstrip(b"\0").decode()}
