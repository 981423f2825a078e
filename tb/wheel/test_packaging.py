"""The wheel built from the tree works on its own, from any folder."""

import subprocess
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

from ringwalker.version import __version__
from ringwalker_sim.testing.installed import Installed

ROOT = Path(__file__).resolve().parents[2]


def test_wheel_has_every_file_of_both_packages(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    command = ["git", "ls-files", "rtl/ringwalker", "sim/ringwalker_sim"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert tracked
    missing = {path for path in tracked if path.partition("/")[2] not in packed}
    assert not missing
    assert {"ringwalker/py.typed", "ringwalker_sim/py.typed"} <= packed


def test_installed_wheel_runs_from_another_folder(installed: Installed, tmp_path: Path) -> None:
    text = "import ringwalker, ringwalker_sim; print(ringwalker.__file__, ringwalker_sim.__file__)"
    where = installed.run(installed.python, "-c", text, cwd=tmp_path).split()
    assert len(where) == 2
    assert all(Path(path).is_relative_to(installed.bin.parent) for path in where), where
    assert "blk" in installed.run("ringwalker", "run", "--help", cwd=tmp_path)
    checks = installed.run(installed.python, "-m", "ringwalker_sim", "conform", "--list", cwd=tmp_path)
    assert "reset_clears_status" in checks, "tables of clauses are in the wheel"
    installed.run("ringwalker", "verilog", "-o", "out", cwd=tmp_path)
    assert "\nmodule ringwalker_blk_256(" in (tmp_path / "out" / "ringwalker_blk_256.v").read_text()


def test_the_version_is_the_same_everywhere(wheel: Path, installed: Installed, tmp_path: Path) -> None:
    (name,) = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA")]
    metadata = Parser().parsestr(zipfile.ZipFile(wheel).read(name).decode())
    assert metadata["Version"] == __version__
    assert installed.run("ringwalker", "--version", cwd=tmp_path) == f"ringwalker {__version__}\n"
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


OTHERS = {"all", "test", "litepcie"}
"""Extras that are no part of the product: for the tests, and for one example."""


def test_all_extras_are_in_the_one_that_has_them_all() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["all"] == [f"ringwalker[{','.join(sorted(set(extras) - OTHERS))}]"]
