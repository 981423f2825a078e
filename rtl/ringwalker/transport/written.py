"""What a write of a dword means for each register of the common configuration."""

from typing import Any

from amaranth.hdl import Cat, Mux, Signal, Value

from ..spec.modern import COMMON, PAGE

__all__ = ["COMMON_DWORDS", "WrittenRegisters", "dword_of"]

COMMON_DWORDS = -(-COMMON.size // 4)


class WrittenRegisters:
    """What a register write does to each register: its byte enables, bytes, and value after the write."""

    def __init__(self, m: Any, request: Any, active: Value):
        self._enables: Any = Signal(4 * COMMON_DWORDS)
        self._data = request.data
        for dword in range(COMMON_DWORDS):
            with m.If(active & (dword_of(request) == dword)):
                m.d.comb += self._enables[4 * dword : 4 * dword + 4].eq(request.strobe)

    def enables(self, name: str) -> Any:
        register = COMMON[name]
        return self._enables[register.offset : register.offset + register.size]

    def any(self, name: str) -> Any:
        return self.enables(name).any()

    def data(self, name: str) -> Any:
        register = COMMON[name]
        lanes = [(register.offset + n) % 4 for n in range(register.size)]
        return Cat(self._data.word_select(lane, 8) for lane in lanes)

    def merged(self, name: str, old: Any) -> Any:
        register, new, enables = COMMON[name], self.data(name), self.enables(name)
        before = Value.cast(old)
        return Cat(
            Mux(enables[n], new[8 * n : 8 * n + 8], before[8 * n : 8 * n + 8]) for n in range(register.size)
        )


def dword_of(request: Any) -> Value:
    """The dword in the page that ``request`` addresses."""
    return request.offset[2 : PAGE.bit_length() - 1]
