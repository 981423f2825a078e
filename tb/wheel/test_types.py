"""A user's script has types: pyright against the wheel, and nothing of the checkout."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ringwalker_sim.testing.installed import Installed

SCRIPT = """\
import asyncio

import ringwalker_sim as rw
from ringwalker.config import DeviceConfig

with rw.open("blk", image="disk.img", link="gen3x8", config=DeviceConfig(data_width=64)) as disk:
    reveal_type(disk.read(0))
    reveal_type(disk.memory.array)
    reveal_type(disk.pci.config_space())
    disk.read("first")
    disk.reed(0)

rw.open("blk", lnk="gen3x8")
card = rw.open("net", engine="model")
reveal_type(card.receive())


async def main() -> None:
    async with rw.open_async("console") as console:
        reveal_type(await console.read.aio(4))


asyncio.run(main())
"""


@pytest.mark.slow
def test_a_script_is_checked_against_the_wheel(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", installed.python, "script.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=installed.environment(), capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    shown = [item["message"].split('"')[3] for item in found if item["severity"] == "information"]
    assert [name.partition("[")[0] for name in shown] == ["bytes", "ndarray", "ConfigSpace", "bytes", "bytes"]
    lines = {
        item["range"]["start"]["line"] + 1: item["message"] for item in found if item["severity"] == "error"
    }
    assert sorted(lines) == [10, 11, 13], lines
    assert '"reed"' in lines[11]
    assert "match the provided arguments" in lines[13]
