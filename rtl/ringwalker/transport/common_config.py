"""The common configuration structure: the device status, features, and a window on the queue table."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..apart import ResetInserter
from ..component import Component
from ..config import DeviceConfig
from ..interfaces import QueueRead, QueueRow, QueueWrite, RegisterPort
from ..spec.features import Feature
from ..spec.modern import COMMON, NO_VECTOR, NOTIFY_CONFIG_DATA
from ..spec.ring import DESC_ALIGN, DEVICE_ALIGN, DRIVER_ALIGN
from ..streams import QUEUE_BITS, RegisterRequest
from .device_status import DeviceStatusMachine
from .driver_features import DriverFeatures
from .queue_ranges import QueueRanges
from .suspend import Suspend
from .written import COMMON_DWORDS, WrittenRegisters, dword_of

__all__ = ["CommonConfig"]

_ROW: Any = data.Layout.cast(QueueRow)


def _aligned(value: Value, alignment: int) -> Value:
    """``value`` with the low bits below ``alignment``, a power of two, zero."""
    return value & ~(alignment - 1)


class CommonConfig(Component):
    """The registers of ``spec.modern.COMMON``.

    Parameters: ``device_features``, the 64 feature bits that may be offered (see ``withheld``); ``required``,
    those of them that a driver must accept besides VIRTIO_F_VERSION_1.

    A write is done three cycles after it was taken and then the next request is; a read is
    answered two cycles after it was taken.

    - While ``reset_request`` is up all writes are ignored; in the cycle after ``reset_done`` every register
      has its reset value. The rows of the queues are the reset sequencer's work.
    - ``driver_feature`` keeps all bits below 64, also those not offered, reads 0 from bit 64 on, and is fixed
      once FEATURES_OK is set. FEATURES_OK sticks when the bits of all words are a subset of those that are
      offered and contain VIRTIO_F_VERSION_1 and ``required``; see
      :class:`~ringwalker.transport.driver_features.DriverFeatures`.
    - With ``queue_select`` out of range all ``queue_*`` registers read 0 and ignore writes.
    - ``queue_size`` takes powers of two up to ``config.queue_size``, and with VIRTIO_F_RING_PACKED any number
      from 1 on. The areas lose the low bits that their alignment forbids. All of these ignore writes once the
      queue is enabled.
    - ``queue_enable`` takes only 1. A queue with an area that goes beyond the end of the address space is not
      enabled: that is a failure, see ``fail``.
    - ``queue_reset`` takes 1 if the queue is enabled and VIRTIO_F_RING_RESET was negotiated. It then reads 1
      until the row is rewritten; any number of queues may be waiting. The mark is bit 0 of the row's
      ``reserved``.
    - A vector that does not exist reads back as NO_VECTOR.
    - A byte that is not enabled keeps its value; registers with conditions judge the result, so
      they are to be written whole, as virtio 1.4, 4.1.3.1 asks of drivers.
    - ``queue_notify_off`` is the number of the queue. With VIRTIO_F_NOTIF_CONFIG_DATA
      ``queue_notif_config_data`` is ``NOTIFY_CONFIG_DATA`` more, without it 0. The administration registers
      read 0.

    Errors: ``ValueError`` when ``device_features`` is not of 64 bits, lacks VIRTIO_F_VERSION_1, or has a
    feature that these registers cannot serve.

    Ref: virtio 1.4, 4.1.4.3 (structure), 2.6.1 (virtqueue reset), 4.1.5.1.2 (vectors).
    """

    registers: In(RegisterPort())
    """Of the offset only the place in the page counts. Outside the table reads give 0, writes do nothing."""
    hold: In(1)
    """No request is taken while it is up. The table is not written from the third cycle of it on."""
    table_read: Out(QueueRead())
    """The row of the selected queue."""
    table_write: Out(QueueWrite())
    """What the driver configures."""
    status: Out(8)
    """The device status as the driver reads it."""
    driver_ok: Out(1)
    """DRIVER_OK is set, and no reset is in progress or needed."""
    withheld: In(64)
    """Bits of ``device_features`` that are not offered at present. They do not change from a device reset
    until the driver has set FEATURES_OK."""
    driver_features: Out(64)
    """The feature bits that the driver accepted."""
    config_vector: Out(16, init=NO_VECTOR)
    """The vector of configuration changes."""
    config_generation: In(8)
    """Changes whenever the device configuration does."""
    fail: Out(1)
    """Level: the driver enabled a queue that cannot be used; until the device reset that cures it begins."""
    needs_reset: In(1)
    """Another block failed. See :class:`~ringwalker.transport.device_status.DeviceStatusMachine`, also for
    the next four."""
    reset: In(1)
    config_change: Out(1)
    """Pulse, to be joined with the function's own."""
    reset_request: Out(1)
    reset_done: In(1)
    halted: In(1)
    """The walkers are halted. This and the next four are for VIRTIO_F_SUSPEND; see
    :class:`~ringwalker.transport.suspend.Suspend`."""
    settled: In(1)
    busy: In(1)
    suspend_halt: Out(1)
    suspend_hold: Out(1)
    suspended: Out(1)
    queue_reset_request: Out(1)
    """Level until ``queue_reset_done``; another may follow in the next cycle. None begins while the device
    comes to rest."""
    queue_reset_index: Out(QUEUE_BITS)
    """The queue of ``queue_reset_request``."""
    queue_reset_done: In(1)
    """Pulse."""

    def __init__(self, config: DeviceConfig, device_features: int, required: int = 0):
        if not 0 <= device_features < 1 << 64:
            raise ValueError(f"device_features is {device_features:#x}; it must have at most 64 bits")
        if not device_features >> Feature.VERSION_1 & 1:
            raise ValueError(f"device_features is {device_features:#x}; it must have VERSION_1")
        if device_features >> Feature.ADMIN_VQ & 1:
            raise ValueError(f"device_features is {device_features:#x}; ADMIN_VQ is not supported")
        self.config = config
        if required & ~device_features:
            raise ValueError(f"required is {required:#x}; device_features is {device_features:#x}")
        self.device_features = device_features
        self._required = required
        super().__init__()
        self._device_feature_select = Signal(32)
        self._driver_feature_select = Signal(32)
        self._queue_select = Signal(16)

    def elaborate(self, platform):
        m: Any = Module()
        request: Any = Signal(RegisterRequest)
        requests, responses = self.registers.requests, self.registers.responses
        m.submodules.status = status = self._status_machine()
        m.submodules.features = features = DriverFeatures(self.device_features)
        with m.FSM(init="WAIT_REQUEST") as fsm:
            with m.State("WAIT_REQUEST"):
                m.d.comb += requests.ready.eq(~self.hold)
                m.d.sync += request.eq(requests.payload)
                with m.If(requests.valid & ~self.hold):
                    m.next = "WAIT_ROW"
            with m.State("WAIT_ROW"):
                with m.If(request.write):
                    m.next = "WAIT_TABLE"
                with m.Else():
                    m.next = "WAIT_RESPONSE"
            with m.State("WAIT_TABLE"):
                m.next = "WAIT_REQUEST"
            with m.State("WAIT_RESPONSE"):
                m.d.comb += responses.valid.eq(1)
                with m.If(responses.ready):
                    m.next = "WAIT_REQUEST"
            asking, deciding = fsm.ongoing("WAIT_REQUEST"), fsm.ongoing("WAIT_ROW")

        queue_exists = self._queue_select < self.config.queues
        row = Signal(QueueRow)  # of the selected queue, or 0
        m.d.comb += [
            self.table_read.en.eq(asking),
            self.table_read.index.eq(self._queue_select),
        ]
        with m.If(queue_exists):
            m.d.comb += row.eq(self.table_read.row)
        written = WrittenRegisters(m, request, deciding & request.write & ~self.reset_request)
        self._connect_status(m, status, features, written)
        if self.device_features >> Feature.SUSPEND & 1:
            self._suspend(m, status)
        self._write_device_registers(m, written)
        resets = self._queue_resets(m, status, written, row)
        self._write_row(m, written, row, queue_exists, resets)
        words = self._words(m, features, row, queue_exists)
        with m.If(deciding):
            m.d.sync += responses.payload.data.eq(0)
            with m.Switch(dword_of(request)):
                for dword, word in enumerate(words):
                    with m.Case(dword):
                        m.d.sync += responses.payload.data.eq(word)
        return m

    def _status_machine(self) -> DeviceStatusMachine:
        return DeviceStatusMachine()

    def _modern(self, condition: Any) -> Any:
        """``condition``, which a driver of virtio 1.x alone can meet."""
        return condition

    def _accepted(self, features: Any) -> Any:
        """What of the bits that the driver wrote is negotiated."""
        return features

    def _may_reset(self, asked: Any, status: DeviceStatusMachine) -> Any:
        """Whether a queue reset that was ``asked`` for is negotiated."""
        return asked & self.driver_features[Feature.RING_RESET] & status.features_ok

    def _connect_status(
        self, m: Any, status: DeviceStatusMachine, features: DriverFeatures, written: WrittenRegisters
    ) -> None:
        m.d.comb += [
            status.write.eq(written.any("device_status")),
            status.value.eq(written.data("device_status")),
            status.features_acceptable.eq(
                self._modern(features.acceptable & ((features.features & self._required) == self._required))
            ),
            status.needs_reset.eq(self.needs_reset | self.fail),
            status.reset.eq(self.reset),
            status.reset_done.eq(self.reset_done),
            self.status.eq(status.status),
            self.driver_ok.eq(status.driver_ok),
            self.reset_request.eq(status.reset_request),
            self.config_change.eq(status.config_change),
            features.select.eq(self._driver_feature_select),
            features.data.eq(written.data("driver_feature")),
            features.enables.eq(written.enables("driver_feature")),
            features.fixed.eq(status.features_ok),
            features.clear.eq(self.reset_done),
            features.withheld.eq(self.withheld),
            self.driver_features.eq(self._accepted(features.features)),
        ]

    def _suspend(self, m: Any, status: DeviceStatusMachine) -> None:
        m.submodules.suspend = suspend = Suspend()
        m.d.comb += [
            suspend.write.eq(status.write),
            suspend.value.eq(status.value),
            suspend.running.eq(self._modern(status.driver_ok & self.driver_features[Feature.SUSPEND])),
            suspend.abandon.eq(status.reset_request | self.needs_reset | self.fail),
            *(getattr(suspend, name).eq(getattr(self, name)) for name in ("halted", "settled", "busy")),
            status.suspended.eq(suspend.suspended),
            self.suspended.eq(suspend.suspended),
            self.suspend_halt.eq(suspend.halt),
            self.suspend_hold.eq(suspend.hold),
        ]

    def _write_device_registers(self, m: Any, written: WrittenRegisters) -> None:
        """Registers that stand here and not in the queue table, and the reset of all of them."""
        for name, register in (
            ("device_feature_select", self._device_feature_select),
            ("driver_feature_select", self._driver_feature_select),
            ("queue_select", self._queue_select),
        ):
            m.d.sync += register.eq(written.merged(name, register))
        with m.If(written.any("config_msix_vector")):
            m.d.sync += self.config_vector.eq(
                self._vector(written.merged("config_msix_vector", self.config_vector))
            )
        with m.If(self.reset_done):
            for register in (
                self._device_feature_select,
                self._driver_feature_select,
                self._queue_select,
                self.config_vector,
            ):
                m.d.sync += register.eq(register.init)

    def _vector(self, value: Value) -> Value:
        return Mux(value < self.config.vectors, value, NO_VECTOR)

    def _queue_resets(
        self, m: Any, status: DeviceStatusMachine, written: WrittenRegisters, row: Any
    ) -> Value:
        """Queues waiting for their reset stand in a FIFO; the result says that the selected one joins it."""
        joins = Signal()
        if not self.device_features >> Feature.RING_RESET & 1:
            return joins
        # A queue cannot be in it twice, so it never overflows.
        waiting = SyncFIFOBuffered(width=QUEUE_BITS, depth=self.config.queues)
        m.submodules.waiting = ResetInserter(self.reset_done)(waiting)
        m.d.comb += [
            joins.eq(
                self._may_reset(
                    written.any("queue_reset") & (written.merged("queue_reset", row.reserved) == 1), status
                )
                & row.enable[0]
                & ~row.reserved[0]
            ),
            waiting.w_data.eq(self._queue_select),
            waiting.w_en.eq(joins),
            self.queue_reset_request.eq(waiting.r_rdy & (self.suspended | ~self.suspend_halt)),
            self.queue_reset_index.eq(waiting.r_data),
            waiting.r_en.eq(self.queue_reset_done),
        ]
        return joins

    def _write_row(self, m: Any, written: WrittenRegisters, row: Any, exists: Value, resets: Value) -> None:
        """The table is written in the cycle after the decision, from registers."""
        size = written.merged("queue_size", row.size)
        sizes = [1 << n for n in range(self.config.queue_size.bit_length())]
        fits = reduce(or_, (size == power for power in sizes))
        if self.device_features >> Feature.RING_PACKED & 1:
            packed = self.driver_features[Feature.RING_PACKED]
            fits |= packed & (size != 0) & (size <= self.config.queue_size)
        size_fits = fits & written.any("queue_size")
        enables = written.any("queue_enable") & (written.merged("queue_enable", row.enable) == 1)
        configurable = exists & ~row.enable[0]
        m.submodules.ranges = ranges = QueueRanges(self.config.queue_size)
        m.d.comb += [getattr(ranges, name).eq(row[name]) for name in ("desc", "driver", "device", "size")]
        if self.device_features >> Feature.RING_PACKED & 1:
            m.d.comb += ranges.packed.eq(self.driver_features[Feature.RING_PACKED])
        failed = Signal()
        with m.If(configurable & enables & ranges.beyond):
            m.d.sync += failed.eq(1)
        with m.If(self.reset_done):
            m.d.sync += failed.eq(0)
        m.d.comb += self.fail.eq(failed & ~self.reset_request)
        fields = {
            "desc": (_aligned(written.data("queue_desc"), DESC_ALIGN), written.enables("queue_desc")),
            "driver": (_aligned(written.data("queue_driver"), DRIVER_ALIGN), written.enables("queue_driver")),
            "device": (_aligned(written.data("queue_device"), DEVICE_ALIGN), written.enables("queue_device")),
            "size": (size, size_fits.replicate(2)),
            "vector": (
                self._vector(written.merged("queue_msix_vector", row.vector)),
                (exists & written.any("queue_msix_vector")).replicate(2),
            ),
            "enable": (1, (enables & ~ranges.beyond).replicate(2)),
            "reserved": (1, resets.replicate(2)),
        }
        mask: Any = Signal(_ROW.size // 8)
        m.d.sync += [
            self.table_write.en.eq(mask.any()),
            self.table_write.index.eq(self._queue_select),
            self.table_write.mask.eq(mask),
        ]
        for name, field in _ROW:
            value, mask_bytes = fields[name]
            allowed = 1 if name in ("vector", "reserved") else configurable
            m.d.sync += self.table_write.row[name].eq(value)
            place = mask[field.offset // 8 : (field.offset + field.width) // 8]
            m.d.comb += place.eq(Mux(allowed, mask_bytes, 0))

    def _words(self, m: Any, features: DriverFeatures, row: Any, exists: Value) -> list[Any]:
        """What each dword of the structure reads as."""
        select, offered = self._device_feature_select, Const(self.device_features, 64) & ~self.withheld
        values = {
            "device_feature_select": select,
            "device_feature": Mux(select == 0, offered[:32], Mux(select == 1, offered[32:], 0)),
            "driver_feature_select": self._driver_feature_select,
            "driver_feature": features.shown,
            "config_msix_vector": self.config_vector,
            "num_queues": self.config.queues,
            "device_status": self.status,
            "config_generation": self.config_generation,
            "queue_select": self._queue_select,
            "queue_size": row.size,
            "queue_msix_vector": row.vector,
            "queue_enable": row.enable,
            "queue_notify_off": Mux(exists, self._queue_select, 0),
            "queue_desc": row.desc,
            "queue_driver": row.driver,
            "queue_device": row.device,
            "queue_notif_config_data": Mux(
                exists & self.driver_features[Feature.NOTIF_CONFIG_DATA],
                self._queue_select | NOTIFY_CONFIG_DATA,
                0,
            ),
            "queue_reset": row.reserved,
        }
        image = []
        for register in COMMON:
            assert len(image) == register.offset, "the table has no gaps"
            value = Signal(register.width, name=f"read_{register.name}")
            m.d.comb += value.eq(values.get(register.name, 0))
            image += [value[8 * n : 8 * n + 8] for n in range(register.size)]
        return [Cat(image[4 * n : 4 * n + 4]) for n in range(COMMON_DWORDS)]
