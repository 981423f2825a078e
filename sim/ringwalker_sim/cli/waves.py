"""The command ``waves``: a layout for a viewer."""

import argparse
import json
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from ..toolchain import build_once, content_hash
from ..waves.fst import read_fst_signals
from ..waves.layout import open_waves, trace_prefix, write_layout
from ..waves.note import note_of
from .options import UsageError, add_command
from .report import status_line

__all__ = ["add_parser", "run", "signal_map"]

_EXAMPLES = """\
examples:
  ringwalker run blk --workload randread --requests 50 --waves run.fst
  ringwalker waves run.fst
"""


def add_parser(commands: Any) -> None:
    """Add ``waves`` to the commands."""
    parser = add_command(commands, "waves", "open waves with a layout, or write the layout", _EXAMPLES, run)
    parser.add_argument("fst", metavar="FILE.fst", help="waves that a run has written")
    text = "configuration of the device (default: FILE.toml, which the run has left beside the waves)"
    parser.add_argument("--config", metavar="FILE.toml", help=text)


def signal_map(config: DeviceConfig) -> dict[str, Any]:
    """The generator's map of the device's signals, made once for each device."""
    from ..verilog_cache import TOP, device_verilog

    text, _ports = device_verilog(config)
    with build_once("signals", content_hash([text]), ("*.json",)) as (folder, missing):
        path = folder / "signals.json"
        if missing:
            from ringwalker.device import VirtioPciDevice
            from ringwalker.generate import verilog_and_signals

            path.write_text(json.dumps(verilog_and_signals(VirtioPciDevice(config), TOP)[1]))
        return json.loads(path.read_text())


def run(options: argparse.Namespace) -> int:
    """``ringwalker waves``."""
    fst = Path(options.fst)
    if not fst.is_file():
        raise UsageError(f"{fst}: no such file")
    try:
        traced = read_fst_signals(fst)
    except OSError as error:
        raise UsageError(f"{fst}: {error.strerror}") from None
    note = Path(options.config) if options.config else note_of(fst)
    config = DeviceConfig.from_toml(note) if options.config or note.exists() else DeviceConfig()
    with status_line("laying out the signals"):
        signals = signal_map(config)
        if trace_prefix(traced, config.verilog_name) is not None:
            # Waves of somebody's own simulation, of the Verilog that ``ringwalker verilog`` writes.
            signals["top"] = config.verilog_name
        written = write_layout(fst, signals)
    for path in written:
        print(path)
    print(open_waves(fst))
    return 0
