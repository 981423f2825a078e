"""A timeline as a file: a trace that Perfetto reads, and the events again."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as perfetto

from ringwalker.outputs import OutputError
from ringwalker_sim.errors import DataError
from ringwalker_sim.timeline.events import EventKind, event_type
from ringwalker_sim.timeline.file import load, save
from ringwalker_sim.timeline.packets import field, fill, message, number
from ringwalker_sim.timeline.timeline import DOWN, UP, Timeline
from ringwalker_sim.timeline.tracks import rows_of

from .test_requests import _device, _driver, _events

ABOUT = {"clock_mhz": 250, "link_bytes_per_cycle": 2.0, "function": "blk", "data_width": 64}


def _timeline() -> Timeline:
    both = [
        *_driver(90, 92, 190, 5, 1),
        *_driver(90, 92, 200, 6, 2),
        *_device(100, 5, 1),
        *_device(110, 6, 2),
    ]
    tlps = [
        (119, EventKind.UP_REQUEST, {"queue": 0, "id": 7, "bytes": 64, "wire": 24, "begin": 111}),
        (130, EventKind.DOWN_COMPLETION, {"id": 7, "bytes": 64, "number": 64, "wire": 84, "begin": 122}),
        (160, EventKind.STORAGE, {"begin": 140, "id": 1, "bytes": 512}),
    ]
    return Timeline(_events(*both, *tlps), ABOUT)


def _trace(path: Path) -> perfetto.Trace:
    trace = perfetto.Trace()
    trace.ParseFromString(gzip.decompress(path.read_bytes()))
    return trace


def test_events_come_back(tmp_path: Path) -> None:
    """What was saved is loaded: events, and what is known of the run."""
    saved = _timeline()
    save(saved, tmp_path / "a")
    loaded = load(tmp_path / "a")
    assert (loaded.events == saved.events).all()
    assert loaded.about == ABOUT
    assert len(loaded.requests) == 2


def test_tracks_of_a_trace(tmp_path: Path) -> None:
    """Slices begin and end on their track, one at a time; times are in nanoseconds."""
    save(_timeline(), tmp_path / "a")
    trace = _trace(tmp_path / "a")
    names = {
        p.track_descriptor.uuid: p.track_descriptor.name
        for p in trace.packet
        if p.HasField("track_descriptor")
    }
    words = {n.iid: n.name for p in trace.packet for n in p.interned_data.event_names}
    assert {"Guest driver", "Doorbells", "Ring walker", "Used ring", "Interrupts"} <= set(names.values())
    assert {"Link from the device", "Link to the device", "Storage"} <= set(names.values())
    open_on: dict[int, int] = {}
    seen = []
    for packet in (p for p in trace.packet if p.HasField("track_event")):
        event, time = packet.track_event, packet.timestamp
        assert event.track_uuid in names
        if event.type == event.TYPE_SLICE_BEGIN:
            assert event.track_uuid not in open_on
            open_on[event.track_uuid] = time
            seen.append((names[event.track_uuid], words[event.name_iid], time))
        elif event.type == event.TYPE_SLICE_END:
            assert time >= open_on.pop(event.track_uuid)
    assert not open_on
    assert ("ring entry", "ring entry", 4 * 110) in seen
    assert ("TLPs", "memory read", 4 * 111) in seen


def test_arrows_lead_from_the_first_event_to_the_last(tmp_path: Path) -> None:
    """All segments of a request carry its flow, from the driver to the driver."""
    save(_timeline(), tmp_path / "a")
    events = [p.track_event for p in _trace(tmp_path / "a").packet if p.HasField("track_event")]
    flows = [flow for event in events for flow in event.flow_ids]
    segments = _timeline().segments
    assert {flow: flows.count(flow) for flow in set(flows)} == {
        n + 1: int((row > 0).sum()) for n, row in enumerate(segments)
    }


def test_occupancy_and_reads_in_flight() -> None:
    """Bytes count in the window in which a TLP ends; a read is in flight until its last completion."""
    timeline = _timeline()
    assert timeline.occupancy(UP, 64).tolist() == [0, 24, 0, 0]
    assert timeline.occupancy(DOWN, 64).tolist() == [0, 0, 84, 0]
    times, values = timeline.reads_in_flight
    assert (times.tolist(), values.tolist()) == ([119, 130], [1, 0])


@pytest.mark.parametrize("ordered", [True, False])
def test_intervals_of_a_row_do_not_overlap(ordered: bool) -> None:
    """There are as many rows as intervals that are open at once, whatever order they end in."""
    rng = np.random.default_rng(3)
    begin = np.sort(rng.integers(0, 1000, 300))
    end = begin + rng.integers(1, 60, 300)
    if ordered:
        end = np.maximum.accumulate(end)
    rows = rows_of(begin, end)
    for row in np.unique(rows):
        mine = rows == row
        assert (end[mine][:-1] <= begin[mine][1:]).all()
    most = max(int(((begin <= time) & (end > time)).sum()) for time in begin)
    assert rows.max() + 1 == most


def test_packets_of_a_fixed_length() -> None:
    """A number keeps its width, however small it is."""
    parts = message(3, field(1, 5), number(2, "n", 3))
    rows = fill(parts, 2, {"n": [1, 1 << 20]})
    assert [bytes(row).hex() for row in rows] == ["1a06080510818000", "1a06080510808040"]


def test_what_is_no_timeline(tmp_path: Path) -> None:
    """A file that is something else, is cut, or is not there, is named in the error."""
    (tmp_path / "text").write_text("no timeline")
    save(Timeline(np.zeros(0, event_type), ABOUT), tmp_path / "empty")
    assert len(load(tmp_path / "empty").requests) == 0
    whole = (tmp_path / "empty").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "zip").write_bytes(gzip.compress(b"\x0a\x03abc"))
    for name in ("text", "cut", "zip", "missing"):
        with pytest.raises(DataError, match=name):
            load(tmp_path / name)
    with pytest.raises(OutputError, match="cannot be written"):
        save(_timeline(), tmp_path / "no" / "folder")
