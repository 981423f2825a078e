"""What a register face is: where a driver finds registers, and what stands in front of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..spec.modern import CapabilityType
from ..spec.pci import EXPANSION_ROM

if TYPE_CHECKING:
    from ..config import DeviceConfig

__all__ = ["RegisterFace", "Window", "check_windows", "pass_on", "within"]


@dataclass(frozen=True)
class Window:
    """A range of a BAR: ``size`` bytes from ``base``, a multiple of 4.

    ``capability`` is the type of the virtio capability that leads a driver to it; None: none does.
    ``io``: the BAR is one of I/O space; ``is_64``: otherwise it has 64 bits.
    """

    name: str
    bar: int
    base: int
    size: int
    capability: CapabilityType | None = None
    io: bool = False
    is_64: bool = True


@dataclass(frozen=True)
class RegisterFace:
    """One way in which a driver sees the registers of the device; all faces are of the same registers."""

    name: str
    """What the instance in front of the registers is called."""
    offered: Callable[["DeviceConfig"], bool]
    """Whether a device has it."""
    windows: Callable[["DeviceConfig"], tuple[Window, ...]]
    """Where it is. BARs and capabilities of configuration space follow from that."""
    view: Callable[["DeviceConfig"], Any] | None = None
    """A component through which all accesses pass on their way to the registers: ``i`` In(RegisterPort()),
    ``o`` Out(RegisterPort()), ``idle`` Out 1. It answers those to its windows, by accesses of its own to
    the windows of the modern face, and passes on all others. None: its windows are the registers.
    """


def check_windows(windows: tuple[Window, ...], rest: str | None = None) -> None:
    """Errors: ``ValueError`` if names repeat, windows overlap, or one is not within a BAR."""
    names = [window.name for window in windows]
    names += [] if rest is None else [rest]
    for name in names:
        if not name.isidentifier() or name in ("i", "idle", "signature") or names.count(name) > 1:
            raise ValueError(f"windows: the name {name!r} is taken or not an identifier")
    for window in windows:
        if window.bar not in range(EXPANSION_ROM + 1):
            raise ValueError(f"windows: {window.name} has BAR {window.bar}; there are 0 to 5, and the ROM")
        if window.base < 0 or window.base % 4 or window.size <= 0 or window.base + window.size > 1 << 24:
            raise ValueError(f"windows: {window.name} has base {window.base:#x} and size {window.size:#x}")
    for n, one in enumerate(windows):
        for other in windows[n + 1 :]:
            inside = one.base < other.base + other.size and other.base < one.base + one.size
            if one.bar == other.bar and inside:
                raise ValueError(f"windows: {one.name} and {other.name} overlap")


def within(offset: Any, base: int, size: int) -> tuple[Any, Any]:
    """Whether ``offset`` is from ``base`` on and below ``base + size``, and how far from ``base`` it is then.

    A base that is aligned for its size needs no arithmetic.
    """
    bits = (size - 1).bit_length()
    if base % (1 << bits):
        return (offset >= base) & (offset < base + size), offset - base
    low = offset[:bits]
    return (offset[bits:] == base >> bits) & (low < size), low


def pass_on(m: Any, i: Any, o: Any, passing: Any) -> None:
    """What comes on ``i``, In(RegisterPort()), goes to ``o``, Out(RegisterPort()), but for the payloads.

    ``passing`` is up while a read waits for its response; no further access is taken then.
    """
    request, response = i.requests, i.responses
    m.d.comb += [
        o.requests.valid.eq(request.valid & ~passing),
        request.ready.eq(o.requests.ready & ~passing),
        response.valid.eq(o.responses.valid & passing),
        o.responses.ready.eq(response.ready & passing),
    ]
    with m.If(request.valid & request.ready & ~request.p.write):
        m.d.sync += passing.eq(1)
    with m.If(response.valid & response.ready):
        m.d.sync += passing.eq(0)
