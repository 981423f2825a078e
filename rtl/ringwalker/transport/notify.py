"""The notification structure: a doorbell for each queue."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..config import DeviceConfig
from ..interfaces import RegisterPort
from ..spec.modern import NOTIFY_CONFIG_DATA, NOTIFY_MULTIPLIER, PAGE
from ..spec.ring import NotificationData
from ..streams import Doorbell, stream_of

__all__ = ["Notify"]


class Notify(Component):
    """A write at ``n * NOTIFY_MULTIPLIER`` in the page rings the doorbell of queue ``n``.

    With ``with_data`` a write of 32 bits that names its queue carries the available index in its upper half.
    A queue is named by its number, or, with ``config_data``, by ``NOTIFY_CONFIG_DATA`` more. Otherwise the
    value is not looked at. A write without any byte enabled, of a queue that does not exist,
    or between two doorbells has no effect. Reads give 0.

    Latency: a doorbell is valid one cycle after its write was taken, and one write a cycle is taken while the
    doorbells are.

    Errors: ``ValueError`` when the doorbells of all queues do not fit into a page.

    Ref: virtio 1.4, 4.1.4.4, 4.1.5.2 (Available Buffer Notifications), 2.9 (Driver Notifications).
    """

    registers: In(RegisterPort())
    """Of the offset only the place in the page counts."""
    doorbells: Out(stream_of(Doorbell))
    with_data: In(1)
    """VIRTIO_F_NOTIFICATION_DATA was negotiated."""
    config_data: In(1)
    """VIRTIO_F_NOTIF_CONFIG_DATA was negotiated."""
    enable: In(1)
    """While it is low writes have no effect."""
    idle: Out(1)
    """No doorbell waits to be taken."""

    def __init__(self, config: DeviceConfig):
        if NOTIFY_MULTIPLIER < 4 or NOTIFY_MULTIPLIER & (NOTIFY_MULTIPLIER - 1):
            raise ValueError(f"NOTIFY_MULTIPLIER is {NOTIFY_MULTIPLIER}; it must be a power of two from 4 on")
        if config.queues * NOTIFY_MULTIPLIER > PAGE:
            raise ValueError(f"queues is {config.queues}; their doorbells do not fit into {PAGE} bytes")
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        requests, responses, doorbells = self.registers.requests, self.registers.responses, self.doorbells
        place = requests.payload.offset[: PAGE.bit_length() - 1]
        shift = NOTIFY_MULTIPLIER.bit_length() - 1
        queue = place[shift:]
        aligned = (place & (NOTIFY_MULTIPLIER - 1)) == 0
        taken, rings, names = Signal(), Signal(), Signal()
        value: Any = data.View(NotificationData, requests.payload.data)
        m.d.comb += [
            requests.ready.eq((~doorbells.valid | doorbells.ready) & (~responses.valid | responses.ready)),
            taken.eq(requests.valid & requests.ready),
            rings.eq(
                self.enable
                & requests.payload.write
                & requests.payload.strobe.any()
                & aligned
                & (queue < self.config.queues)
            ),
            names.eq(value.queue == (queue | Mux(self.config_data, NOTIFY_CONFIG_DATA, 0))),
            self.idle.eq(~doorbells.valid),
        ]
        with m.If(doorbells.ready):
            m.d.sync += doorbells.valid.eq(0)
        with m.If(responses.ready):
            m.d.sync += responses.valid.eq(0)
        with m.If(taken):
            m.d.sync += [
                doorbells.valid.eq(rings),
                doorbells.payload.queue.eq(queue),
                doorbells.payload.carried.eq(self.with_data & names & (requests.payload.strobe == 0xF)),
                doorbells.payload.next.eq(value.next),
                responses.valid.eq(~requests.payload.write),
            ]
        return m
