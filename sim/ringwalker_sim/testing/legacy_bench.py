"""All registers of a network device with a legacy face, in Amaranth's simulator; nothing is behind them."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from ringwalker.component import Component
from ringwalker.config import DeviceConfig
from ringwalker.core import TRANSPORT_FEATURES
from ringwalker.function.net.device_config import net_config_face, net_features
from ringwalker.interfaces import QueueRead, RegisterPort
from ringwalker.queue.table import QueueTable
from ringwalker.spec.legacy import LEGACY, LEGACY_BAR, LEGACY_MSIX, legacy_device_config_offset
from ringwalker.spec.modern import COMMON, COMMON_BASE, FACE_BAR
from ringwalker.spec.net import NET_CONFIG
from ringwalker.streams import Doorbell, stream_of
from ringwalker.transport.faces import RegisterFaces
from ringwalker.transport.isr import Isr
from ringwalker.transport.legacy_common import LegacyCommonConfig
from ringwalker.transport.notify import Notify
from ringwalker.transport.reset_sequencer import ResetSequencer

from .inprocess import Bench

__all__ = ["FEATURES", "LegacyBench", "LegacyRegisters"]

FEATURES = TRANSPORT_FEATURES | net_features(DeviceConfig(function="net"))


class LegacyRegisters(Component):
    """What the core has of registers, wired in the same way."""

    registers: In(RegisterPort())
    """Accesses to BARs."""
    doorbells: Out(stream_of(Doorbell))
    """Of all faces."""
    probe: In(QueueRead())
    """A look at the queue table."""
    msix_enable: In(1)
    """MSI-X is enabled."""
    set_queue: In(1)
    """Pulse to the ISR."""
    set_config: In(1)
    """Pulse to the ISR."""
    busy: In(1)
    """Chains are in flight."""
    needs_reset: In(1)
    """Another block failed."""
    withheld: In(64)
    """Features that are not offered at present."""
    asserted: Out(1)
    """A bit of the ISR is set."""
    legacy: Out(1)
    """The driver is a legacy one."""
    driver_ok: Out(1)
    """The driver may use the device."""
    driver_features: Out(64)
    """What was negotiated."""
    reset_request: Out(1)
    """A device reset is in progress."""
    queue_reset_request: Out(1)
    """A queue reset is in progress."""
    idle: Out(1)
    """No access and no reset is in flight."""

    def __init__(self, config: DeviceConfig):
        self._config = config
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        this: Any = self
        config = self._config
        m.submodules.faces = faces = RegisterFaces(config)
        m.submodules.common = common = LegacyCommonConfig(config, FEATURES)
        m.submodules.table = table = QueueTable(config, ("common", "probe"))
        m.submodules.sequencer = sequencer = ResetSequencer(config)
        m.submodules.notify = notify = Notify(config)
        m.submodules.isr = isr = Isr()
        m.submodules.device = device = net_config_face(config)
        ports: Any = table
        connect(m, flipped(this.registers), faces.i)
        connect(m, faces.common, common.registers)
        connect(m, faces.notify, notify.registers)
        connect(m, faces.isr, isr.registers)
        connect(m, faces.device, device.registers)
        connect(m, common.table_read, ports.common)
        connect(m, flipped(this.probe), ports.probe)
        connect(m, notify.doorbells, flipped(this.doorbells))
        m.d.comb += ports.write.en.eq(sequencer.table_write.en | common.table_write.en)
        for member in ("index", "row", "mask"):
            target = getattr(ports.write, member)
            m.d.comb += target.eq(getattr(common.table_write, member))
            with m.If(sequencer.table_write.en):
                m.d.comb += target.eq(getattr(sequencer.table_write, member))
        m.d.comb += [
            faces.msix_enable.eq(this.msix_enable),
            common.claim.eq(faces.claim),
            common.hold.eq(~sequencer.ready),
            common.reset_done.eq(sequencer.device_done),
            common.queue_reset_done.eq(sequencer.queue_done),
            common.needs_reset.eq(this.needs_reset),
            common.withheld.eq(this.withheld),
            sequencer.device_request.eq(common.reset_request),
            sequencer.queue_request.eq(common.queue_reset_request),
            sequencer.queue_index.eq(common.queue_reset_index),
            *(
                getattr(sequencer, name).eq(~this.busy)
                for name in ("halted", "departed", "answered", "settled")
            ),
            notify.enable.eq(common.driver_ok),
            isr.clear.eq(sequencer.clearing),
            isr.set_queue.eq(this.set_queue),
            isr.set_config.eq(this.set_config),
            device.clear.eq(sequencer.clearing),
            this.asserted.eq(isr.asserted),
            this.legacy.eq(common.legacy),
            this.driver_ok.eq(common.driver_ok),
            this.driver_features.eq(common.driver_features),
            this.reset_request.eq(common.reset_request),
            this.queue_reset_request.eq(common.queue_reset_request),
            this.idle.eq(faces.idle & notify.idle & sequencer.ready & ~sequencer.halt),
        ]
        return m


class LegacyBench(Bench):
    """Accesses of a driver of either kind. A test derives a class that has a ``CONFIG``."""

    CONFIG: DeviceConfig

    @classmethod
    def component(cls) -> Component:
        return LegacyRegisters(cls.CONFIG)

    async def read(self, bar: int, offset: int, size: int) -> int:
        """``size`` bytes at ``offset``, as the host makes an access of them: dword by dword."""
        value, done = 0, 0
        while done < size:
            lane, count = (offset + done) % 4, min(size - done, 4 - (offset + done) % 4)
            dword = {"bar": bar, "offset": offset + done - lane, "strobe": (1 << count) - 1 << lane}
            self.put("registers.requests", dword)
            data = (await self.get("registers.responses", 5000))["data"]
            value |= (data >> 8 * lane & (1 << 8 * count) - 1) << 8 * done
            done += count
        return value

    async def write(self, bar: int, offset: int, size: int, value: int) -> None:
        """The same for a write; it ends when the last is taken."""
        done = 0
        while done < size:
            lane, count = (offset + done) % 4, min(size - done, 4 - (offset + done) % 4)
            data = (value >> 8 * done & (1 << 8 * count) - 1) << 8 * lane
            dword = {"bar": bar, "offset": offset + done - lane, "strobe": (1 << count) - 1 << lane}
            self.put("registers.requests", {**dword, "write": 1, "data": data})
            done += count
        await self.until(lambda: not self.pending("registers.requests"), "the write", 5000)

    async def get_old(self, name: str) -> int:
        """A register of the legacy header, in the width that it has."""
        row = LEGACY_MSIX[name] if name.endswith("_vector") else LEGACY[name]
        return await self.read(LEGACY_BAR, row.offset, row.size)

    async def set_old(self, name: str, value: int) -> None:
        """The same for a write."""
        row = LEGACY_MSIX[name] if name.endswith("_vector") else LEGACY[name]
        await self.write(LEGACY_BAR, row.offset, row.size, value)

    async def get_new(self, name: str) -> int:
        """A register of the common configuration."""
        row = COMMON[name]
        return await self.read(FACE_BAR, COMMON_BASE + row.offset, row.size)

    async def set_new(self, name: str, value: int) -> None:
        """The same for a write."""
        row = COMMON[name]
        await self.write(FACE_BAR, COMMON_BASE + row.offset, row.size, value)

    def config_place(self, name: str) -> int:
        """Where a register of the device configuration is in the BAR of the header."""
        return legacy_device_config_offset(bool(self.value("msix_enable"))) + NET_CONFIG[name].offset

    async def row(self, queue: int) -> dict[str, int]:
        """What the queue table has, once the last access has had its effect."""
        await self.settled()
        self.drive("probe.en", 1)
        self.drive("probe.index", queue)
        await self.cycles(2)
        return {
            name: self.value("probe.row")[name] for name in ("desc", "driver", "device", "size", "enable")
        }

    async def settled(self) -> None:
        """Wait until no access and no reset is in flight."""
        await self.cycles(6)
        await self.until(lambda: self.value("idle"), "rest", 5000)
        await self.cycles(4)
