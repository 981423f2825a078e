"""What is shown of a device's waves: a request's way, a line a step, then details, with names for people."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .story import LINK, MOST_ROWS, REQUESTS, STAGES, stage_name

__all__ = ["HANDSHAKE", "STEPS", "Group", "Row", "Step", "layout"]


@dataclass(frozen=True)
class Step:
    """A part of a request's way: its name, the segment of requests that it is, and the stream that ends it.

    A stream with a dot in front may be one of several ports.

    ``colour`` is one of GTKWave's: red, orange, yellow, green; blue is hard to see on black.
    """

    name: str
    segment: str
    stream: str | None
    colour: int


STEPS = (
    Step("driver adds and shows", "show", None, 2),
    Step("doorbell", "doorbell", "doorbells", 3),
    Step("visit of the queue", "schedule", "visits", 3),
    Step("available index", "available index", "snapshots", 4),
    Step("ring entry", "ring entry", "heads", 4),
    Step("descriptors", "descriptors", "chains", 4),
    Step("dispatch", "dispatch", "function.chains", 3),
    Step("payload in", "payload in", "function.readable", 3),
    Step("function", "function", ".replies", 3),
    Step("payload out", "payload out", "completed", 3),
    Step("used ring", "used ring", "used", 2),
    Step("interrupt", "interrupt", "interrupts", 1),
    Step("driver takes", "driver", None, 2),
)
"""The way of a request, in order."""

TLP_STREAMS = ("completer_request", "completer_completion", "requester_request", "requester_completion")

STORAGE_STREAMS = ("storage.commands", "storage.write_data", "storage.read_data", "storage.results")

_DEEPEST_SCOPE = 4
"""Instances below the top down to which streams are shown; what is deeper is inside a block."""


@dataclass(frozen=True)
class Row:
    """A signal to show: its path below the top, joined by dots, its width, and names of its values.

    ``name`` is how it is called, if not by its path. With ``ready`` it is the valid of a stream, and both are
    one line. ``outside``: the path begins outside the design. ``decimal``: it is a count or a position.
    """

    path: str
    width: int
    values: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    ready: str | None = None
    colour: int = 0
    outside: bool = False
    decimal: bool = False


@dataclass(frozen=True)
class Group:
    """Rows under a title; ``closed`` if they are details."""

    title: str
    rows: tuple[Row, ...]
    closed: bool = False


HANDSHAKE = {"0": "idle", "1": "idle", "2": "waits", "3": "moves"}
"""Valid and ready of a stream as one number: nothing there, something that is not taken, something taken."""

_DECIMAL = {
    "queue",
    "idx",
    "id",
    "at",
    "next",
    "span",
    "readable",
    "writable",
    "written",
    "count",
    "length",
    "total",
}
_WORDS = {
    "idx": "index",
    "id": "head descriptor",
    "at": "position in the ring",
    "next": "index that it carries",
    "carried": "carries an index",
    "span": "descriptors of it",
    "guess": "is a guess",
    "readable": "bytes to read",
    "writable": "bytes to write",
    "written": "bytes written",
}


def _handshake(stream: Mapping[str, Any], name: str, colour: int = 0) -> Row:
    return Row(stream["valid"], 1, HANDSHAKE, name, stream["ready"], colour)


def _stream_rows(stream: Mapping[str, Any], of: str, colour: int = 0) -> Iterator[Row]:
    """Handshake first, then names, then numbers, wide data last."""
    yield _handshake(stream, of, colour)
    fields = [
        Row(
            entry["signal"],
            entry["width"],
            entry.get("values", {}),
            f"{of}: {_WORDS.get(name, name.replace('_', ' '))}",
            decimal=name in _DECIMAL,
        )
        for name, entry in stream["fields"].items()
    ]
    if not fields and "payload" in stream:
        fields = [Row(stream["payload"], stream["width"], {}, f"{of}: value")]
    yield from sorted(fields, key=lambda row: (not row.values, row.width > 64, row.path))


def _port_rows(signals: Mapping[str, Any], stream: str) -> Iterator[Row]:
    for port in signals["ports"]:
        if port["path"].startswith(f"{stream}."):
            name = port["name"].removeprefix(f"{stream.replace('.', '_')}_").replace("_", " ")
            yield Row(port["name"], port["width"], port.get("values", {}), name)


def _order(row: Row) -> tuple[bool, bool, bool]:
    return (not row.path.endswith(("_valid", "_ready")), not row.values, row.width > 64)


def _told(scope: tuple[str, ...], track: str, name: str, colour: int = 0) -> Row:
    """A track of the story (:mod:`.story`)."""
    return Row(".".join((*scope, track)), 1, {}, name, colour=colour, outside=True)


def _steps(sources: list[Mapping[str, Any]]) -> Iterator[tuple[Step, list[Mapping[str, Any]]]]:
    """Each step with its streams: where a block hands on that of one inside the outermost, in each lane."""
    for step in STEPS:
        same = [
            stream
            for stream in sources
            if step.stream is not None
            and len(stream["scope"]) > 1
            and f".{stream['name']}".endswith(step.stream)
            and (step.stream.startswith(".") or stream["name"] == step.stream)
        ]
        least = min((len(stream["scope"]) for stream in same), default=0)
        yield step, [stream for stream in same if len(stream["scope"]) == least]


def _way(sources: list[Mapping[str, Any]]) -> tuple[Group, list[Group]]:
    """A line for who is in each step and one for its stream, and their details, a group a step."""
    rows, details = [], []
    for step, streams in _steps(sources):
        name = step.name
        rows.append(_told(STAGES, stage_name(step.segment), name, step.colour))
        for number, stream in enumerate(streams):
            called = f"{name} {number}" if len(streams) > 1 else name
            rows.append(_handshake(stream, f"    {called}: stream"))
            details.append(Group(f"details: {called}", tuple(_stream_rows(stream, called)), True))
    return Group("The way of a request", tuple(rows)), details


def layout(signals: Mapping[str, Any]) -> list[Group]:
    """The groups in the order in which they are shown.

    Requests, TLPs, and a request's way from doorbell to interrupt; then, closed, the details: of each step,
    TLPs, storage, the streams of each block, states.
    """
    sources = [stream for stream in signals["streams"] if stream["direction"] == "output"]

    def title(stream: Mapping[str, Any]) -> str:
        return ".".join((*stream["scope"][1:], stream["name"]))

    way, details = _way(sources)
    rows = tuple(_told(REQUESTS, f"row{row}", f"request, row {row}", 3) for row in range(MOST_ROWS))
    groups = [
        Group("Clock", (Row("clk", 1), Row("rst", 1)), True),
        Group("Requests", (_told(REQUESTS, "start", "begins", 4), _told(REQUESTS, "end", "ends", 1), *rows)),
        Group(
            "Link",
            (
                _told(LINK, "to_device", "TLPs to the device", 2),
                _told(LINK, "from_device", "TLPs from the device", 3),
            ),
        ),
        way,
        *details,
    ]
    for kind, names in (("TLP", TLP_STREAMS), ("storage", STORAGE_STREAMS)):
        for name in names:
            rows = tuple(sorted(_port_rows(signals, name), key=_order))
            if rows:
                groups.append(Group(f"{kind}: {name}", rows, True))
    for stream in sources:
        if 1 < len(stream["scope"]) <= _DEEPEST_SCOPE:
            groups.append(Group(title(stream), tuple(_stream_rows(stream, stream["name"])), True))
    states = tuple(
        Row(fsm["signal"], fsm["width"], fsm["states"], ".".join(fsm["scope"][1:])) for fsm in signals["fsms"]
    )
    if states:
        groups.append(Group("states", states, True))
    others = tuple(Row(s["signal"], s["width"], s.get("values", {})) for s in signals["signals"])
    if others:
        groups.append(Group("idle and others", others, True))
    return groups
