"""A memory that spoils what is read of an address while that is written."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib.memory import Memory

__all__ = ["SpoilingMemory"]


class SpoilingMemory(Elaboratable):
    """In place of Amaranth's ``Memory``, one of the kind of :data:`~ringwalker.memories.READ_APART`.

    A clocked read of the address that is written at the same clock edge gives the inverse of the old content,
    which stays until the next read. Reads that are not clocked are as usual.
    """

    def __init__(self, **arguments: Any):
        self._inner: Any = Memory(**arguments)
        self._writes: list[Any] = []
        self._reads: list[tuple[Any, Any]] = []

    def write_port(self, **arguments: Any) -> Any:
        """As of ``Memory``."""
        self._writes.append(self._inner.write_port(**arguments))
        return self._writes[-1]

    def read_port(self, domain: str = "sync") -> Any:
        """As of ``Memory``."""
        port = self._inner.read_port(domain=domain)
        if domain == "comb":
            return port
        outer = port.signature.create()
        self._reads.append((outer, port))
        return outer

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.inner = self._inner
        for outer, port in self._reads:
            spoiled = Signal()
            hits: Any = Cat(write.en.any() & (write.addr == outer.addr) for write in self._writes)
            data = port.data.as_value() if hasattr(port.data, "as_value") else port.data
            result = outer.data.as_value() if hasattr(outer.data, "as_value") else outer.data
            m.d.comb += [
                port.addr.eq(outer.addr),
                port.en.eq(outer.en),
                result.eq(Mux(spoiled, ~data, data)),
            ]
            with m.If(outer.en):
                m.d.sync += spoiled.eq(hits.any())
        return m
