"""A bash completes the ``ringwalker`` command as a person types it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from ringwalker_sim.cli.completion import SHELLS, completion_script
from ringwalker_sim.cli.main import COMMANDS, build_parser, main

PROMPT = "ready> "


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (folder / shell).write_text(completion_script(build_parser(), shell))
    return folder


@pytest.fixture
def bash(scripts: Path, tmp_path: Path) -> Iterator[pexpect.spawn]:
    """A bash at whose prompt keys can be pressed, in a folder with two files."""
    (tmp_path / "disk-of-mine.img").touch()
    (tmp_path / "notes.txt").touch()
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": PROMPT, "INPUTRC": "/dev/null"}
    child = pexpect.spawn(
        "bash", ["--norc", "--noprofile", "-i"], cwd=tmp_path, env=environment, encoding="utf-8", timeout=20
    )
    child.sendline(f"bind 'set bell-style none'; PS1='{PROMPT}'; source {scripts / 'bash'}; echo so''urced")
    child.expect("sourced\r\n")
    child.expect(PROMPT)
    yield child
    child.close(force=True)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("ringwalker comp", "ringwalker completion "),
        ("ringwalker run n", "ringwalker run net "),
        ("ringwalker run blk --wave", "ringwalker run blk --waves"),
        ("ringwalker run blk --ring pac", "ringwalker run blk --ring packed "),
        ("ringwalker run blk --image dis", "ringwalker run blk --image disk-of-mine.img "),
        ("ringwalker verilog --data-width 5", "ringwalker verilog --data-width 512 "),
    ],
)
def test_bash_completes(bash: pexpect.spawn, typed: str, completed: str) -> None:
    # C-a and what follows turn the line into one that shows itself.
    bash.send(f"{typed}\t\x01printf '<%s>' '\x05'\r")
    bash.expect("\r\n<")
    bash.expect_exact(">")
    assert bash.before == completed


def test_every_command_is_completed(scripts: Path) -> None:
    names = re.findall(r"^    ([a-z-]+)(?: |$)", build_parser().format_help(), re.MULTILINE)
    assert len(names) == len(COMMANDS)
    for shell in SHELLS:
        text = (scripts / shell).read_text()
        assert not {name for name in names if name not in text}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_takes_its_script(scripts: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    done = subprocess.run([shell, "-n", scripts / shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["completion", "csh"])
    assert "bash" in capsys.readouterr().err
