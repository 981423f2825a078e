"""Each folder of ``examples`` works from a wheel, in an empty folder, by the commands of its README."""

import os
import shutil
from pathlib import Path

import pytest

from ringwalker_sim.testing.installed import Installed, shell_blocks
from ringwalker_sim.toolchain import ToolError
from ringwalker_sim.vm.setup import guest_setup

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDERS = sorted(path.parent.name for path in EXAMPLES.glob("*/README.md"))
NEEDS = ("qemu",)
SECONDS = 900


def test_only_blocks_in_sh_are_commands() -> None:
    page = "a\n```sh qemu\none\n\ntwo\n```\n```\nthree\n```\n```toml\nx = 1\n```\n```sh\nfour\n```\n"
    assert shell_blocks(page) == [(["qemu"], "one\n\ntwo\n"), ([], "four\n")]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_readme_has_commands(name: str) -> None:
    blocks = shell_blocks((EXAMPLES / name / "README.md").read_text())
    assert blocks
    assert {word for words, _ in blocks for word in words} <= set(NEEDS)


def test_every_example_is_in_the_list() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    assert [name for name in FOLDERS if f"({name}/README.md)" not in listed] == []


@pytest.mark.parametrize(
    ("script", "seconds", "message"),
    [
        ("echo one; false", 60, "1: one\n"),
        ("sleep 600 & echo two; exit 3", 60, "3: two\n"),
        ("sleep 600", 0.2, "not done in 0.2 s"),
    ],
)
def test_a_command_that_fails_or_hangs_is_over(
    tmp_path: Path, script: str, seconds: float, message: str
) -> None:
    here = Installed(Path(os.devnull).parent)
    with pytest.raises(AssertionError, match=message):
        here.run("bash", "-c", script, cwd=tmp_path, timeout=seconds)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_an_example_runs_by_its_readme(name: str, installed: Installed, tmp_path: Path) -> None:
    folder = tmp_path / name
    hidden = shutil.ignore_patterns("__pycache__", "sim_build", "build", ".*", "*.fst")
    shutil.copytree(EXAMPLES / name, folder, ignore=hidden)
    blocks = shell_blocks((folder / "README.md").read_text())
    if any("qemu" in words for words, _ in blocks):
        try:
            guest_setup(fetch=os.environ.get("RINGWALKER_FETCH", "1") != "0")
        except ToolError as error:
            pytest.skip(f"no QEMU for this example: {error}")
    script = "set -eux\n" + "".join(text for _, text in blocks)
    print(installed.run("bash", "-c", script, cwd=folder, timeout=SECONDS))
