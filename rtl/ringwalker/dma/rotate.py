"""A barrel rotator."""

from typing import Any

from amaranth.hdl import Mux, Signal

__all__ = ["rotate"]


def rotate(m: Any, value: Any, amount: Any, unit: int, name: str) -> Signal:
    """Logic for ``value`` rotated left, towards bit ``len(value)``, by ``amount`` units of ``unit`` bits.

    ``name`` is the start of the names of its signals. Combinational.
    Errors: ``ValueError`` unless ``value`` has as many units as ``amount`` has values.
    """
    if unit << len(amount) != len(value):
        raise ValueError(f"amount must have log2({len(value) // unit}) bits, not {len(amount)}")
    for bit in range(len(amount)):
        stage = Signal(len(value), name=f"{name}_{bit}")
        m.d.comb += stage.eq(Mux(amount[bit], value.rotate_left(unit << bit), value))
        value = stage
    return value
