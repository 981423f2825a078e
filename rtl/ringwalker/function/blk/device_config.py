"""The device configuration of the block device, as the driver reads it."""

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from ...component import Component
from ...config import DeviceConfig
from ...interfaces import RegisterPort
from ...spec.blk import BLK_CONFIG, BlkFeature
from ...spec.modern import PAGE

__all__ = ["BlkConfigFace", "blk_features"]

_OTHER_SEGMENTS = 2
"""Descriptors of a request that are not data: header and status."""


def blk_features(config: DeviceConfig) -> int:
    """The feature bits that the block function offers, as a mask."""
    offered = [BlkFeature.SEG_MAX, BlkFeature.BLK_SIZE, BlkFeature.FLUSH]
    if config.queues > 1:
        offered.append(BlkFeature.MQ)
    return sum(1 << bit for bit in offered)


class BlkConfigFace(Component):
    """Answers reads of the device configuration; writes have no effect.

    Members: ``registers`` (In, ``RegisterPort``; of ``offset`` only the part inside a page counts),
    ``capacity`` (In, sectors), ``sampled`` (Out: the capacity that the driver sees, a cycle later),
    ``generation`` (Out: goes up in the cycle in which ``sampled`` changes), ``config_change`` (Out: a pulse
    with it). The first capacity after reset is no change. One cycle a read. Ref: virtio 1.4, 5.2.4 and 2.5.1.
    """

    def __init__(self, config: DeviceConfig):
        self._config = config
        super().__init__(
            {
                "registers": In(RegisterPort()),
                "capacity": In(64, init=config.settings.capacity),
                "sampled": Out(64, init=config.settings.capacity),
                "generation": Out(8),
                "config_change": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        started = Signal()
        m.d.sync += [started.eq(1), self.sampled.eq(self.capacity), self.config_change.eq(0)]
        with m.If(started & (self.sampled != self.capacity)):
            m.d.sync += [self.generation.eq(self.generation + 1), self.config_change.eq(1)]

        request, response = self.registers.requests, self.registers.responses
        m.d.comb += request.ready.eq(~response.valid | response.ready)
        with m.If(request.ready):
            m.d.sync += [response.valid.eq(request.valid & ~request.p.write), response.p.data.eq(0)]
            with m.Switch(request.p.offset[2 : PAGE.bit_length() - 1]):
                for number, dword in self._dwords():
                    with m.Case(number):
                        m.d.sync += response.p.data.eq(dword)
        return m

    def _dwords(self) -> Iterator[tuple[int, Any]]:
        """Pairs of dword number and value; what is not offered reads as 0 (Ref: virtio 1.4, 5.2.5.2)."""
        config = self._config
        constants = {
            "seg_max": max(config.queue_size - _OTHER_SEGMENTS, 1),
            "blk_size": config.settings.block_size,
            "num_queues": config.queues if config.queues > 1 else 0,
        }
        image = bytearray(-(-BLK_CONFIG.size // 4) * 4)
        for name, value in constants.items():
            register = BLK_CONFIG[name]
            image[register.offset : register.offset + register.size] = value.to_bytes(register.size, "little")
        capacity = BLK_CONFIG.capacity.offset // 4
        for number in range(len(image) // 4):
            if number in (capacity, capacity + 1):
                half = number - capacity
                yield number, Cat(self.sampled[32 * half : 32 * (half + 1)])
            else:
                yield number, int.from_bytes(image[4 * number : 4 * number + 4], "little")
