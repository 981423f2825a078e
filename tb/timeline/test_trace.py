"""A timeline as Perfetto reads it: every packet is of its published format, and keeps the rules of tracks.

Perfetto's own trace processor comes as a download that no registry of packages carries. What it requires of
track events is checked here, on messages that its Python package parses.
Ref: perfetto.dev, ``protos/perfetto/trace/track_event/`` (track_event.proto, track_descriptor.proto).
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as perfetto

from ringwalker_sim.engine.native import probes
from ringwalker_sim.engine.native.engine import NativeEngine
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_BLK
from ringwalker_sim.timeline.events import EventKind, event_type
from ringwalker_sim.timeline.file import load, save
from ringwalker_sim.timeline.output import write_timeline
from ringwalker_sim.timeline.recording import Recording
from ringwalker_sim.timeline.timeline import Timeline

from .test_file import _timeline

OURS = 2500
"""The field with the recorded events."""


def packets_of(path: Path) -> list[Any]:
    """The packets of a file."""
    trace = perfetto.Trace()
    trace.ParseFromString(gzip.decompress(path.read_bytes()))
    return list(trace.packet)


def unknown_fields(message: Any) -> Iterator[int]:
    """Numbers of fields that the published format does not have, at any depth."""
    yield from (field.field_number for field in UnknownFieldSet(message))
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for item in value if field.is_repeated else (value,):
                yield from unknown_fields(item)


def check(packets: list[Any]) -> dict[str, int]:
    """All that a reader of track events relies on; how many of each kind there are."""
    counts: dict[str, int] = dict.fromkeys(("slices", "instants", "counts", "tracks", "notes"), 0)
    counters, tracks, parents = set[int](), set[int](), dict[int, int]()
    names, keys = set[int](), set[int]()
    open_on, flows = dict[int, int](), set[int]()
    cleared = False
    assert list(unknown_fields(packets[0])) == [OURS]
    for packet in packets[1:]:
        assert not list(unknown_fields(packet))
        assert packet.trusted_packet_sequence_id == 1
        # Numbers for names mean something from the packet on that says so.
        cleared |= bool(packet.sequence_flags & packet.SEQ_INCREMENTAL_STATE_CLEARED)
        names |= {row.iid for row in packet.interned_data.event_names}
        keys |= {row.iid for row in packet.interned_data.debug_annotation_names}
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            assert track.uuid not in tracks
            assert track.name
            assert not track.parent_uuid or track.parent_uuid in tracks
            tracks.add(track.uuid)
            parents[track.uuid] = track.parent_uuid
            counts["tracks"] += 1
            if track.HasField("counter"):
                counters.add(track.uuid)
        if not packet.HasField("track_event"):
            continue
        event, time = packet.track_event, packet.timestamp
        assert event.track_uuid in tracks
        assert (event.type == event.TYPE_COUNTER) == (event.track_uuid in counters)
        if event.type == event.TYPE_COUNTER:
            assert event.WhichOneof("counter_value_field")
            counts["counts"] += 1
            continue
        if event.type == event.TYPE_SLICE_END:
            assert time >= open_on.pop(event.track_uuid)
            continue
        assert cleared
        assert packet.sequence_flags & packet.SEQ_NEEDS_INCREMENTAL_STATE
        assert event.name_iid in names
        for note in event.debug_annotations:
            assert note.name_iid in keys
            assert note.WhichOneof("value")
            counts["notes"] += 1
        if event.type == event.TYPE_SLICE_BEGIN:
            assert event.track_uuid not in open_on
            open_on[event.track_uuid] = time
            flows.update(event.flow_ids)
            counts["slices"] += 1
        else:
            assert event.type == event.TYPE_INSTANT
            counts["instants"] += 1
    assert not open_on
    assert all(flows)  # 0 is no flow
    return counts


def test_every_packet_is_of_the_published_format(tmp_path: Path) -> None:
    """And names, tracks and counters are there before they are used."""
    save(_timeline(), tmp_path / "a")
    counts = check(packets_of(tmp_path / "a"))
    assert min(counts.values()) > 3, counts


def test_a_packet_that_breaks_a_rule_is_noticed(tmp_path: Path) -> None:
    """The check itself: a name of nobody, a track of nobody, a slice that does not end, a field of nobody."""
    save(_timeline(), tmp_path / "a")
    for spoil in (
        lambda event: setattr(event, "name_iid", 999),
        lambda event: setattr(event, "track_uuid", 999),
        lambda event: setattr(event, "type", event.TYPE_INSTANT),
        lambda event: event.MergeFromString(b"\x82\xfa\x01\x01x"),
    ):
        packets = packets_of(tmp_path / "a")
        spoil(next(p.track_event for p in packets if p.track_event.type == p.track_event.TYPE_SLICE_BEGIN))
        with pytest.raises((AssertionError, KeyError)):
            check(packets)


class _Host:
    link_bytes_per_cycle = 2.0


class _Engine:
    """As much of an engine as is written of one: it has ``count`` events, and records ``most``."""

    config, host = SMALL_BLK, _Host()

    def __init__(self, count: int, most: int):
        self.left = min(count, most)
        self.recording = Recording(lambda: 900, lambda: self.left, self._take, most)

    def _take(self, block: np.ndarray) -> None:
        self.left = 0
        block[:] = np.zeros(len(block), event_type)
        block["begin"], block["end"] = np.arange(len(block)), np.arange(len(block)) + 1
        block["kind"] = EventKind.UP_REQUEST


@pytest.mark.parametrize("count", [99, 100, 150])
def test_a_recording_that_was_cut_says_so(
    count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, in the file for Python, and on a track of its own; a whole one says nothing."""
    engine = _Engine(count, 100)
    for number in range(50):  # a driver in Python goes on, and is not what the limit is about
        engine.recording.taken(0, number, 0)
    path, unwritten = tmp_path / "run.pftrace", list[str]()
    write_timeline(engine, path, unwritten)
    said, timeline = capsys.readouterr().err, load(path)
    check(packets_of(path))
    tracks = [p.track_descriptor.name for p in packets_of(path)]
    assert not unwritten
    if count < 100:
        assert (said, timeline.complete) == ("", True)
        assert "Recording ends early" not in tracks
        return
    assert "the recording ended at cycle 100, after 100 events; what came later is not in it" in said
    assert said.startswith(f"ringwalker: {path}: ")
    assert said.count("\n") == 1
    assert not timeline.complete
    assert "Recording ends early" in tracks


@pytest.mark.slow
def test_an_engine_records_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the engine's own: what comes later is not kept."""
    monkeypatch.setattr(probes, "MOST_EVENTS", 5)
    with NativeEngine(SMALL_BLK, GuestMemory(1 << 16), timeline=True) as engine:
        assert engine.recording is not None
        assert engine.recording.complete()
        for offset in range(0, 40, 4):
            engine.config_read(offset, 4)
        events = engine.recording.events()
        assert len(events) <= 5


def test_a_timeline_without_that_knowledge_is_whole() -> None:
    """Files from before there was a limit to tell of."""
    assert Timeline(np.zeros(0, event_type), {"clock_mhz": 250}).complete
