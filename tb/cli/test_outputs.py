"""Outputs of commands that cannot be written: a line each, exit code 2, and all that is known is shown."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scapy.utils import rdpcap

from ringwalker.outputs import OutputError
from ringwalker_sim.cli import main as cli
from ringwalker_sim.cli.guest_run import _log_writer, _patient
from ringwalker_sim.golden.blk import BlkModel
from ringwalker_sim.waves.fst_join import require_whole
from ringwalker_sim.workload import disk_phases

COMMAND = (sys.executable, "-m", "ringwalker_sim.cli.main")
DOCS = Path(__file__).resolve().parents[2] / "docs"
LSPCI = ("lspci", "--engine", "model")
BLK = ("run", "blk", "--engine", "model", "--image", "disk.img", "--requests", "20")
NO_SPACE = "cannot be written: No space left on device"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("disk.img").write_bytes(np.random.default_rng(1).bytes(2 << 20))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((*BLK, "--json", "/dev/full"), "bytes a cycle"),
        ((*BLK, "--read-all", "/dev/full"), "bytes a cycle"),
        (("run", "net", "--transport", "memory", "--frames", "9", "--capture", "/dev/full"), "received"),
        (("run", "rng", "--engine", "model", "--bytes", "9", "--output", "/dev/full"), "received"),
        (("run", "console", "--transport", "memory", "--output", "/dev/full"), "received"),
        ((*LSPCI, "--json", "/dev/full"), "SCSI storage controller"),
        (("bench", "--from", str(DOCS / "performance.json"), "--json", "/dev/full"), "thousand/s"),
        (("bench", "--from", str(DOCS / "performance.json"), "--plot", "full.svg"), "thousand/s"),
        (("bench", "--from", str(DOCS / "performance.json"), "--docs", "full"), "thousand/s"),
        (("synth", "--from", str(DOCS / "synthesis.json"), "--json", "/dev/full"), "longest paths"),
        (("synth", "--from", str(DOCS / "synthesis.json"), "--docs", "full"), "longest paths"),
    ],
    ids=lambda value: " ".join(Path(word).name for word in value) if isinstance(value, tuple) else "",
)
def test_a_full_disk_is_a_line_and_the_figures_are_shown(arguments, shown, capsys):
    Path("full.svg").symlink_to("/dev/full")
    Path("full").mkdir()
    for name in ("performance.json", "performance.md", "synthesis.md"):
        (Path("full") / name).symlink_to("/dev/full")
    if arguments[0] == "synth":
        (Path("full") / "performance.json").unlink()
    assert cli.main(list(arguments)) == 2
    printed = capsys.readouterr()
    assert shown in printed.out
    assert printed.err.startswith("ringwalker: ")
    assert printed.err.endswith(f"{NO_SPACE}\n")
    assert printed.err.count("\n") == 1


def test_what_fails_is_said_beside_what_could_not_be_written(capsys, monkeypatch):
    monkeypatch.setattr(disk_phases, "unlike", lambda *_arguments: "all is wrong")
    assert cli.main([*BLK, "--read-all", "copy.img", "--json", "/dev/full"]) == 1
    error = capsys.readouterr().err
    assert f"ringwalker: /dev/full: {NO_SPACE}\n" in error
    assert "error(s):\n  all is wrong" in error


def test_a_disk_that_fills_leaves_no_part_of_a_copy(small_file_system, capsys):
    (small_file_system / "old.img").write_bytes(b"old")
    for name in ("old.img", "new.img"):
        copy = small_file_system / name
        assert cli.main([*BLK, "--read-all", str(copy), "--json", "run.json"]) == 2
        printed = capsys.readouterr()
        assert printed.err == f"ringwalker: {copy}: {NO_SPACE}\n"
        assert "bytes a cycle" in printed.out
        figures = json.loads(Path("run.json").read_text())
        assert figures["unwritten"] == [f"{copy}: {NO_SPACE}"]
        assert (figures["errors"], figures["bytes"]) == (0, 2 << 20)
    assert names(small_file_system) == ["old.img"]
    assert (small_file_system / "old.img").read_bytes() == b"old"


def test_a_disk_that_fills_leaves_no_part_of_a_capture(small_file_system, capsys):
    capture = small_file_system / "out.pcap"
    arguments = ["run", "net", "--transport", "memory", "--frames", "900", "--sizes", "1514"]
    assert cli.main([*arguments, "--capture", str(capture)]) == 2
    assert capsys.readouterr().err == f"ringwalker: {capture}: {NO_SPACE}\n"
    assert names(small_file_system) == []
    assert cli.main([*arguments[:-4], "--frames", "9", "--capture", str(capture)]) == 0
    assert len(rdpcap(str(capture))) == 9


def test_a_copy_with_sectors_that_were_not_read_is_none(capsys, monkeypatch):
    answer = BlkModel._answer
    monkeypatch.setattr(
        BlkModel,
        "_answer",
        lambda self, kind, sector, data, room: (
            answer(self, kind, sector, data, room) if sector != 256 else (np.empty(0, np.uint8), 1)
        ),
    )
    assert cli.main([*BLK, "--read-all", "copy.img"]) == 1
    error = capsys.readouterr().err
    assert "ringwalker: copy.img: not written: 65536 bytes were not read\n" in error
    assert "IN at sector 256: IOERR" in error
    assert names(Path()) == ["disk.img"]


def test_a_limit_of_the_process_is_like_a_full_disk(capsys):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        assert cli.main([*BLK, "--read-all", "copy.img"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert capsys.readouterr().err == "ringwalker: copy.img: cannot be written: File too large\n"
    assert names(Path()) == ["disk.img"]


def test_a_file_that_is_in_the_way_is_found_before_the_work(capsys):
    Path("x.fst").symlink_to("/dev/null")
    arguments = ["run", "blk", "--image", "disk.img", "--waves", "x.fst"]
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err == "ringwalker: --waves x.fst: waves are written to a regular file\n"


def test_the_log_of_a_guest_that_cannot_be_written_is_said_once():
    unwritten: list[str] = []
    with open("/dev/full", "wb", buffering=0) as file:
        write = _log_writer(file, "log.txt", lambda: None, unwritten)
        write(b"one")
        write(b"two")
    assert unwritten == [f"log.txt: {NO_SPACE}"]
    with open("log.txt", "wb", buffering=0) as file:
        _log_writer(file, "log.txt", lambda: None, unwritten)(b"all")
    assert Path("log.txt").read_bytes() == b"all"
    assert len(unwritten) == 1


def test_a_guest_outlives_the_reader_of_its_standard_error():
    def refuse(data):
        raise BrokenPipeError

    _patient(refuse)(b"said to nobody")
    written: list[bytes] = []
    _patient(written.append)(b"said")
    assert written == [b"said"]


# --- standard output --------------------------------------------------------------------------------------


def process(*arguments: str, stdout: int) -> tuple[int, str]:
    """Exit code and standard error of a command."""
    done = subprocess.run(
        [*COMMAND, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [("run", "blk", "--help"), (*BLK, "--json", "run.json")], ids=" ".join)
def test_standard_output_on_a_full_disk_is_a_line(arguments):
    with open("/dev/full", "wb") as full:
        assert process(*arguments, stdout=full.fileno()) == (2, f"ringwalker: standard output: {NO_SPACE}\n")


def test_json_on_a_full_standard_output_leaves_the_table():
    with open("/dev/full", "wb") as full:
        code, error = process(*BLK, "--json", "-", stdout=full.fileno())
    assert code == 2
    assert "bytes a cycle" in error
    assert error.endswith(f"ringwalker: standard output: {NO_SPACE}\n")


@pytest.mark.parametrize("arguments", [LSPCI, BLK], ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert process(*arguments, stdout=writer) == (141, "")
    finally:
        os.close(writer)


def test_standard_output_that_is_closed_is_a_line():
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, *LSPCI], capture_output=True, text=True, check=False
    )
    words = "ringwalker: standard output: cannot be written: Bad file descriptor\n"
    assert (done.returncode, done.stderr) == (2, words)


def test_standard_error_that_is_closed_changes_nothing():
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, *LSPCI, "--json", "/dev/full"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "SCSI storage controller" in done.stdout


# --- waves ------------------------------------------------------------------------------------------------


def test_waves_that_are_not_whole_are_removed():
    header = bytes([0]) + (329).to_bytes(8) + bytes(321)
    for content in (b"", bytes(100), header + b"\5" + (100).to_bytes(8), header[:-1]):
        Path("x.fst").write_bytes(content)
        with pytest.raises(OutputError, match=r"^run\.fst: cannot be written: "):
            require_whole("x.fst", "run.fst")
        assert not Path("x.fst").exists()
    Path("x.fst").write_bytes(header)
    require_whole("x.fst")
    assert Path("x.fst").read_bytes() == header
