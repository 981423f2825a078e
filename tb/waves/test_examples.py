"""The functions of ``examples`` have their waves laid out, as the functions with a short name have."""

from pathlib import Path

from ringwalker.config import DeviceConfig
from ringwalker.function.kind import add_import_folder
from ringwalker_sim.cli.waves import signal_map
from ringwalker_sim.waves.groups import layout

add_import_folder(Path("examples/crc32").resolve())


def test_the_layout_shows_chains_bytes_replies_and_state_of_the_crc32_accelerator() -> None:
    signals = signal_map(DeviceConfig(function="crc32:KIND", data_width=64))
    groups = {group.title: {row.path: row for row in group.rows} for group in layout(signals)}
    for title, fields in {
        "core.walker.function0.chains": {"valid", "ready", "queue", "readable", "writable"},
        "core.walker.function0.readable": {"valid", "ready", "data", "count", "last", "error"},
        "core.function.chain.replies": {"valid", "ready", "data", "count", "length", "written", "done"},
    }.items():
        paths = [place for row in groups[title].values() for place in (row.path, row.ready or "")]
        shown = {path.partition("$")[0].rpartition("__")[2] for path in paths}
        assert fields <= shown, title
    state = groups["states"]["device.core.function.fsm_state"]
    assert list(state.values.values()) == ["WAIT_CHAIN", "WAIT_BYTES", "WAIT_REPLY"]
