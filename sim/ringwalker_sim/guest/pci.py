"""Finds PCI functions and sets them up: header, base addresses, capabilities, interrupts.

Ref: PCI Local Bus 3.0, chapter 6; PCI Express Base 3.1, 7.5.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ringwalker.spec.pci import (
    CONFIG_SPACE_BYTES,
    HEADER,
    MSI_CAPABILITY,
    MSIX_CAPABILITY,
    MSIX_ENTRY_BYTES,
    MSIX_TABLE_ENTRY,
    CapabilityId,
    Command,
    MsiControl,
    MsixControl,
    Status,
)
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceCapabilities, DeviceControl
from ringwalker.spec.registers import Register

from .bus import VirtioDeviceId
from .errors import BindError, DeviceError
from .pci_bars import Bar, BarWindows, size_bar
from .port import Port, bdf_name, make_bdf

__all__ = ["Bar", "Capability", "PciDevice", "enumerate_pci"]

_ABSENT = 0xFFFF
_BARS = 6
_DEVICES = 32
_MULTIFUNCTION = 0x80
_BRIDGE = 1
_SECONDARY_BUS = 0x19
"""Secondary bus number in the header of a bridge (type 1)."""
_BIR = 0b111
"""The bits of an MSI-X offset register that name the BAR."""


def _size_code(size: int) -> int:
    """The code of a payload or read request size: 0 for 128 bytes, 5 for 4096."""
    return size.bit_length() - 8


def _pieces(offset: int, size: int) -> Iterator[tuple[int, int]]:
    """The (offset, size) of the naturally aligned accesses that cover a range."""
    end = offset + size
    while offset < end:
        piece = next(n for n in (4, 2, 1) if offset % n == 0 and offset + n <= end)
        yield offset, piece
        offset += piece


def _lowest(mask: int) -> int:
    return int(mask & -mask)


@dataclass(frozen=True)
class Capability:
    """A capability: its ``id`` and the ``offset`` of its first byte in configuration space."""

    id: int
    offset: int


@dataclass(eq=False)
class PciDevice:
    """A PCI function. ``bars`` are its BARs by index (a 64-bit one under its lower index), in ascending
    order.
    """

    port: Port
    bdf: int
    bars: dict[int, Bar] = field(default_factory=dict)
    capabilities: list[Capability] = field(default_factory=list)
    id: VirtioDeviceId = field(default_factory=lambda: VirtioDeviceId(0, 0))
    messages: list[tuple[int, int]] = field(default_factory=list)
    """Address and data of each MSI-X vector in use."""

    @property
    def name(self) -> str:
        """``bus:device.function``."""
        return bdf_name(self.bdf)

    # --- configuration space -----------------------------------------------------------------------------

    async def read(self, register: Register, base: int = 0) -> int:
        """Read a register of configuration space; ``base`` is the offset of its table."""
        return await self.port.config_read(self.bdf, base + register.offset, register.size)

    async def write(self, register: Register, value: int, base: int = 0) -> None:
        """Write a register of configuration space."""
        await self.port.config_write(self.bdf, base + register.offset, register.size, value)

    async def set_command(self, set_bits: int = 0, clear_bits: int = 0) -> None:
        """Change bits of the command register."""
        command = await self.read(HEADER.command)
        await self.write(HEADER.command, command & ~clear_bits | set_bits)

    def find_capabilities(self, capability_id: int) -> list[Capability]:
        """All capabilities with this id, in the order of the list."""
        return [item for item in self.capabilities if item.id == capability_id]

    # --- BAR space -----------------------------------------------------------------------------------------

    def bar(self, index: int, offset: int, size: int) -> Bar:
        """The BAR, checked to hold ``size`` bytes at ``offset``. Errors: :class:`BindError`."""
        bar = self.bars.get(index)
        if bar is None:
            raise BindError(f"{self.name}: BAR {index} is referred to but not implemented")
        if offset + size > bar.size:
            raise BindError(
                f"{self.name}: {size} bytes at {offset:#x} are not inside BAR {index}, which has {bar.size}"
            )
        return bar

    async def bar_read(self, index: int, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes of a BAR."""
        bar = self.bars[index]
        access = self.port.io_read if bar.io else self.port.memory_read
        return await access(bar.address + offset, size)

    async def bar_write(self, index: int, offset: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes of a BAR."""
        bar = self.bars[index]
        access = self.port.io_write if bar.io else self.port.memory_write
        await access(bar.address + offset, size, value)

    async def bar_read_wide(self, index: int, offset: int, size: int) -> int:
        """Read any number of bytes of a BAR, in naturally aligned pieces of 4, 2 and 1."""
        value = 0
        for at, piece in _pieces(offset, size):
            value |= await self.bar_read(index, at, piece) << 8 * (at - offset)
        return value

    async def bar_write_wide(self, index: int, offset: int, size: int, value: int) -> None:
        """Write any number of bytes of a BAR, lowest address first."""
        for at, piece in _pieces(offset, size):
            await self.bar_write(index, at, piece, value >> 8 * (at - offset) & (1 << 8 * piece) - 1)

    # --- setting up ----------------------------------------------------------------------------------------

    async def setup(self, assign: bool, windows: "BarWindows") -> None:
        """Read the header, size and place the BARs, enable the function, walk the capabilities."""
        await self._identify()
        if assign:
            await self.set_command(clear_bits=Command.MEMORY_ENABLE | Command.IO_ENABLE)
        await self._size_bars(assign)
        if assign:
            await self._assign_bars(windows)
        enable = Command.BUS_MASTER_ENABLE
        for bar in self.bars.values():
            enable |= Command.IO_ENABLE if bar.io else Command.MEMORY_ENABLE
        await self.set_command(enable)
        await self.walk_capabilities()
        if assign:
            await self._set_sizes()

    async def _set_sizes(self) -> None:
        """Set the largest payload and read request sizes that function and root complex both allow."""
        for capability in self.find_capabilities(CapabilityId.PCI_EXPRESS):
            at = capability.offset
            able = await self.read(PCIE_CAPABILITY.device_capabilities, at)
            largest = able & DeviceCapabilities.MAX_PAYLOAD_SUPPORTED
            payload = min(largest, _size_code(self.port.max_payload))
            read_request = _size_code(self.port.max_read_request)
            control = await self.read(PCIE_CAPABILITY.device_control, at)
            control &= ~int(DeviceControl.MAX_PAYLOAD_SIZE | DeviceControl.MAX_READ_REQUEST_SIZE)
            control |= payload * _lowest(DeviceControl.MAX_PAYLOAD_SIZE)
            control |= read_request * _lowest(DeviceControl.MAX_READ_REQUEST_SIZE)
            await self.write(PCIE_CAPABILITY.device_control, control, at)

    async def _identify(self) -> None:
        class_code = 0
        for register in (HEADER["class"], HEADER.subclass, HEADER.programming_interface):
            class_code = class_code << 8 | await self.read(register)
        self.id = VirtioDeviceId(
            await self.read(HEADER.vendor_id),
            await self.read(HEADER.device_id),
            await self.read(HEADER.subsystem_vendor_id),
            await self.read(HEADER.subsystem_id),
            class_code,
            0xFFFFFF,
        )

    async def _size_bars(self, assign: bool) -> None:
        index = 0
        while index < _BARS:
            bar = await size_bar(self, index, assign)
            if bar is not None:
                self.bars[index] = bar
            index += 2 if bar is not None and bar.is_64 else 1

    async def _assign_bars(self, windows: "BarWindows") -> None:
        # Largest first leaves no gaps for alignment.
        for bar in sorted(self.bars.values(), key=lambda item: -item.size):
            bar.address = windows.take(bar, self.name)
            await self.write(HEADER[f"bar{bar.index}"], bar.address & 0xFFFF_FFFF)
            if bar.is_64:
                await self.write(HEADER[f"bar{bar.index + 1}"], bar.address >> 32)

    async def walk_capabilities(self) -> None:
        """Find the capabilities. Errors: :class:`DeviceError` for a list that leads astray."""
        self.capabilities.clear()
        if not await self.read(HEADER.status) & Status.CAPABILITIES_LIST:
            return
        seen: set[int] = set()
        offset = await self.read(HEADER.capabilities_pointer) & ~0b11
        while offset:
            if offset in seen or offset < HEADER.size or offset >= CONFIG_SPACE_BYTES:
                raise DeviceError(
                    f"{self.name}: the capability list points to {offset:#x}, where no capability can be"
                )
            seen.add(offset)
            word = await self.port.config_read(self.bdf, offset, 2)
            self.capabilities.append(Capability(word & 0xFF, offset))
            offset = word >> 8 & ~0b11

    async def function_level_reset(self) -> None:
        """Reset the function. Base addresses, command register and MSI-X are as after power-up then.

        Errors: :class:`BindError` for a function that does not offer it. Ref: PCI Express Base 3.1, 6.6.2.
        """
        for capability in self.find_capabilities(CapabilityId.PCI_EXPRESS):
            at = capability.offset
            able = await self.read(PCIE_CAPABILITY.device_capabilities, at)
            if able & DeviceCapabilities.FUNCTION_LEVEL_RESET:
                control = await self.read(PCIE_CAPABILITY.device_control, at)
                control |= DeviceControl.INITIATE_FUNCTION_LEVEL_RESET
                await self.write(PCIE_CAPABILITY.device_control, control, at)
                return
        raise BindError(f"{self.name}: the function offers no function-level reset")

    # --- interrupts ----------------------------------------------------------------------------------------

    @property
    def has_msix(self) -> bool:
        """Whether there is an MSI-X capability."""
        return bool(self.find_capabilities(CapabilityId.MSIX))

    async def msix_vectors(self) -> int:
        """Entries of the MSI-X table, 0 without MSI-X."""
        for capability in self.find_capabilities(CapabilityId.MSIX):
            control = await self.read(MSIX_CAPABILITY.control, capability.offset)
            return (control & MsixControl.TABLE_SIZE) + 1
        return 0

    async def enable_msix(self, callbacks: Sequence[Callable[[], None]]) -> None:
        """Program vector n with a message whose arrival runs ``callbacks[n]``, and enable MSI-X.

        Errors: :class:`BindError` without MSI-X, with too few vectors, or for a table outside its BAR.
        """
        vectors = await self.msix_vectors()
        if vectors < len(callbacks):
            raise BindError(
                f"{self.name}: {len(callbacks)} MSI-X vectors are needed; the function has {vectors}"
            )
        at = self.find_capabilities(CapabilityId.MSIX)[0].offset
        table = await self.read(MSIX_CAPABILITY.table, at)
        index, base = table & _BIR, table & ~_BIR
        self.bar(index, base, vectors * MSIX_ENTRY_BYTES)
        control = await self.read(MSIX_CAPABILITY.control, at)
        control = control & ~MsixControl.TABLE_SIZE | MsixControl.ENABLE
        await self.write(MSIX_CAPABILITY.control, control | MsixControl.FUNCTION_MASK, at)
        messages: list[tuple[int, int]] = []
        for vector, callback in enumerate(callbacks):
            address, data = self.port.msi_target(callback)
            messages.append((address, data))
            entry = base + vector * MSIX_ENTRY_BYTES
            for name, value in (
                ("address_low", address & 0xFFFF_FFFF),
                ("address_high", address >> 32),
                ("data", data),
                ("vector_control", 0),
            ):
                register = MSIX_TABLE_ENTRY[name]
                await self.bar_write(index, entry + register.offset, register.size, value)
        # A read pushes the posted writes to the device before the function mask is cleared.
        await self.bar_read(index, base, 4)
        await self.set_command(Command.INTX_DISABLE)
        await self.write(MSIX_CAPABILITY.control, control & ~MsixControl.FUNCTION_MASK, at)
        self.messages = messages

    async def disable_msix(self) -> None:
        """Disable MSI-X."""
        for capability in self.find_capabilities(CapabilityId.MSIX):
            control = await self.read(MSIX_CAPABILITY.control, capability.offset)
            await self.write(MSIX_CAPABILITY.control, control & ~MsixControl.ENABLE, capability.offset)

    async def enable_msi(self, callback: Callable[[], None]) -> None:
        """Enable MSI with one message, whose arrival runs ``callback``.

        Errors: :class:`BindError` without MSI. Ref: PCI Local Bus 3.0, 6.8.1.
        """
        await self.disable_msix()
        for capability in self.find_capabilities(CapabilityId.MSI):
            at = capability.offset
            address, data = self.port.msi_target(callback)
            control = await self.read(MSI_CAPABILITY.control, at)
            control &= ~(MsiControl.MESSAGES_ENABLED | MsiControl.ENABLE)
            if address >> 32 and not control & MsiControl.ADDRESS_64:
                raise BindError(f"{self.name}: the message of MSI is at {address:#x}, beyond 32 bits")
            await self.write(MSI_CAPABILITY.address_low, address & 0xFFFF_FFFF, at)
            if control & MsiControl.ADDRESS_64:
                await self.write(MSI_CAPABILITY.address_high, address >> 32, at)
            await self.write(MSI_CAPABILITY.data, data, at)
            await self.set_command(Command.INTX_DISABLE)
            await self.write(MSI_CAPABILITY.control, control | MsiControl.ENABLE, at)
            return
        raise BindError(f"{self.name}: the function has no MSI")

    async def disable_msi(self) -> None:
        """Disable MSI."""
        for capability in self.find_capabilities(CapabilityId.MSI):
            control = await self.read(MSI_CAPABILITY.control, capability.offset)
            await self.write(MSI_CAPABILITY.control, control & ~MsiControl.ENABLE, capability.offset)

    async def enable_intx(self, callback: Callable[[], None]) -> None:
        """Enable INTA; ``callback`` runs when it is asserted."""
        if not await self.read(HEADER.interrupt_pin):
            raise BindError(f"{self.name}: the function has no interrupt pin")
        self.port.intx_handler(callback)
        await self.disable_msix()
        await self.disable_msi()
        await self.set_command(clear_bits=Command.INTX_DISABLE)


async def enumerate_pci(port: Port, assign: bool = True) -> list[PciDevice]:
    """All functions with a type 0 header, set up (see :meth:`PciDevice.setup`).

    Scans bus 0, bus 1 (the link of a machine without a modelled root port) and the buses behind bridges that
    have bus numbers. ``assign`` False keeps the addresses that BARs already have.
    """
    windows = BarWindows(port)
    found: list[PciDevice] = []
    buses = [0, 1]
    for bus in buses:
        for device in range(_DEVICES):
            for function in range(8):
                bdf = make_bdf(bus, device, function)
                vendor = HEADER.vendor_id
                if await port.config_read(bdf, vendor.offset, vendor.size) == _ABSENT:
                    if function == 0:
                        break
                    continue
                register = HEADER.header_type
                header_type = await port.config_read(bdf, register.offset, register.size)
                if header_type & ~_MULTIFUNCTION == _BRIDGE:
                    secondary = await port.config_read(bdf, _SECONDARY_BUS, 1)
                    if secondary > bus and secondary not in buses:
                        buses.append(secondary)
                else:
                    item = PciDevice(port, bdf)
                    await item.setup(assign, windows)
                    found.append(item)
                if function == 0 and not header_type & _MULTIFUNCTION:
                    break
    return found
