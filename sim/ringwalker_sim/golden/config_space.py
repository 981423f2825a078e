"""Configuration space of the golden model: reads and writes, and what they mean for the function.

Ref: PCI 3.0, 6.2, 6.8; PCI PM 1.2, 3.2; PCIe 3.1, 6.6.2; virtio 1.4, 4.1.4.9
"""

from collections.abc import Callable

from ringwalker.config import DeviceConfig
from ringwalker.spec.pci import (
    EXPANSION_ROM,
    HEADER,
    MSI_CAPABILITY,
    MSIX_CAPABILITY,
    PM_CAPABILITY,
    VIRTIO_PCI_CAPABILITY,
    Command,
    ExpansionRom,
    MsiControl,
    PmControlStatus,
    PowerState,
    Status,
)
from ringwalker.spec.pcie import PCIE_CAPABILITY, DeviceControl
from ringwalker.spec.registers import RegisterTable

from .config_layout import ConfigLayout

__all__ = ["ConfigSpace", "get_register", "put_register"]

_POWER_STATES = (PowerState.D0, PowerState.D3HOT)


def get_register(content: bytearray, table: RegisterTable, name: str, base: int = 0) -> int:
    """A register of ``table``, which begins at ``base`` of ``content``."""
    row = table[name]
    return int.from_bytes(content[base + row.offset : base + row.offset + row.size], "little")


def put_register(content: bytearray, table: RegisterTable, name: str, value: int, base: int = 0) -> None:
    """Set a register of ``table``, which begins at ``base`` of ``content``."""
    row = table[name]
    content[base + row.offset : base + row.offset + row.size] = value.to_bytes(row.size, "little")


class ConfigSpace:
    """Configuration space of the function of ``config`` as bytes with write masks.

    The owner sets ``interrupt_status()`` and ``msi_pending()``, which show levels, ``read_bar(index, offset,
    size)`` and ``write_bar(index, offset, size, value)``, for the window, and ``changed()`` and
    ``function_level_reset()``, which are called behind a write, and one that asks for a reset.
    """

    def __init__(self, config: DeviceConfig):
        self.layout = layout = ConfigLayout(config)
        self.places = layout.places
        self.msix = layout.places["msix"]
        self.bytes, self.writable, self.w1c = bytearray(layout.reset), layout.writable, layout.w1c
        self.bars = {index: bar for index, bar in layout.bars.items() if index != EXPANSION_ROM}
        self.interrupt_status: Callable[[], bool] = lambda: False
        self.msi_pending: Callable[[], int] = lambda: 0
        self.read_bar: Callable[[int, int, int], int] = lambda _index, _offset, _size: 0
        self.write_bar: Callable[[int, int, int, int], None] = lambda _index, _offset, _size, _value: None
        self.changed: Callable[[], None] = lambda: None
        self.function_level_reset: Callable[[], None] = self.reset

    # --- reads and writes ----------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """Read ``size`` bytes; 0 beyond the end."""
        content = bytearray(self.bytes)
        self._show_levels(content)
        value = int.from_bytes(content[offset : offset + size].ljust(size, b"\0"), "little")
        if self._is_window(offset):
            value = self.read_window(size)
        return value

    def _show_levels(self, content: bytearray) -> None:
        if self.interrupt_status():
            status = get_register(content, HEADER, "status") | Status.INTERRUPT_STATUS
            put_register(content, HEADER, "status", status)
        if "msi" in self.places:
            put_register(content, MSI_CAPABILITY, "pending", self.msi_pending(), self.places["msi"])

    def write(self, offset: int, size: int, value: int) -> None:
        """Write ``size`` bytes."""
        power, window = self._register("power_state"), self._is_window(offset)
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            if at < len(self.bytes):
                kept = self.bytes[at] & ~self.writable[at] & ~(self.w1c[at] & byte)
                self.bytes[at] = kept | byte & self.writable[at]
        if self._register("power_state") not in _POWER_STATES:
            self._set_power_state(power)
        if window:
            self.write_window(size, value)
        self.changed()
        control = self.places["pcie"] + PCIE_CAPABILITY["device_control"].offset
        initiate = DeviceControl.INITIATE_FUNCTION_LEVEL_RESET << 8 * control
        if value << 8 * offset & initiate:
            self.function_level_reset()

    def reset(self) -> None:
        """A function-level reset: all but what belongs to the link gets its reset value."""
        layout = self.layout
        for at, kept in enumerate(layout.kept):
            self.bytes[at] = self.bytes[at] & kept | layout.reset[at] & ~kept

    # --- the window ----------------------------------------------------------------------------------------

    def _is_window(self, offset: int) -> bool:
        """Whether an access begins at the window. One that does not has no effect in the BARs."""
        place = self.places.get("window")
        return place is not None and offset == place + VIRTIO_PCI_CAPABILITY["window"].offset

    def window_target(self, size: int) -> tuple[int, int, int] | None:
        """BAR, offset and bytes of the access that one of ``size`` bytes to the window stands for, if any."""
        place = self.places["window"]
        bar, offset, length = (
            get_register(self.bytes, VIRTIO_PCI_CAPABILITY, name, place) for name in ("bar", "offset", "size")
        )
        fits = length in (1, 2, 4) and offset % length == 0 and length <= size
        if not fits or bar not in self.bars or offset >= self.bars[bar].size:
            return None
        return bar, offset, length

    def read_window(self, size: int) -> int:
        """Read the window: a read of a BAR, whether or not memory is enabled."""
        target = self.window_target(size)
        return 0 if target is None else self.read_bar(*target)

    def write_window(self, size: int, value: int) -> None:
        """Write the window: a write of a BAR."""
        target = self.window_target(size)
        if target is not None:
            self.write_bar(*target, value & (1 << 8 * target[2]) - 1)

    # --- what it says --------------------------------------------------------------------------------------

    def _register(self, name: str) -> int:
        if name == "power_state":
            control = get_register(self.bytes, PM_CAPABILITY, "control_status", self.places["pm"])
            return control & PmControlStatus.POWER_STATE
        return get_register(self.bytes, MSI_CAPABILITY, name, self.places["msi"])

    def _set_power_state(self, state: int) -> None:
        place = self.places["pm"]
        control = get_register(self.bytes, PM_CAPABILITY, "control_status", place)
        value = control & ~PmControlStatus.POWER_STATE | state
        put_register(self.bytes, PM_CAPABILITY, "control_status", value, place)

    def command(self) -> int:
        """The command register."""
        return get_register(self.bytes, HEADER, "command")

    def is_awake(self) -> bool:
        """Whether the power state is D0; otherwise the function decodes nothing and masters nothing."""
        return self._register("power_state") == PowerState.D0

    def may_master(self) -> bool:
        """Whether the function may make requests."""
        return self.is_awake() and bool(self.command() & Command.BUS_MASTER_ENABLE)

    def locate(self, address: int, size: int, io: bool = False) -> tuple[int, int] | None:
        """BAR index and offset of an access to memory or I/O space; None if it is to no BAR."""
        enabled = self.command() & (Command.IO_ENABLE if io else Command.MEMORY_ENABLE)
        for bar in self.layout.bars.values() if enabled and self.is_awake() else ():
            register = get_register(self.bytes, HEADER, bar.register)
            start = register & bar.address_bits
            if bar.index == EXPANSION_ROM and not register & ExpansionRom.ENABLE:
                continue
            if bar.is_64:
                start |= get_register(self.bytes, HEADER, f"bar{bar.index + 1}") << 32
            if bar.io == io and start <= address and address + size <= start + bar.size:
                return bar.index, address - start
        return None

    def msix_control(self) -> int:
        """The control register of MSI-X."""
        return get_register(self.bytes, MSIX_CAPABILITY, "control", self.msix)

    def msi_enabled(self) -> bool:
        """Whether MSI is there, and enabled."""
        return "msi" in self.places and bool(self._register("control") & MsiControl.ENABLE)

    def msi_two(self) -> bool:
        """Whether software has enabled more than one message of MSI."""
        control = self._register("control")
        return bool(control & MsiControl.MESSAGES and control & MsiControl.MESSAGES_ENABLED)

    def msi_mask(self) -> int:
        """The mask bits of MSI."""
        return self._register("mask")

    def msi_target(self) -> tuple[int, int]:
        """Address and data of MSI."""
        high, low = self._register("address_high"), self._register("address_low")
        return high << 32 | low, self._register("data")
