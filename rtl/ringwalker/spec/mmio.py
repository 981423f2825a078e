"""The registers of a virtio device on a memory-mapped bus. Ref: virtio 1.4, 4.2.2."""

from .registers import Access, Register, RegisterTable

__all__ = ["MMIO", "MMIO_CONFIG_BASE", "MMIO_MAGIC", "MMIO_VERSION"]

MMIO_MAGIC = 0x74726976
"""``virt``, in the order of the bytes."""

MMIO_VERSION = 2
"""Version of the register layout; 1 is that of legacy devices."""

MMIO_CONFIG_BASE = 0x100
"""Where the device configuration begins."""

_RO, _RW, _WO = Access.RO, Access.RW, Access.WO

MMIO = RegisterTable(
    "mmio",
    "Control registers of a device on a memory-mapped bus.",
    (
        Register("magic_value", 0x000, 32, _RO, "Says that here is a virtio device.", MMIO_MAGIC),
        Register("version", 0x004, 32, _RO, "Version of the layout.", MMIO_VERSION),
        Register("device_id", 0x008, 32, _RO, "Device type; 0: there is no device."),
        Register("vendor_id", 0x00C, 32, _RO, "Vendor of the device."),
        Register("device_features", 0x010, 32, _RO, "Feature bits offered by the device."),
        Register("device_features_sel", 0x014, 32, _WO, "Selects which 32 device feature bits are shown."),
        Register("driver_features", 0x020, 32, _WO, "Feature bits accepted by the driver."),
        Register("driver_features_sel", 0x024, 32, _WO, "Selects which 32 driver feature bits are written."),
        Register("queue_sel", 0x030, 32, _WO, "Selects the queue that the queue_* registers show."),
        Register("queue_size_max", 0x034, 32, _RO, "Most entries of the queue; 0: there is no such queue."),
        Register("queue_size", 0x038, 32, _WO, "Entries of the queue."),
        Register("queue_ready", 0x044, 32, _RW, "1: the device may run requests from this queue."),
        Register("queue_notify", 0x050, 32, _WO, "The doorbell of all queues."),
        Register("interrupt_status", 0x060, 32, _RO, "Bit 0: a used ring changed. Bit 1: configuration."),
        Register("interrupt_ack", 0x064, 32, _WO, "Bits of the interrupt status that were handled."),
        Register("status", 0x070, 32, _RW, "Device status; writing 0 resets the device."),
        Register("queue_desc_low", 0x080, 32, _WO, "Address of the descriptor area, low half."),
        Register("queue_desc_high", 0x084, 32, _WO, "Its high half."),
        Register("queue_driver_low", 0x090, 32, _WO, "Address of the driver area, low half."),
        Register("queue_driver_high", 0x094, 32, _WO, "Its high half."),
        Register("queue_device_low", 0x0A0, 32, _WO, "Address of the device area, low half."),
        Register("queue_device_high", 0x0A4, 32, _WO, "Its high half."),
        Register("queue_reset", 0x0C0, 32, _RW, "1 resets the queue; reads 1 until done."),
        Register("config_generation", 0x0FC, 32, _RO, "Changes whenever device configuration changes."),
    ),
)
