"""The wheel built from the tree works on its own, from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder)
    _run(sys.executable, "-m", "pip", "wheel", *options, ROOT, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_has_every_file_of_both_packages(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    tracked = _run("git", "ls-files", "rtl/ringwalker", "sim/ringwalker_sim", cwd=ROOT).split()
    assert tracked
    missing = {path for path in tracked if path.partition("/")[2] not in packed}
    assert not missing


def test_installed_wheel_runs_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    _run(
        sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", site, wheel, cwd=elsewhere
    )
    where = _run(
        sys.executable,
        "-c",
        "import ringwalker, ringwalker_sim; print(ringwalker.__file__, ringwalker_sim.__file__)",
        cwd=elsewhere,
        PYTHONPATH=str(site),
    ).split()
    assert all(Path(path).is_relative_to(site) for path in where), where
    command = site / "bin" / "ringwalker"
    assert "blk" in _run(sys.executable, command, "run", "--help", cwd=elsewhere, PYTHONPATH=str(site))
    checks = _run(sys.executable, command, "conform", "--list", cwd=elsewhere, PYTHONPATH=str(site))
    assert "reset_clears_status" in checks, "tables of clauses are in the wheel"
    _run(sys.executable, command, "verilog", "-o", "out", cwd=elsewhere, PYTHONPATH=str(site))
    assert "\nmodule ringwalker_blk_256(" in (elsewhere / "out" / "ringwalker_blk_256.v").read_text()
