"""How the golden model interrupts: vectors of MSI-X, messages of MSI, and the level of INTx.

Ref: PCI 3.0, 6.8 (MSI and MSI-X), 2.2.6 (INTx); virtio 1.4, 4.1.4.5, 4.1.5.3, 4.1.5.4
"""

from collections.abc import Callable

from ringwalker.config import DeviceConfig
from ringwalker.spec.modern import NO_VECTOR, IsrBit
from ringwalker.spec.pci import MSIX_ENTRY_BYTES, MSIX_TABLE_ENTRY, Command, MsixControl, MsixVectorControl

from .config_layout import pending_offset
from .config_space import ConfigSpace, get_register, put_register
from .registers import SharedRegisters

__all__ = ["Interrupts"]

_TABLE_BITS = {"address_low": 0xFFFF_FFFC, "vector_control": int(MsixVectorControl.MASK)}
"""The bits of an entry that can be written, where that is not all."""


class Interrupts:
    """The interrupts of the device with ``registers``, by what ``space`` says.

    ``send_message(address, data)`` and ``set_line(asserted)`` are set by the owner: a memory write, and the
    level of INTx, called when it changes.
    """

    def __init__(self, config: DeviceConfig, space: ConfigSpace, registers: SharedRegisters):
        self.space = space
        self.registers = registers
        self.vectors = config.vectors
        self.send_message: Callable[[int, int], None] = lambda _address, _data: None
        self.set_line: Callable[[bool], None] = lambda _asserted: None
        self._pending_offset = pending_offset(config)
        self._asserted = False
        self.table = bytearray()
        self.pending = self.msi_pending = 0
        self._msi_enabled = False
        self.clear()
        registers.isr_changed = self.isr_changed
        registers.forgotten = self.forget
        space.interrupt_status = self.interrupt_status
        space.msi_pending = lambda: self.msi_pending

    def clear(self) -> None:
        """All vectors are masked, and none is pending: the state after a reset of the function."""
        self.table = bytearray(self.vectors * MSIX_ENTRY_BYTES)
        for vector in range(self.vectors):
            put_register(self.table, MSIX_TABLE_ENTRY, "vector_control", 1, vector * MSIX_ENTRY_BYTES)
        self.pending = self.msi_pending = 0

    def forget(self) -> None:
        """Nothing is pending: the device was reset."""
        self.pending = 0

    # --- what the device wants -----------------------------------------------------------------------------

    def msix_enabled(self) -> bool:
        """Whether MSI-X is enabled."""
        return bool(self.space.msix_control() & MsixControl.ENABLE)

    def used_buffer(self, queue: int) -> None:
        """A used buffer notification of a queue."""
        if self.msix_enabled():
            self.raise_vector(self.registers.rings.queues[queue].vector)
        else:
            self.registers.note(IsrBit.QUEUE)

    def config_change(self) -> None:
        """A configuration change notification. Its bit of the ISR is set with MSI-X too."""
        self.registers.note(IsrBit.CONFIG)
        if self.msix_enabled():
            self.raise_vector(self.registers.config_msix_vector)

    # --- MSI-X ---------------------------------------------------------------------------------------------

    def raise_vector(self, vector: int) -> None:
        """Send the message of a vector, or remember it while it is masked. NO_VECTOR: nothing happens."""
        if vector == NO_VECTOR or vector >= self.vectors:
            return
        if self.is_masked(vector):
            self.pending |= 1 << vector
        else:
            self.deliver(vector)

    def is_masked(self, vector: int) -> bool:
        """Whether a vector is masked, by itself or with all others."""
        control = self.space.msix_control()
        mine = get_register(self.table, MSIX_TABLE_ENTRY, "vector_control", vector * MSIX_ENTRY_BYTES)
        open_ = control & MsixControl.ENABLE and not control & MsixControl.FUNCTION_MASK
        return bool(not open_ or mine & MsixVectorControl.MASK or not self.space.may_master())

    def deliver(self, vector: int) -> None:
        """Send the message of a vector."""
        low, high, data = (
            get_register(self.table, MSIX_TABLE_ENTRY, name, vector * MSIX_ENTRY_BYTES)
            for name in ("address_low", "address_high", "data")
        )
        self.send_message(high << 32 | low, data)

    def read_table(self, offset: int, size: int) -> int:
        """Read the BAR with the table and the pending bits."""
        content = self.table.ljust(self._pending_offset, b"\0")
        content += self.pending.to_bytes(-(-self.vectors // 64) * 8, "little")
        return int.from_bytes(content[offset : offset + size], "little")

    def write_table(self, offset: int, size: int, value: int) -> None:
        """Write the table; what is not of it ignores writes."""
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            if at < len(self.table):
                place = at % MSIX_ENTRY_BYTES
                row = next(row for row in MSIX_TABLE_ENTRY if row.offset <= place < row.offset + row.size)
                bits = _TABLE_BITS.get(row.name, 0xFFFF_FFFF) >> 8 * (place - row.offset)
                self.table[at] = byte & bits
        self.send_pending()

    def send_pending(self) -> None:
        """Send what was masked and is no more."""
        for vector in range(self.vectors):
            if self.pending >> vector & 1 and not self.is_masked(vector):
                self.pending &= ~(1 << vector)
                self.deliver(vector)

    # --- MSI -----------------------------------------------------------------------------------------------

    def msi_messages(self, bits: int) -> int:
        """Bits of the ISR as a mask of the messages that stand for them."""
        first = IsrBit.QUEUE if self.space.msi_two() else IsrBit.QUEUE | IsrBit.CONFIG
        return bool(bits & first) | bool(bits & ~first) << 1

    def update_msi(self, raised: int) -> None:
        """Messages for bits of the ISR that were raised, and those that wait and are not masked any more."""
        enabled = self.space.msi_enabled() and not self.msix_enabled()
        if enabled and not self._msi_enabled:
            raised = self.registers.isr
        self._msi_enabled = enabled
        if not enabled:
            self.msi_pending = 0
            return
        self.msi_pending |= self.msi_messages(raised)
        self.msi_pending &= self.msi_messages(self.registers.isr)
        for number in range(2):
            if self.msi_pending & ~self.space.msi_mask() & 1 << number and self.space.may_master():
                self.msi_pending &= ~(1 << number)
                address, data = self.space.msi_target()
                self.send_message(address, data & ~1 | number if self.space.msi_two() else data)

    # --- INTx ----------------------------------------------------------------------------------------------

    def interrupt_status(self) -> bool:
        """The bit of the PCI status register: the device wants an interrupt by INTx."""
        return bool(self.registers.isr) and not (self.msix_enabled() or self.space.msi_enabled())

    def isr_changed(self, raised: int) -> None:
        """The interrupt status is another."""
        self.update_msi(raised)
        asserted = self.interrupt_status() and not self.space.command() & Command.INTX_DISABLE
        if asserted != self._asserted:
            self._asserted = asserted
            self.set_line(asserted)

    def space_changed(self) -> None:
        """Configuration space was written: what was held back may leave."""
        self.send_pending()
        self.isr_changed(0)
