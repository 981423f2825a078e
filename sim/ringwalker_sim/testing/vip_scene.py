"""A monitor, a driver's queue, and a device that does what a test says: for the rules one by one."""

from collections.abc import Sequence

from ringwalker.spec.features import Feature
from ringwalker.spec.ids import DeviceType
from ringwalker.spec.modern import DeviceStatus
from ringwalker.spec.ring import USED_ENTRY_BYTES, USED_IDX_OFFSET, USED_RING_OFFSET

from ..guest.ring_formats import ring_virtqueue
from ..guest.software_port import SoftwarePort
from ..memory import Buffer, GuestMemory
from ..vip import Monitor
from ..vip.rules import Finding, Findings
from ..vip.view import RegisterAccess

__all__ = ["Scene"]

STARTED = DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK
PATIENCE = 1000


class Scene:
    """A queue of 8 entries on a device of ``device_type``, with ``features`` accepted and offered.

    ``running``: the driver has set DRIVER_OK. ``mmio``: it is a device on a memory-mapped bus.
    """

    def __init__(
        self,
        features: Sequence[int] = (),
        *,
        mmio: bool = False,
        running: bool = True,
        device_type: int = DeviceType.BLK,
        granule: int = 1,
    ):
        self.mask = 1 << Feature.VERSION_1 | sum(1 << feature for feature in features)
        self.memory = GuestMemory(1 << 16, 0x1_0000)
        self.port = SoftwarePort(self.memory)
        self.findings = Findings()
        options = {"mmio": mmio, "patience": PATIENCE, "granule": granule}
        self.monitor = Monitor(self.port, self.findings, "dut", **options)
        self.monitor.device_type = device_type
        self.queue = ring_virtqueue(self.memory, 8, features=self.mask)
        self.index = 0
        self.reset()
        self.set_up(running)

    # --- the driver ----------------------------------------------------------------------------------------

    def write(self, name: str, value: int) -> None:
        """The driver writes a register."""
        self.monitor.register_written(RegisterAccess(name, 0, 64, value))

    def read(self, name: str, value: int) -> None:
        """The driver reads a register."""
        self.monitor.register_read(RegisterAccess(name, 0, 64, value))
        self.wait(0)

    def reset(self) -> None:
        """The driver resets the device, to the end."""
        self.write("device_status", 0)
        self.read("device_status", 0)

    def set_up(self, running: bool = True) -> None:
        """The driver negotiates and enables the queue."""
        for word in range(2):
            part = self.mask >> 32 * word & 0xFFFF_FFFF
            self.write("device_feature_select", word)
            self.read("device_feature", part)
            self.write("driver_feature_select", word)
            self.write("driver_feature", part)
        self.write("device_status", STARTED)
        self.write("queue_select", 0)
        self.write("queue_size", 8)
        self.write("queue_msix_vector", 1)
        for area in ("desc", "driver", "device"):
            self.write(f"queue_{area}", getattr(self.queue, f"{area}_address"))
        self.write("queue_enable", 1)
        if running:
            self.write("device_status", STARTED | DeviceStatus.DRIVER_OK)

    def offer(self, readable: int = 0, writable: int = 0) -> Buffer:
        """The driver makes a buffer available, and the device looks at the descriptors; memory with the
        readable bytes in front."""
        area = self.memory.allocate(readable + writable, 16)
        pieces = [(area.address, readable), (area.address + readable, writable)]
        pieces = [piece for piece in pieces if piece[1]]
        assert self.queue.add_buf(pieces, int(readable > 0), int(writable > 0), area) == 0
        self.port.run(self.queue.kick())
        self.device_reads(self.queue.desc_address, 16 * self.queue.size)
        return area

    def suppress(self) -> None:
        """The driver suppresses notifications."""
        self.queue._ask_interrupts(False)

    # --- the device ----------------------------------------------------------------------------------------

    def device_writes(self, address: int, content: bytes) -> None:
        """The device writes memory."""
        self.memory.write(address, content)
        self.monitor.memory_written(address, len(content))
        self.wait(0)

    def device_reads(self, address: int, length: int) -> None:
        """The device reads memory."""
        self.monitor.memory_read(address, length)

    def entry(self, head: int, length: int) -> None:
        """The device writes the next used entry."""
        slot = self.queue.device_address + USED_RING_OFFSET + USED_ENTRY_BYTES * (self.index % 8)
        self.device_writes(slot, head.to_bytes(4, "little") + length.to_bytes(4, "little"))

    def show(self, count: int = 1) -> None:
        """The device writes the used index, with ``count`` more entries."""
        self.index += count
        where = self.queue.device_address + USED_IDX_OFFSET
        self.device_writes(where, (self.index & 0xFFFF).to_bytes(2, "little"))

    def use(self, head: int, length: int) -> None:
        """The device uses a buffer by the book."""
        self.entry(head, length)
        self.show()

    def descriptor(self, place: int, key: int, length: int, flags: int) -> None:
        """The device writes a used descriptor of a packed ring."""
        content = length.to_bytes(4, "little") + key.to_bytes(2, "little") + flags.to_bytes(2, "little")
        self.device_writes(self.queue.desc_address + 16 * place + 8, content)

    def wait(self, cycles: int = 2 * PATIENCE) -> None:
        """Let cycles pass."""
        self.port.run_until(self.port.now() + cycles)

    @property
    def found(self) -> list[tuple[str, str]]:
        """Rule and clause of each finding."""
        return [(finding.rule, finding.clause) for finding in self.findings.found]

    @property
    def first(self) -> Finding:
        """The first finding."""
        return self.findings.found[0]
