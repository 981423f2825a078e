"""What is built once: damaged, interrupted, killed, wanted by two, and where nothing can be written."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ringwalker_sim import toolchain
from ringwalker_sim.engine.cocotb.build import build_simulator
from ringwalker_sim.engine.native import compiling
from ringwalker_sim.toolchain import ToolError, build_once, cache_dir


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for each test."""
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def build(text: str = "good") -> bool:
    """A build of a file; whether it was made."""
    with build_once("kind", "name", ("*.txt",)) as (folder, missing):
        if missing:
            (folder / "product.txt").write_text(text)
            (folder / "other").write_text("of no importance")
    return missing


def damage(path: Path, how: str) -> None:
    if how == "cut":
        os.truncate(path, 2)
    elif how == "emptied":
        path.write_text("")
    elif how == "changed":
        path.write_text("goad")
    else:
        path.unlink()


# --- what is kept -------------------------------------------------------------------------------------------


def test_a_build_is_made_once(cache: Path) -> None:
    assert [build(), build()] == [True, False]
    (cache / "kind/name/other").unlink()
    assert not build(), "it is no product"


@pytest.mark.parametrize("how", ["cut", "emptied", "changed", "removed"])
def test_a_damaged_product_is_made_again_and_nobody_who_uses_it_is_disturbed(cache: Path, how: str) -> None:
    build()
    path = cache / "kind/name/product.txt"
    with path.open() as used:
        damage(path, how)
        left = path.read_text() if path.exists() else "good"
        assert [build(), build()] == [True, False]
        assert path.read_text() == "good"
        assert used.read() == left, "it was written over"


@pytest.mark.parametrize("content", ["{", "[]", '{"product.txt": 3}'])
def test_a_damaged_list_of_products_is_no_list(cache: Path, content: str) -> None:
    build()
    (cache / "kind/name/.done").write_text(content)
    assert [build(), build()] == [True, False]


def test_an_interrupted_build_is_started_over_in_an_empty_folder(cache: Path) -> None:
    def build_half() -> None:
        with build_once("kind", "name") as (folder, _missing):
            (folder / "half").write_text("x")
            (folder / "folder").mkdir()
            (folder / "folder" / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_half()
    with build_once("kind", "name") as (folder, missing):
        assert missing
        assert list(folder.iterdir()) == []


def test_what_is_built_can_be_used_where_nothing_can_be_written(cache: Path) -> None:
    build()
    lock = cache / "kind/name.lock"
    lock.unlink()
    lock.mkdir()  # nobody can open it, not even root
    assert not build()
    (cache / "kind/name/product.txt").unlink()
    with pytest.raises(ToolError, match=r"the cache .* cannot be used: Is a directory; RINGWALKER_CACHE"):
        build()


def test_a_cache_that_cannot_be_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(ToolError, match=r"file/cache cannot be used: Not a directory; RINGWALKER_CACHE"):
        cache_dir()


def test_somebody_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("RINGWALKER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(ToolError, match=r"home directory.*RINGWALKER_CACHE"):
        cache_dir()


def test_a_full_disk_is_said_of_the_folder(cache: Path) -> None:
    def fill() -> None:
        with build_once("kind", "name"):
            with open("/dev/full", "w") as full:
                full.write("x" * 100_000)

    with pytest.raises(OSError, match="No space") as caught:
        fill()
    assert caught.value.filename == str(cache / "kind/name")


# --- several processes --------------------------------------------------------------------------------------


def run_script(text: str) -> "subprocess.Popen[str]":
    """A Python process, in a session of its own."""
    command = [sys.executable, "-c", f"from ringwalker_sim.toolchain import *\n{text}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_who_wants_what_another_process_builds_waits_and_is_told() -> None:
    script = """
import time
with build_once("kind", "name", ("*.txt",)) as (folder, missing):
    (folder / "product.txt").write_text("theirs")
    print("building", flush=True)
    time.sleep(0.5)
"""
    with run_script(script) as other:
        assert line_of(other) == "building"
        told: list[bool] = []
        with build_once("kind", "name", ("*.txt",), lambda: told.append(True)) as (folder, missing):
            assert (folder / "product.txt").read_text() == "theirs"
    assert (told, missing) == ([True], False)


def test_what_a_killed_build_has_left_running_ends_before_the_next_attempt(cache: Path) -> None:
    """A compiler that outlives the process that started it would write into the folder of the next one."""
    script = """
import os, pathlib
with build_once("kind", "name") as (folder, missing):
    print("building", flush=True)
    run_program(["sh", "-c", "echo $$ > pid; sleep 1; echo late > late"], folder, os.environ)
"""
    with run_script(script) as other:
        assert line_of(other) == "building"
        wait_for(lambda: (cache / "kind/name/pid").exists())
        other.kill()
    begin = time.monotonic()
    with build_once("kind", "name") as (folder, missing):
        assert missing
        assert time.monotonic() - begin > 0.5
        time.sleep(0.2)
        assert list(folder.iterdir()) == []


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def fake_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """A compiler that says its version, and does ``body`` otherwise."""
    path = folder / "c++"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo fake && exit\n{body}\n')
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None if name == "ccache" else str(path))
    compiling.compiler.cache_clear()
    return path


UNITS = [compiling.Unit(f"unit{n}", ("a.cpp",), ()) for n in range(4)]


@pytest.fixture
def work(tmp_path: Path):
    """A folder to compile in. The compiler is the usual one afterwards."""
    (tmp_path / "work").mkdir()
    yield tmp_path / "work"
    compiling.compiler.cache_clear()


def test_an_interrupted_build_leaves_no_compiler_running(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_compiler(work, monkeypatch, "sleep 60 & echo $$ $! > $4.pids; wait")
    began = time.monotonic()

    def interrupt() -> None:
        wait_for(lambda: len(list(work.glob("*.pids"))) >= 2)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        compiling.compile_units(work, UNITS, (), lambda _text: None)
    thread.join()
    assert time.monotonic() - began < 20
    pids = [int(pid) for path in work.glob("*.pids") for pid in path.read_text().split()]
    assert len(pids) >= 4
    wait_for(lambda: all(gone(pid) for pid in pids))


def test_one_file_that_does_not_compile_ends_the_others(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_compiler(work, monkeypatch, '[ "$2" = unit0.unit.cpp ] && echo "an error" >&2 && exit 1; sleep 60')
    began = time.monotonic()
    with pytest.raises(ToolError, match="an error"):
        compiling.compile_units(work, UNITS, (), lambda _text: None)
    assert time.monotonic() - began < 20


def test_an_interrupted_build_for_cocotb_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (make := tmp_path / "make").write_text(f"#!/bin/sh\nsleep 60 & echo $$ $! > {tmp_path}/pids; wait\n")
    make.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def interrupt() -> None:
        wait_for(lambda: (tmp_path / "pids").exists() and bool((tmp_path / "pids").read_text()))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    verilog = "module m(input clk, output reg q); always @(posedge clk) q <= ~q; endmodule\n"
    with pytest.raises(KeyboardInterrupt):
        build_simulator(verilog, "m")
    thread.join()
    wait_for(lambda: all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split()))


# --- compilers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("kill -9 $$", "it was ended by SIGKILL; is there too little memory?"),
        ("kill -11 $$", "it was ended by SIGSEGV"),
        ('echo "cc1plus: error: x" >&2; exit 1', "failed.log: cc1plus: error: x"),
        (
            'echo "an error first" >&2; echo "/tmp/x.s: No space left on device" >&2; exit 1',
            "failed.log: /tmp/x.s: No space left on device",
        ),
        ("exit 1", "no message"),
    ],
)
def test_a_compiler_that_fails_is_quoted(
    work: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    fake_compiler(work, monkeypatch, body)
    with pytest.raises(ToolError) as caught:
        compiling.compile_units(work, UNITS[:1], (), lambda _text: None)
    assert str(caught.value).startswith("compiling a.cpp failed")
    assert str(caught.value).endswith(message)


def test_a_compiler_that_is_no_program_is_named(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_compiler(work, monkeypatch, "").write_bytes(b"\0\1\2\3 neither")
    with pytest.raises(ToolError, match=r"c\+\+ does not run: Exec format error"):
        compiling.compiler()


def test_programs_are_ended_at_once_and_say_what_they_had_to() -> None:
    done = toolchain.run_program(["sh", "-c", "echo out; echo err >&2; exit 3"], Path("/"), os.environ)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_a_library_that_is_none_is_an_error_of_tools(tmp_path: Path) -> None:
    from ringwalker_sim.engine.native.library import load

    assert ctypes.sizeof(ctypes.c_void_p) == 8
    path = tmp_path / "lib.so"
    path.write_bytes(b"\x7fELF")
    with pytest.raises(ToolError, match=r"the model cannot be loaded: .*lib.so"):
        load(path, ())
