"""A few cycles of a block in Amaranth's simulator, and what of them is to be seen, as WaveJSON.

WaveJSON is what WaveDrom draws (https://wavedrom.com), so what is stored can be looked at with its editor.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from ..testing.inprocess import Bench, Item

__all__ = ["Arrow", "Channel", "Lane", "Level", "Scene", "Stream", "record"]

_QUIET = 1
"""So many cycles without anything new are shown; more are a gap."""

_NOTHING, _TAKEN, _WAITS = "z", "=", "3"
"""Nothing is offered; an item, which is taken; an item, which is not yet."""


@dataclass(frozen=True)
class Lane:
    """A line of the picture. ``port`` is a path as :class:`~..testing.inprocess.Bench` has it."""

    name: str
    port: str


@dataclass(frozen=True)
class Level(Lane):
    """A signal of one bit."""


@dataclass(frozen=True)
class Stream(Lane):
    """A stream: while an item is offered it is shown, in ``words``."""

    words: Callable[[Item], str] = str


@dataclass(frozen=True)
class Channel(Lane):
    """A channel of AXI, of whose items the signal ``key`` is shown."""

    key: str = "addr"


@dataclass(frozen=True)
class Arrow:
    """From event number ``begin[1]`` of the line ``begin[0]`` to that of another; ``says`` why.

    An event is an item that is taken, or a level that rises.
    """

    begin: tuple[str, int]
    end: tuple[str, int]
    says: str = ""


@dataclass(frozen=True)
class Scene:
    """What is played, by ``play``, on a fresh ``bench``, and which of its ports are shown.

    ``title`` stands over the picture. ``play`` gets the bench and ``begin``, which it calls where the picture
    begins; it ends ``rest`` cycles after the last event of a line.
    """

    title: str
    bench: type[Bench]
    play: Callable[[Any, Callable[[], None]], Coroutine[Any, Any, None]]
    lanes: Sequence[Lane]
    arrows: Sequence[Arrow] = ()
    rest: int = 1


@dataclass(frozen=True)
class _Sample:
    """A line in a cycle: a character of a wave, and what stands in its box. ``event``: something happens."""

    wave: str
    words: str = ""
    event: bool = False


def _sample(bench: Bench, lane: Lane) -> _Sample:
    if isinstance(lane, Stream | Channel):
        dot = "." if isinstance(lane, Stream) else ""
        if not bench.value(f"{lane.port}{dot}valid"):
            return _Sample(_NOTHING)
        taken = bool(bench.value(f"{lane.port}{dot}ready"))
        if isinstance(lane, Stream):
            words = lane.words(bench.value(f"{lane.port}.payload"))
        else:
            words = f"{bench.value(f'{lane.port}{lane.key}'):x}"
        return _Sample(_TAKEN if taken else _WAITS, words, taken)
    return _Sample(str(bench.value(lane.port)))


def _events(samples: Sequence[_Sample]) -> list[int]:
    """The cycles in which something happens."""
    found = []
    for n, sample in enumerate(samples):
        risen = sample.wave == "1" and (n == 0 or samples[n - 1].wave == "0")
        if sample.event or risen:
            found.append(n)
    return found


def _kept(columns: Sequence[tuple[_Sample, ...]]) -> list[int | None]:
    """The cycles that are shown; None for a gap, in place of cycles that are as the one before them."""
    quiet = [
        n > 0 and column == columns[n - 1] and not any(sample.event for sample in column)
        for n, column in enumerate(columns)
    ]
    found: list[int | None] = []
    n = 0
    while n < len(columns):
        end = n
        while end < len(columns) and quiet[end]:
            end += 1
        if end - n > _QUIET:
            found.append(None)
            n = end
        else:
            found.append(n)
            n += 1
    return found


def _wave(samples: Sequence[_Sample], kept: Sequence[int | None]) -> tuple[str, list[str]]:
    wave, data, before = "", [], None
    for n in kept:
        if n is None:
            wave += "|"
            continue
        sample = samples[n]
        # An item that was taken is followed by another one, even if that is equal.
        if (
            before is not None
            and sample.wave == before.wave
            and sample.words == before.words
            and not before.event
        ):
            wave += "."
        else:
            wave += sample.wave
            if sample.wave in (_TAKEN, _WAITS):
                data.append(sample.words)
        before = sample
    return wave, data


def record(scene: Scene) -> dict[str, Any]:
    """Play ``scene``; the WaveJSON of it.

    Errors: ``AssertionError`` if an arrow is from or to an event that there is not, or a stream breaks a
    rule.
    """
    columns: list[tuple[_Sample, ...]] = []
    bench = scene.bench()
    bench.each_cycle(lambda: columns.append(tuple(_sample(bench, lane) for lane in scene.lanes)))
    bench.run(lambda running: scene.play(running, columns.clear))
    happens = [n for line in zip(*columns, strict=True) for n in _events(line)]
    assert happens, f"nothing happens in {scene.title!r}"
    columns = columns[: max(happens) + scene.rest + 1]
    lines = {lane.name: [column[n] for column in columns] for n, lane in enumerate(scene.lanes)}
    kept = _kept(columns)
    nodes: dict[str, dict[int, str]] = {name: {} for name in lines}
    edges = []
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    for arrow in scene.arrows:
        ends = []
        for name, number in (arrow.begin, arrow.end):
            found = _events(lines[name])
            assert number < len(found), f"{scene.title}: {name!r} has {len(found)} events, not {number + 1}"
            place = nodes[name]
            if found[number] not in place:
                place[found[number]] = next(letters)
            ends.append(place[found[number]])
        edges.append(f"{ends[0]}~>{ends[1]} {arrow.says}".strip())
    cycles = [str(n) for n in kept if n is not None]
    signal: list[dict[str, Any]] = [
        {"name": "cycle", "wave": "".join("|" if n is None else "=" for n in kept), "data": cycles}
    ]
    for name, samples in lines.items():
        wave, data = _wave(samples, kept)
        line: dict[str, Any] = {"name": name, "wave": wave}
        if data:
            line["data"] = data
        if nodes[name]:
            line["node"] = "".join("." if n is None else nodes[name].get(n, ".") for n in kept)
        signal.append(line)
    return {"head": {"text": scene.title}, "signal": signal, **({"edge": edges} if edges else {})}
