"""A virtio-mmio device with an AXI(-Lite) slave for its registers and an AXI(-Lite) master for its DMA."""

import logging
from collections.abc import Callable
from typing import Any

from ..errors import ParameterError
from .bus import Bus, BusError
from .dma import GuestDma

__all__ = ["AxiMmio", "axi_kind"]

_LITE = {
    "write": ("awaddr", "awvalid", "awready", "wdata", "wvalid", "wready", "bvalid", "bready"),
    "read": ("araddr", "arvalid", "arready", "rdata", "rvalid", "rready"),
}
_FULL = {"write": ("awid", "awlen", "wlast", "bid"), "read": ("arid", "arlen", "rlast", "rid")}
_WIDTHS = (32, 64, 128, 256, 512, 1024)


def axi_kind(dut: Any, prefix: str, register: bool) -> str:
    """Whether the ports of ``dut`` that begin with ``prefix`` are of ``"axi"`` or ``"axil"``.

    ``register``: they lead to registers of 32 bits. Errors: :class:`~..errors.ParameterError` with the port
    that is missing, or the width that does not fit.
    """
    full = any(hasattr(dut, f"{prefix}_{name}") for names in _FULL.values() for name in names)
    wanted = [name for names in _LITE.values() for name in names]
    if full:
        wanted += [name for names in _FULL.values() for name in names]
    for name in wanted:
        if not hasattr(dut, f"{prefix}_{name}"):
            kind = "AXI" if full else "AXI-Lite"
            raise ParameterError(f"the design has no port {prefix}_{name}, which {kind} needs")
    width = len(getattr(dut, f"{prefix}_wdata"))
    allowed = (32, 64) if register and not full else _WIDTHS
    if width not in allowed:
        listed = ", ".join(map(str, allowed[:-1])) + f" or {allowed[-1]}"
        raise ParameterError(f"{prefix}_wdata has {width} bits; it must have {listed}")
    if (read := len(getattr(dut, f"{prefix}_rdata"))) != width:
        raise ParameterError(f"{prefix}_rdata has {read} bits, and {prefix}_wdata {width}")
    strobes = getattr(dut, f"{prefix}_wstrb", None)
    if strobes is not None and len(strobes) != width // 8:
        raise ParameterError(
            f"{prefix}_wstrb has {len(strobes)} bits; {width} bits of data need {width // 8}"
        )
    return "axi" if full else "axil"


class AxiMmio(Bus):
    """The registers of ``dut`` behind its AXI(-Lite) slave ``registers``, its DMA from the master ``dma``.

    Ports are found by their prefixes, ``s_axil_awaddr`` for ``registers="s_axil"``. ``clock``, ``reset`` and
    ``interrupt`` are handles, by default ``dut.clk``, ``dut.rst`` and ``dut.irq``; ``reset_active_level``
    False for a reset that is low when active. ``base`` is the address of the registers, ``clock_mhz`` the
    clock that the testbench drives, ``timeout_cycles`` how long an access may take. The testbench drives
    clock and reset; the reset is over before :meth:`~.guest.Guest.probe` is called.

    Errors: :class:`~..errors.ParameterError` for ports that are missing or do not fit; :class:`BusError` for
    an access that is not answered, or with an error.
    """

    def __init__(
        self,
        dut: Any,
        registers: str = "s_axil",
        dma: str = "m_axi",
        *,
        clock: Any = None,
        reset: Any = None,
        interrupt: Any = None,
        reset_active_level: bool = True,
        base: int = 0,
        clock_mhz: float = 100,
        timeout_cycles: int = 10_000,
    ):
        self.clock_mhz = clock_mhz
        self._dut = dut
        self._base = base
        self._timeout = timeout_cycles
        self._dma = dma
        self._kinds = {registers: axi_kind(dut, registers, True), dma: axi_kind(dut, dma, False)}
        self.granule = len(getattr(dut, f"{dma}_rdata")) // 8
        self._address_bits = len(getattr(dut, f"{dma}_awaddr"))
        given = {"clk": clock, "rst": reset, "irq": interrupt}
        for name, handle in given.items():
            if handle is None and not hasattr(dut, name):
                raise ParameterError(f"the design has no port {name}; say which one it is")
        self._clock, self._reset, self._interrupt = (
            getattr(dut, name) if handle is None else handle for name, handle in given.items()
        )
        self._active_level = reset_active_level
        self._master = self._make(registers, "Master")

    def _make(self, prefix: str, what: str, **arguments: Any) -> Any:
        from cocotbext import axi

        # Its log says more of each access than a test has to say in all.
        logging.getLogger(f"cocotb.{self._dut._name}.{prefix}").setLevel(logging.WARNING)
        kind = "Axi" if self._kinds[prefix] == "axi" else "AxiLite"
        bus = getattr(axi, f"{kind}Bus").from_prefix(self._dut, prefix)
        return getattr(axi, f"{kind}{what}")(
            bus, self._clock, self._reset, reset_active_level=self._active_level, **arguments
        )

    # --- registers -----------------------------------------------------------------------------------------

    async def read(self, offset: int, size: int) -> int:
        """See :class:`Bus`."""
        address = self._base + offset
        answer = await self._answer(self._master.read(address, size), f"read of {size} bytes at {address:#x}")
        return int.from_bytes(answer.data, "little")

    async def write(self, offset: int, size: int, value: int) -> None:
        """See :class:`Bus`."""
        address = self._base + offset
        what = f"write of {size} bytes at {address:#x}"
        await self._answer(self._master.write(address, value.to_bytes(size, "little")), what)

    async def _answer(self, access: Any, what: str) -> Any:
        import cocotb
        from cocotb.triggers import SimTimeoutError, with_timeout
        from cocotb.utils import get_sim_steps

        steps = get_sim_steps(round(self._timeout * 1_000_000 / self.clock_mhz), "ps")
        try:
            answer = await with_timeout(cocotb.start_soon(access), steps, "step")
        except SimTimeoutError:
            raise BusError(f"the {what} is not answered in {self._timeout} cycles") from None
        if answer is None:
            raise BusError(f"the {what} was lost: the design was reset")
        if answer.resp:
            raise BusError(f"the {what} is answered with {answer.resp.name}")
        return answer

    # --- memory and interrupt ------------------------------------------------------------------------------

    def connect(self, dma: GuestDma) -> None:
        """See :class:`Bus`. Errors: ``ParameterError`` for RAM beyond the addresses of the design."""
        end = dma.memory.base + dma.memory.size
        if end > 1 << self._address_bits:
            raise ParameterError(
                f"guest RAM ends at {end:#x}; {self._dma}_awaddr has {self._address_bits} bits"
            )
        self._make(self._dma, "Slave", target=dma)

    def listen(self, changed: Callable[[bool], None]) -> None:
        """See :class:`Bus`."""
        import cocotb

        async def watch() -> None:
            while True:
                await self._interrupt.value_change
                value = self._interrupt.value
                changed(value.is_resolvable and bool(int(value)))

        cocotb.start_soon(watch())
