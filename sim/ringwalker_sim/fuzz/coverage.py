"""What of a device cases have moved: bits that toggled, by block, and transitions of its state machines."""

import base64
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..engine.native.coverage import PAIRS, CoverageLayout, SignalPoints, counts

__all__ = [
    "BLOCKS",
    "BlockCoverage",
    "Coverage",
    "Hole",
    "block_of",
    "by_block",
    "holes",
    "joined",
    "packed_bits",
]

BLOCKS = ("walker", "dma", "transport")
"""Blocks of the core that coverage is counted of."""

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
class BlockCoverage:
    """How many counters a block has, and how many of them have counted."""

    points: int
    covered: int

    @property
    def percent(self) -> float:
        """Of the points that are covered."""
        return 100 * self.covered / self.points if self.points else 100.0


def _owners(layout: CoverageLayout) -> Iterator[tuple[str, SignalPoints]]:
    """The signals of blocks, one for each counter: many names are of one signal."""
    seen: set[int] = set()
    for signal in layout.signals:
        block = block_of(signal.scope)
        if block is not None and signal.first not in seen:
            seen.add(signal.first)
            yield block, signal


def by_block(layout: CoverageLayout, toggled: np.ndarray) -> dict[str, BlockCoverage]:
    """The coverage of each of :data:`BLOCKS`."""
    points: dict[str, int] = defaultdict(int)
    covered: dict[str, int] = defaultdict(int)
    for block, signal in _owners(layout):
        points[block] += 2 * signal.bits
        covered[block] += int(toggled[signal.first : signal.first + 2 * signal.bits].sum())
    return {block: BlockCoverage(points[block], covered[block]) for block in BLOCKS}


@dataclass(frozen=True)
class Hole:
    """Bits ``bits`` of a signal of ``block`` that did not toggle both ways; ``points`` counters are 0."""

    block: str
    scope: str
    name: str
    bits: tuple[int, ...]
    points: int

    @property
    def place(self) -> str:
        """The instances and the name."""
        return f"{self.scope}.{self.name}"


def holes(layout: CoverageLayout, toggled: np.ndarray) -> list[Hole]:
    """What has not toggled, by signal."""
    found = []
    for block, signal in _owners(layout):
        counted = toggled[signal.first : signal.first + 2 * signal.bits].reshape(-1, 2)
        missing = np.flatnonzero(~counted.all(axis=1))
        if len(missing):
            bits = tuple(int(bit) + signal.lowest for bit in missing)
            found.append(Hole(block, signal.scope, signal.name, bits, int((~counted).sum())))
    return found
