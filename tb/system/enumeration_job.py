"""cocotbext-pcie alone with the device: its enumeration, its windows and its MSI-X, without our driver."""

from itertools import pairwise
from typing import Any

from cocotbext.pcie.core.caps import PciCapId
from cocotbext.pcie.core.tlp import MsgType
from cocotbext.pcie.core.utils import PcieId

from ringwalker.config import DeviceConfig
from ringwalker.pci.capabilities import bars, expansion_rom, layout
from ringwalker.spec.blk import ID_BYTES, BlkRequestHeader, BlkRequestType, BlkStatus
from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import LEGACY, LEGACY_BAR
from ringwalker.spec.modern import (
    COMMON,
    COMMON_BASE,
    FACE_BAR,
    ISR_BASE,
    NO_VECTOR,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
    DeviceStatus,
    IsrBit,
)
from ringwalker.spec.pci import HEADER, CapabilityId, ExpansionRom
from ringwalker.spec.pci_extended import ADVANCED_ERROR_CAPABILITY, ExtendedHeader, UncorrectableError
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl, DeviceControl2
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
    sizes = {bar.index: bar.size for bar in bars(config)}
    assert {index: size for index, size in enumerate(function.bar_size) if size} == sizes
    taken = sorted((function.bar_addr[index], sizes[index]) for index in sizes)
    assert all(address % size == 0 for address, size in taken)
    assert all(first[0] + first[1] <= second[0] for first, second in pairwise(taken))
    capabilities = layout(config).capabilities
    assert function.capabilities == [(item.values["id"], item.offset) for item in capabilities]
    expected = set(CapabilityId) - (set() if config.pci.msi else {CapabilityId.MSI})
    assert {number for number, _ in function.capabilities} == expected
    extended = [(item.values["header"] & ExtendedHeader.ID, item.offset) for item in layout(config).extended]
    assert function.ext_capabilities == extended


def _offset(config: DeviceConfig, number: CapabilityId) -> int:
    return next(item.offset for item in layout(config).capabilities if item.values["id"] == number)


async def _negotiate(registers: _Registers, features: int = 1 << Feature.VERSION_1) -> None:
    await registers.write("device_status", 0)
    while await registers.read("device_status"):
        pass
    status = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER
    await registers.write("device_status", status)
    await registers.write("driver_feature_select", 1)
    await registers.write("driver_feature", features >> 32)
    status |= DeviceStatus.FEATURES_OK
    await registers.write("device_status", status)
    assert await registers.read("device_status") == status


class _Disk:
    """A queue of a block device, used by hand; the driver's side of one GET_ID after the other."""

    def __init__(self, port: Any, registers: _Registers, queue: int):
        self.memory, self.registers, self.queue = port.memory, registers, queue
        rings = self.memory.allocate(4096, 4096)
        self.desc, self.driver, self.used = rings.address, rings.address + 1024, rings.address + 2048
        self.header = self.memory.allocate(16, 16)
        self.reply = self.memory.allocate(ID_BYTES + 1, 1)
        self.made = 0

    async def start(self, vector: int | None, features: int = 1 << Feature.VERSION_1) -> None:
        """Reset the device, negotiate, and set up the queue; ``vector`` None: without MSI-X."""
        registers, self.made = self.registers, 0
        await _negotiate(registers, features)
        self.memory.struct_view(self.driver, RingHeader)[0]["idx"] = 0
        self.memory.struct_view(self.used, RingHeader)[0]["idx"] = 0
        for name, value in {
            "queue_select": self.queue,
            "queue_size": 4,
            "queue_msix_vector": NO_VECTOR if vector is None else vector,
            "queue_desc": self.desc,
            "queue_driver": self.driver,
            "queue_device": self.used,
            "queue_enable": 1,
        }.items():
            await registers.write(name, value)
        if vector is not None:
            assert await registers.read("queue_msix_vector") == vector
        status = await registers.read("device_status") | DeviceStatus.DRIVER_OK
        await registers.write("device_status", status)

    async def ask(self) -> None:
        """Make a request available, and ring the doorbell."""
        header, reply = self.header, self.reply
        self.memory.struct_view(header.address, BlkRequestHeader)[0]["type"] = BlkRequestType.GET_ID
        reply.array[:] = 0xEE
        table = self.memory.struct_view(self.desc, Descriptor, 3)
        table[0] = (header.address, 16, DESC_F_NEXT, 2)
        table[2] = (reply.address, ID_BYTES, DESC_F_NEXT | DESC_F_WRITE, 1)
        table[1] = (reply.address + ID_BYTES, 1, DESC_F_WRITE, 0)
        self.made += 1
        self.memory.struct_view(self.driver, RingHeader)[0]["idx"] = self.made
        await self.ring()

    async def ring(self) -> None:
        """Ring the doorbell."""
        await self.registers.write("queue_select", self.queue)
        doorbell = NOTIFY_BASE + NOTIFY_MULTIPLIER * await self.registers.read("queue_notify_off")
        await self.registers.window.write(doorbell, self.queue.to_bytes(2, "little"))

    def used_index(self) -> int:
        """How many requests have been used."""
        return int(self.memory.struct_view(self.used, RingHeader)[0]["idx"])

    def answer(self) -> str:
        """The serial number that the newest request brought."""
        assert self.used_index() == self.made
        used = self.memory.struct_view(self.used + USED_RING_OFFSET, UsedElement, self.made)[self.made - 1]
        assert (used["id"], used["len"]) == (0, ID_BYTES + 1)
        assert self.reply.array[ID_BYTES] == BlkStatus.OK
        return bytes(self.reply.array[:ID_BYTES]).rstrip(b"\0").decode()


async def _interrupted(vectors: Any, number: int) -> None:
    """Wait for the message ``number``; no other has come."""
    await vectors[number].event.wait()
    vectors[number].event.clear()
    assert not any(item.event.is_set() for item in vectors)


async def _read_rom(function: Any, config: DeviceConfig) -> None:
    """The expansion ROM is where cocotbext-pcie has put it, once it is enabled."""
    (rom,) = expansion_rom(config)
    assert function.expansion_rom_size == rom.size
    place = HEADER.expansion_rom.offset
    await function.config_write_dword(place, function.expansion_rom_addr | ExpansionRom.ENABLE)
    content = config.pci.rom_content
    assert await function.expansion_rom_window.read(0, len(content)) == content
    await function.config_write_dword(place, function.expansion_rom_addr)


async def _use_msi(function: Any, config: DeviceConfig, disk: _Disk) -> None:
    """Requests whose interrupts are messages of MSI: one after each read of the ISR."""
    assert await function.enable_msi_range(1, 32) == config.pci.msi
    await disk.start(None)
    for _ in range(2):
        await disk.ask()
        await _interrupted(function.msi_vectors, 0)
        assert disk.answer() == config.settings.serial
        isr = await disk.registers.window.read(ISR_BASE, 1)
        assert isr == IsrBit.QUEUE.to_bytes(1, "little")
    await disk.registers.write("device_status", 0)
    await function.disable_msi()


async def _suspend(function: Any, config: DeviceConfig, disk: _Disk) -> None:
    """Suspend the device; a request that is made available then is served once it has been resumed."""
    registers, vector = disk.registers, config.vectors - 1
    await disk.start(vector, 1 << Feature.VERSION_1 | 1 << Feature.SUSPEND)
    await disk.ask()
    running = await registers.read("device_status")
    await registers.write("device_status", running | DeviceStatus.SUSPEND)
    resting = running & ~DeviceStatus.DRIVER_OK | DeviceStatus.SUSPEND
    while await registers.read("device_status") != resting:
        pass
    await _interrupted(function.msi_vectors, vector)
    assert disk.answer() == config.settings.serial, "what was available before is used before"
    await disk.ask()
    for _ in range(20):
        assert await registers.read("device_status") == resting
    assert not any(item.event.is_set() for item in function.msi_vectors)
    assert disk.used_index() == disk.made - 1
    await registers.write("device_status", running)
    while await registers.read("device_status") != running:
        pass
    await disk.ring()
    await _interrupted(function.msi_vectors, vector)
    assert disk.answer() == config.settings.serial


async def _report_error(port: Any, function: Any, config: DeviceConfig) -> None:
    """A write to the expansion ROM, which is not enabled, is refused: ERR_NONFATAL, and its header."""
    enable = DeviceControl.NON_FATAL_ERROR_ENABLE | DeviceControl.UNSUPPORTED_REQUEST_ENABLE
    at = layout(config)["pcie"].offset + PCIE_CAPABILITY.device_control.offset
    await function.config_write_word(at, await function.config_read_word(at) | enable)
    await function.expansion_rom_window.write(0, bytes(4))
    aer = layout(config)["aer"].offset
    log = [
        await function.config_read_dword(aer + ADVANCED_ERROR_CAPABILITY[f"header_log_{n}"].offset)
        for n in range(4)
    ]
    assert log[2:] == [function.expansion_rom_addr, 0]
    status = await function.config_read_dword(aer + ADVANCED_ERROR_CAPABILITY.uncorrectable_status.offset)
    assert status == UncorrectableError.UNSUPPORTED_REQUEST
    assert port.root_port.error_messages == [MsgType.ERR_NONFATAL]


async def _use_ten_bit_tags(function: Any, config: DeviceConfig) -> None:
    """From now on tags of reads have ten bits."""
    at = layout(config)["pcie"].offset + PCIE_CAPABILITY.device_control_2.offset
    control = await function.config_read_word(at)
    await function.config_write_word(at, control | DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE)


async def enumerate_and_interrupt(port: Any, device: dict[str, Any]) -> dict[str, Any]:
    """cocotbext-pcie alone: its enumeration, its BAR windows, its messages; requests by hand."""
    config = DeviceConfig.from_dict(device)
    function = port.rc.find_device(PcieId(1, 0, 0))
    assert function is not None
    _check_function(function, config)
    await function.enable_device()
    await function.set_master()
    if config.pci.rom_content:
        await _read_rom(function, config)
    if config.pci.aer:
        await _report_error(port, function, config)
    registers = _Registers(function.bar_window[FACE_BAR])
    disk = _Disk(port, registers, config.queues - 1)
    if config.pci.tags == 10:
        await _use_ten_bit_tags(function, config)
    if config.pci.msi:
        await _use_msi(function, config, disk)
    vectors = await function.alloc_irq_vectors(1, config.vectors)
    assert vectors == config.vectors
    assert await function.msix_vec_count() == config.vectors
    assert function.get_capability_offset(PciCapId.MSIX) == _offset(config, CapabilityId.MSIX)
    await disk.start(config.vectors - 1)
    await disk.ask()
    await _interrupted(function.msi_vectors, config.vectors - 1)
    serial = disk.answer()
    if config.suspend:
        await _suspend(function, config, disk)
    if config.has_legacy:
        # The same status, in the header of the I/O BAR.
        row = LEGACY.device_status
        raw = await function.bar_window[LEGACY_BAR].read(row.offset, row.size)
        assert int.from_bytes(raw, "little") == await registers.read("device_status")
    assert port.faults == []
    assert {tag >> 8 for tag in port.endpoint.tags} == {int(config.pci.tags == 10)}
    return {"serial": serial}
