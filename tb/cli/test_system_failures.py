"""What the system refuses a command before anything is simulated: memory, the compiler, the cache."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ringwalker_sim.cli import main as cli
from ringwalker_sim.engine.native import compiling
from ringwalker_sim.testing.devices import SMALL_BLK

WORDS = ["run", "blk", "--config", "narrow.toml", "--image", "a.img", "--requests", "5"]

LITTLE_MEMORY = """
import resource, sys
import ringwalker_sim.engine.native.engine, ringwalker_sim.workload.block_task
from ringwalker_sim.cli.main import main

used = 4096 * int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (used + (int(sys.argv[1]) << 20),) * 2)
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("narrow.toml").write_text(SMALL_BLK.to_toml())
    Path("a.img").write_bytes(bytes(1 << 16))


@pytest.mark.parametrize(
    ("megabytes", "message"),
    [
        (16, "cannot map 67108864 bytes: Cannot allocate memory"),
        (67, "there is not enough memory"),
    ],
)
def test_too_little_memory_is_one_line(megabytes: int, message: str) -> None:
    # Of no other test, which might be building it: this one would say that it waits.
    Path("narrow.toml").write_text(replace(SMALL_BLK, queue_size=64).to_toml())
    command = [sys.executable, "-c", LITTLE_MEMORY, str(megabytes), *WORDS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"ringwalker: {message}")
    assert done.stderr.count("\n") == 1, done.stderr


def test_python_that_has_no_memory_to_say_so_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def starved(_options: object) -> int:
        raise SystemError("error return without exception set")

    monkeypatch.setattr(cli.lspci, "run", starved)
    assert cli.main(["lspci"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ringwalker: there is not enough memory, or Python has failed: error return")


@pytest.mark.parametrize(
    "refused",
    [RuntimeError("can't start new thread"), MemoryError(), SystemError("returned NULL"), OSError(12, "no")],
)
def test_what_is_refused_to_work_beside_is_left_to_whoever_needs_it(refused: Exception) -> None:
    def build() -> None:
        raise refused

    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda args: said.append(repr(args.exc_value)))
        with compiling.built_meanwhile(build):
            pass
    assert said == []


def test_a_missing_compiler_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiling.compiler.cache_clear()
    try:
        assert cli.main(WORDS) == 1
    finally:
        compiling.compiler.cache_clear()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ringwalker: the C++ compiler no-such-compiler was not found; on Debian: sudo apt")


def test_a_cache_that_cannot_be_used_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RINGWALKER_CACHE", "a.img/cache")
    assert cli.main(WORDS) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ringwalker: the cache a.img/cache cannot be used: Not a directory; RINGWALKER_")


def test_a_missing_mke2fs_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ringwalker_sim.workload.images.shutil.which", lambda _name, path: None)
    assert cli.main(["run", "blk"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ringwalker: mke2fs is not installed; install e2fsprogs (apt install e2fsprogs)")
