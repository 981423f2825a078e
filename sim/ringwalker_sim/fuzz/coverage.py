"""What of a device cases have moved: bits that toggled, by block, and transitions of its state machines."""

import base64
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..engine.native.coverage import PAIRS, CoverageLayout, SignalPoints, counts
from ..toolchain import ToolError
from .fixed import Fixed, canonical
from .netlist import FREE, Netlist

__all__ = ["BLOCKS", "Coverage", "Point", "Points", "block_of", "check", "joined", "packed_bits", "points_of"]

BLOCKS = ("walker", "dma", "transport")
"""Blocks of the core that coverage is counted of."""

_DEVICE = "device."
_DMA = (
    *("gather", "scatter", "posted_mux", "posted_buffer", "posted_gate", "completion_router", "read_arbiter"),
    *("payload_requests", "read_window"),
)
_READER = "_reader"


def block_of(scope: str) -> str | None:
    """The block that the instances ``scope`` belong to, or None."""
    names = scope.split(".")
    if names[0] != "core" or len(names) < 2 or names[1] in ("function", "queue_table"):
        return None
    if names[1] != "walker":
        return "transport"
    inside = next((name for name in names[2:] if not name.startswith("lane")), "")
    return "dma" if inside in _DMA or inside.endswith(_READER) else "walker"


class Coverage:
    """The counters of an engine with a model of :func:`~..engine.native.coverage.coverage_library`.

    ``library`` and ``handle`` are the engine's; ``layout`` says what its counters are.
    """

    def __init__(self, library: object, handle: int, layout: CoverageLayout):
        self._library: object = library
        self._handle = handle
        get = {name: getattr(library, f"rw_coverage{name}") for name in ("", "_states", "_pairs", "_forget")}
        self._counters = counts(get[""](handle), layout.counters, np.uint32)
        # That a bit is 1 when the simulation begins is no toggle.
        self._counters[:] = 0
        self._transitions = counts(get["_states"](handle), layout.transitions, np.uint8)
        self._pairs = counts(get["_pairs"](handle), PAIRS, np.uint8)
        self._forget = get["_forget"]

    def take_states(self) -> list[int]:
        """Numbers of all transitions and pairs of states seen since the last call."""
        first = len(self._transitions)
        found = [*np.flatnonzero(self._transitions), *(np.flatnonzero(self._pairs) + first)]
        self._forget(self._handle)
        return [int(number) for number in found]

    def toggled(self) -> np.ndarray:
        """For each counter whether it has counted anything."""
        return self._counters > 0


def packed_bits(toggled: np.ndarray) -> str:
    """Booleans as text, for :func:`joined`."""
    return base64.b64encode(zlib.compress(np.packbits(toggled).tobytes())).decode()


def joined(texts: list[str], size: int) -> np.ndarray:
    """For each of ``size`` counters whether it has counted in any of the texts of :func:`packed_bits`."""
    found = np.zeros((size + 7) // 8, np.uint8)
    for text in texts:
        found |= np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(found, count=size).astype(bool)


@dataclass(frozen=True)
class Point:
    """A bit that can toggle: ``net``, in row ``row`` of a memory if it is in one, with all its names.

    ``places`` are instances, a name and the bit; the first one is that nearest to the top, and ``block`` is
    the one in which it is. ``counters`` are those of its fall; that of the rise follows each. ``written`` are
    places of what is written into the memory, if that is one net.
    """

    net: int
    row: str
    block: str
    places: tuple[tuple[str, int], ...]
    counters: tuple[int, ...]
    written: tuple[tuple[str, int], ...] = ()

    def toggled(self, counted: np.ndarray) -> tuple[bool, bool]:
        """Whether it has fallen, and whether it has risen, by all of its names."""
        fallen, risen = (all(counted[first + way] for first in self.counters) for way in (0, 1))
        return fallen, risen


@dataclass(frozen=True)
class Points:
    """The ``points`` of the blocks; ``constant`` bits of signals can never toggle, and ``names`` are all."""

    points: list[Point]
    constant: dict[str, int]
    names: dict[str, int]
    still: list[tuple[str, int, int]]
    """Names of constant bits, with the bit and its counter."""


def points_of(layout: CoverageLayout, netlist: Netlist, fixed: Fixed) -> Points:
    """What can toggle in each of :data:`BLOCKS`: a net counts once, whatever its names are.

    Errors: :class:`ToolError` when signals of the model are not those of the netlist.
    """
    same = canonical(netlist, fixed)
    named = _named(netlist, same)
    found: dict[tuple[int, str], list[tuple[SignalPoints, int]]] = {}
    constant: dict[str, int] = defaultdict(int)
    names: dict[str, int] = defaultdict(int)
    still: list[tuple[str, int, int]] = []
    for signal in layout.signals:
        block = block_of(signal.scope)
        if block is None:
            continue
        nets = netlist.of(f"{_DEVICE}{signal.scope}.{signal.name}")
        if nets is None or len(nets) != signal.bits:
            raise ToolError(f"{signal.scope}.{signal.name}: not in the netlist, or not of {signal.bits} bits")
        names[block] += signal.bits
        row = signal.name[signal.name.rindex("[") :] if signal.name.endswith("]") else ""
        for bit, net in enumerate(nets):
            if fixed.constant(net):
                constant[block] += 1
                still.append((f"{signal.scope}.{signal.name}", bit + signal.lowest, signal.first + 2 * bit))
            else:
                found.setdefault((same[net], row), []).append((signal, bit))
    points = [_point(*key, members, named.get(key[0], ())) for key, members in found.items()]
    return Points(points, constant, names, still)


def _named(netlist: Netlist, same: Sequence[int]) -> dict[int, tuple[tuple[str, int], ...]]:
    """For each bit of a memory into which one net is written, where that net is."""
    fed: dict[int, list[int]] = {}
    for column, data in netlist.written.items():
        nets = {same[net] for net in data}
        if len(nets) == 1 and min(nets) > FREE:
            fed.setdefault(nets.pop(), []).append(same[column])
    found: dict[int, list[tuple[str, int]]] = {}
    for name, nets in netlist.names.items():
        for bit, net in enumerate(nets):
            for column in fed.get(same[net], ()):
                found.setdefault(column, []).append((name.removeprefix(_DEVICE), bit))
    return {column: tuple(places) for column, places in found.items()}


def _point(
    net: int, row: str, members: list[tuple[SignalPoints, int]], written: tuple[tuple[str, int], ...]
) -> Point:
    members = sorted(members, key=lambda item: (item[0].scope.count("."), len(item[0].name), item[0].scope))
    places = tuple((f"{signal.scope}.{signal.name}", bit + signal.lowest) for signal, bit in members)
    counters = tuple({signal.first + 2 * bit for signal, bit in members})
    block = block_of(members[0][0].scope)
    assert block is not None
    return Point(net, row, block, places, counters, written)


def check(found: Points, counted: np.ndarray) -> None:
    """See that no constant bit was counted both ways, and no net by some of its names only.

    What a name has before it is first looked at may be counted, one way. Errors: :class:`ToolError`.
    """
    for place, bit, first in found.still:
        if counted[first] and counted[first + 1]:
            raise ToolError(f"{place} bit {bit}: has toggled, but is constant in the netlist")
    for point in found.points:
        if len({bool(counted[first] and counted[first + 1]) for first in point.counters}) > 1:
            place, bit = point.places[0]
            raise ToolError(f"{place} bit {bit}: names of one net have toggled differently")
