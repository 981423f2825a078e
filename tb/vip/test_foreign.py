"""The example on a device in Verilog that is not ours; that it names the planted faults, its README shows."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path("examples/vip_foreign").resolve()


def test_a_foreign_device_is_driven_and_checked_behind_axi(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "run.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "PASS=1 FAIL=0" in done.stdout
    assert "used_length" in done.stdout
