"""The feature bits that the driver accepts, and whether the device can go on with them."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..component import Component
from ..spec.features import Feature

__all__ = ["DriverFeatures"]

_WORDS = 4
"""Words of 32 feature bits that have a meaning. Ref: virtio 1.4, 2.2 (bits 128 and above are reserved)."""

_KEPT_WORDS = 2
"""Those that may hold a bit that is offered."""


class DriverFeatures(Component):
    """Keeps what the driver writes to ``driver_feature``, word by word.

    Parameters: ``offered``, the 64 feature bits that the device may offer. It offers none beyond.

    Of words 2 and 3 only this is kept: which bytes of them are not 0. A bit that is set in any word from 4 on
    stands for a feature that no driver can know; it counts until ``clear``.

    Latency: a write shows in the cycle after it.

    Ref: virtio 1.4, 2.2, 2.2.2 (FEATURES_OK), 4.1.4.3.1 (a device may ignore bits that it never offers, if it
    checks them when FEATURES_OK is set).
    """

    select: In(32)
    """The word that is written and shown: ``driver_feature_select``."""
    data: In(32)
    """What is written."""
    enables: In(4)
    """The bytes of it that are written in this cycle."""
    fixed: In(1)
    """Writes are ignored."""
    withheld: In(64)
    """Those of ``offered`` that are not offered at present."""
    clear: In(1)
    """Forget everything; wins over a write."""
    features: Out(64)
    """Words 0 and 1 as they were written, also with bits that are not offered."""
    shown: Out(32)
    """The word that ``select`` names; 0 from word 2 on."""
    acceptable: Out(1)
    """Every bit that is set, in any word, is offered, and VIRTIO_F_VERSION_1 is set."""

    def __init__(self, offered: int):
        self._offered = offered
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        # A bit for each byte of words 2 and 3.
        foreign: Any = Signal(4 * (_WORDS - _KEPT_WORDS))
        reserved = Signal()
        data_bytes = [self.data[8 * n : 8 * n + 8] for n in range(4)]
        written: Any = Cat(enable & byte.any() for enable, byte in zip(self.enables, data_bytes, strict=True))
        with m.If(~self.fixed):
            with m.Switch(self.select):
                for word in range(_WORDS):
                    with m.Case(word):
                        for n, byte in enumerate(data_bytes):
                            with m.If(self.enables[n]):
                                m.d.sync += self._keep(foreign, 4 * word + n, byte)
                with m.Default():
                    with m.If(written.any()):
                        m.d.sync += reserved.eq(1)
        with m.If(self.clear):
            m.d.sync += [self.features.eq(0), foreign.eq(0), reserved.eq(0)]
        others = ~self._offered & ((1 << 32 * _KEPT_WORDS) - 1)
        unknown = self.features & (self.withheld | others)
        m.d.comb += [
            self.shown.eq(
                Mux(self.select == 0, self.features[:32], Mux(self.select == 1, self.features[32:], 0))
            ),
            self.acceptable.eq(
                (unknown == 0) & self.features[Feature.VERSION_1] & ~foreign.any() & ~reserved
            ),
        ]
        return m

    def _keep(self, foreign: Any, place: int, byte: Any) -> Any:
        """Keep byte number ``place`` of all words."""
        kept = 4 * _KEPT_WORDS
        if place < kept:
            return self.features[8 * place : 8 * place + 8].eq(byte)
        return foreign[place - kept].eq(byte.any())
