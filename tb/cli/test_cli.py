"""The command line, on the engine that needs no hardware."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ringwalker_sim.cli import main as cli
from ringwalker_sim.disk_image import DiskImage

SECTORS = 256


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def image(name: str = "disk.img", sectors: int = SECTORS, seed: int = 1) -> Path:
    path = Path(name)
    path.write_bytes(np.random.default_rng(seed).integers(0, 256, sectors * 512, np.uint8).tobytes())
    return path


def run(*arguments: str) -> int:
    """Exit code of ``ringwalker run blk`` on the engine without hardware."""
    return cli.main(["run", "blk", "--engine", "model", *arguments])


def test_read_all_copies_the_disk() -> None:
    disk = image()
    assert run("--image", "disk.img", "--read-all", "out.img") == 0
    assert Path("out.img").read_bytes() == disk.read_bytes()


def test_write_all_copies_onto_the_disk() -> None:
    disk, new = image(), image("new.img", SECTORS // 2, seed=2)
    tail = disk.read_bytes()[len(new.read_bytes()) :]
    assert run("--image", "disk.img", "--write-all", "new.img", "--read-all", "out.img") == 0
    assert disk.read_bytes() == new.read_bytes() + tail
    assert Path("out.img").read_bytes() == disk.read_bytes()


def test_json_has_all_figures(capsys: pytest.CaptureFixture[str]) -> None:
    image()
    arguments = ("--workload", "randrw", "--requests", "50", "--block-size", "1k", "--queue-depth", "4")
    assert run("--image", "disk.img", *arguments, "--json", "-") == 0
    output = capsys.readouterr()
    result = json.loads(output.out)
    assert {
        "engine",
        "requests",
        "bytes",
        "errors",
        "cycles",
        "clock_mhz",
        "bytes_per_cycle",
        "latency_cycles",
        "tlps",
        "wall_s",
        "cycles_per_second",
    } <= set(result)
    assert (result["engine"], result["requests"], result["bytes"], result["errors"]) == (
        "model",
        50,
        51200,
        0,
    )
    assert set(result["latency_cycles"]) == {"p50", "p99", "max"}
    assert "bytes a cycle" in output.err, "the table goes where the JSON does not"


def test_the_table_is_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    image()
    assert run("--image", "disk.img", "--json", "run.json") == 0
    text = capsys.readouterr().out
    for word in ("requests", "bytes a cycle", "latency p99", "cycles a second", "memory_write"):
        assert word in text
    assert json.loads(Path("run.json").read_text())["requests"] == 1000


def test_options_reach_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.toml").write_text('queues = 2\nqueue_size = 8\n[blk]\nserial = "abc"\nblock_size = 1024\n')
    image()
    options = ("--config", "my.toml", "--queues", "3", "--preset", "oasis", "--interrupt", "intx")
    assert run("--image", "disk.img", *options, "--queue-depth", "6", "--requests", "20", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["serial"] == "abc"
    assert run("--image", "disk.img", *options, "--queue-depth", "7") == 2
    assert "queue depth is 7; 3 queue(s) of 8 entries hold at most 6" in capsys.readouterr().err


def test_a_default_image_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--requests", "10") == 0
    assert "made ringwalker-run/disk.img" in capsys.readouterr().err
    content = Path("ringwalker-run/disk.img").read_bytes()
    assert content[1080:1082] == b"\x53\xef", "the magic number of ext4"
    assert b"# How the device is built" in content


def test_a_reading_workload_needs_no_right_to_write() -> None:
    disk = image()
    disk.chmod(0o444)
    with DiskImage(disk, read_only=True):
        assert run("--image", "disk.img", "--workload", "randread", "--requests", "10") == 0


def test_what_looks_like_another_format_can_be_meant() -> None:
    image()
    content = b"QFI\xfb\0\0\0\3" + Path("disk.img").read_bytes()[8:]
    Path("disk.img").write_bytes(content)
    assert run("--image", "disk.img", "--read-all", "copy.img") == 2
    assert run("--image", "disk.img", "--read-all", "copy.img", "--format", "raw") == 0
    assert Path("copy.img").read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--image", "none.img"), "none.img: No such file or directory"),
        (("--image", "empty.img"), "empty.img: the image is empty"),
        (("--image", "odd.img"), "odd.img: 700 bytes are not a multiple of 512"),
        (("--image", "disk.img", "--config", "none.toml"), "none.toml: No such file or directory"),
        (("--image", "disk.img", "--config", "bad.toml"), "bad.toml: not TOML"),
        (
            ("--image", "disk.img", "--config", "wrong.toml"),
            "wrong.toml: queues is 0; it must be an integer from 1",
        ),
        (("--image", "disk.img", "--queues", "1025"), "queues is 1025"),
        (("--image", "disk.img", "--block-size", "1000"), "block size is 1000; it must be a multiple of 512"),
        (("--image", "disk.img", "--queue-depth", "1000"), "queue depth is 1000"),
        (("--image", "disk.img", "--block-size", "1M"), "the disk has 256 sectors only"),
        (("--image", "disk.img", "--block-size", "1g"), "do not fit in"),
        (
            ("--image", "a.qcow2"),
            "is a qcow2 image, not a raw image; convert it with qemu-img convert",
        ),
        (("--image", "pipe"), "pipe: is a pipe; it must be a file or a block device"),
        (("--image", "disk.img", "--write-all", "pipe"), "--write-all pipe: is a pipe"),
        (
            ("--image", "disk.img", "--read-only", "--workload", "randrw"),
            "--read-only: --workload randrw writes",
        ),
        (("--image", "disk.img", "--read-only", "--write-all", "big.img"), "--read-only: --write-all writes"),
        (("--image", "disk.img", "--write-all", "none"), "--write-all none: No such file or directory"),
        (("--image", "disk.img", "--write-all", "big.img"), "do not fit on the disk, which has 131072"),
        (("--image", "disk.img", "--write-all", "odd.img"), "700 bytes; it must be a multiple of 512"),
        (("--image", "disk.img", "--write-all", "disk.img"), "are the same file, disk.img"),
        (("--image", "disk.img", "--read-all", "disk.img"), "are the same file, disk.img"),
        (("--image", "disk.img", "--read-all", "no/out"), "--read-all no/out: there is no folder no"),
        (("--image", "disk.img", "--read-all", "."), "--read-all .: is a folder"),
        (("--image", "disk.img", "--json", "no/x.json"), "--json no/x.json: there is no folder no"),
        (("--image", "disk.img", "--engine", "native", "--waves", "x.vcd"), "the name must end with .fst"),
        (("--image", "disk.img", "--waves-during", "workload"), "it needs --waves FILE.fst"),
        (
            ("--image", "disk.img", "--engine", "native", "--waves", "x.fst", "--waves-during", "read-all"),
            "--waves-during read-all: there is no such part; add --read-all",
        ),
        (("--image", "disk.img", "--waves", "x.fst"), "--waves: a device in Python has no signals"),
        (("--image", "disk.img", "--link", "gen3x8"), "--link: the model engine has no model of the link"),
        (("--image", "disk.img", "--latency-tail-ns", "10"), "--latency-tail-ns: the model engine"),
        (("--image", "disk.img", "--clock-mhz", "2000"), "clock_mhz is 2000"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image()
    image("big.img", SECTORS + 1)
    Path("empty.img").touch()
    Path("odd.img").write_bytes(bytes(700))
    Path("a.qcow2").write_bytes(b"QFI\xfb\0\0\0\3".ljust(65536, b"\0"))
    os.mkfifo("pipe")
    Path("bad.toml").write_text("queues = = 1")
    Path("wrong.toml").write_text("queues = 0")
    before = Path("disk.img").read_bytes()
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("ringwalker: ")
    assert error.count("\n") == 1
    assert Path("disk.img").read_bytes() == before


def test_what_the_system_refuses_is_one_line_with_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lspci", "--engine", "model", "--json", "/dev/full"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "ringwalker: /dev/full: cannot be written: No space left on device\n"
    assert printed.out.startswith("01:00.0"), "what is known is shown all the same"


def test_an_image_in_use_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with DiskImage(image()):
        assert run("--image", "disk.img", "--workload", "randwrite") == 2
    assert "another process is using the image" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("run",),
        ("run", "nothing"),
        ("run", "blk", "--workload", "scan"),
        ("run", "blk", "--data-width", "100"),
        ("run", "blk", "--requests", "0"),
        ("run", "blk", "--block-size", "4q"),
        ("run", "blk", "--engine", "fast"),
        ("run", "blk", "--link", "gen9x8"),
        ("run", "blk", "--latency", "5", "--latency-ns", "5"),
        ("verilog",),
        ("waves",),
    ],
)
def test_bad_options_are_exit_code_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        cli.main(list(arguments))
    assert info.value.code == 2
    assert "usage: ringwalker" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [("run", "blk"), ("lspci",), ("verilog",), ("waves",), ("bench",), ("bench-engines",), ("bench-guest",)],
    ids=" ".join,
)
def test_help_has_examples(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        cli.main([*command, "--help"])
    assert info.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  ringwalker" in text
    assert f"ringwalker {' '.join(command)}" in text.partition("examples:")[2]


def test_wrong_data_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ringwalker_sim.golden.blk import BlkModel

    answer = BlkModel._answer

    def broken(self: BlkModel, kind: int, sector: int, data: np.ndarray, room: int) -> object:
        got, status = answer(self, kind, sector, data, room)
        return (got ^ (sector == 16), status) if len(got) == 4096 else (got, status)

    monkeypatch.setattr(BlkModel, "_answer", broken)
    image()
    assert run("--image", "disk.img", "--workload", "seqread", "--requests", "8") == 1
    error = capsys.readouterr().err
    assert "ringwalker: the run found 1 error(s):\n  sector 16 byte 0 is" in error


def test_a_device_that_fails_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ringwalker_sim.golden.ring_server import RingServer

    complete = RingServer.complete
    monkeypatch.setattr(RingServer, "complete", lambda self, request, _: complete(self, request, 10**6))
    image()
    assert run("--image", "disk.img") == 1
    error = capsys.readouterr().err
    assert "1000000 bytes were written into chain" in error
    assert error.count("\n") == 1


def test_lspci(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lspci", "--engine", "model", "--preset", "oasis", "--json", "x.json"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("01:00.0 SCSI storage controller [0100]: Virtio block device [1af4:1042]")
    (function,) = json.loads(Path("x.json").read_text())["functions"]
    assert function["header"]["vendor_id"] == 0x1AF4
    assert cli.main(["lspci", "--engine", "model", "-x"]) == 0
    assert "\n00: 00 50 02 00 " in capsys.readouterr().out
    assert cli.main(["lspci", "--engine", "model", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["functions"][0]["slot"] == "01:00.0"


def test_lspci_shows_the_function_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.toml").write_text("queues = 4\n")
    lspci = ["lspci", "--engine", "model", "--config", "my.toml"]
    assert cli.main([*lspci, "--function", "net"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("01:00.0 Ethernet controller [0200]: Virtio network device [5000:0001]")
    assert "Count=4 " in text, "the usual queues of the function, not those of the file's"
    assert cli.main([*lspci, "--function", "blk"]) == 0
    assert "Count=5 " in capsys.readouterr().out
    assert cli.main([*lspci, "--function", "net", "--queues", "4"]) == 2
    assert "queues is 4; it must be 3" in capsys.readouterr().err


def test_waves_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    Path("odd.fst").write_bytes(bytes(100))
    assert cli.main(["waves", "odd.fst"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ringwalker: odd.fst: ")
    assert error.count("\n") == 1


def test_the_output_folder_of_verilog_cannot_be_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("there").touch()
    assert cli.main(["verilog", "-o", "there"]) == 2
    assert capsys.readouterr().err == "ringwalker: there: cannot be written: File exists\n"


def test_waves_of_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["waves", "none.fst"]) == 2
    assert capsys.readouterr().err == "ringwalker: none.fst: no such file\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_one_line_and_exit_code_130(number: signal.Signals) -> None:
    image()
    arguments = ["--engine", "model", "--image", "disk.img", "--workload", "randwrite", "--requests", "100m"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ringwalker_sim.cli.main", "run", "blk", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    before = Path("disk.img").read_bytes()
    deadline = time.monotonic() + 60
    while Path("disk.img").read_bytes() == before and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, number)
    output, error = process.communicate(timeout=60)
    assert (process.returncode, error, output) == (130, "ringwalker: interrupted\n", "")
    with DiskImage("disk.img"):
        pass
