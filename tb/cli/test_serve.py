"""The command ``serve``: what it refuses, and a whole life of it."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ringwalker.config import ConfigError
from ringwalker_sim.cli import main as cli
from ringwalker_sim.cli.serve import _devices
from ringwalker_sim.vfio_user.client import Client
from ringwalker_sim.vfio_user.protocol import Region

BUILD_SECONDS = 600.0
"""What compiling a device may take on a busy machine."""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.img", "b.img"):
        Path(name).write_bytes(bytes(8192))
    Path("a.vdi").write_bytes(bytes(64) + b"\x7f\x10\xda\xbe" + bytes(4096))
    os.mkfifo("pipe")


def parse(*arguments: str) -> argparse.Namespace:
    return cli.build_parser().parse_args(["serve", *arguments])


def test_one_device_with_everything() -> None:
    (device,) = _devices(
        parse(
            *("--socket", "s", "--image", "a.img", "--read-only", "--queues", "2", "--latency", "9"),
            *("--waves", "w.fst", "--waves-from", "7", "--waves-last", "1k", "--waves-on-error"),
        )
    )
    assert (device.socket, device.image, device.read_only) == ("s", "a.img", True)
    assert device.config.queues == 2
    assert device.config.identity.preset == "oasis"
    assert device.parameters.latency == 9
    assert device.parameters.max_payload == device.config.max_payload
    assert vars(device.waves) == {"path": "w.fst", "first": 7, "last": 1000, "on_error": True}


def test_several_devices_have_sockets_of_their_own() -> None:
    devices = _devices(
        parse("--device", "blk,image=a.img,read-only", "--device", "blk,image=b.img,socket=mine,waves=b.fst")
    )
    assert [device.socket for device in devices] == ["ringwalker.sock.0", "mine"]
    assert [device.image for device in devices] == ["a.img", "b.img"]
    assert [device.read_only for device in devices] == [True, False]
    assert devices[0].waves is None
    assert devices[1].waves.path == "b.fst"


def test_a_comma_in_a_name_is_doubled() -> None:
    (device,) = _devices(parse("--device", "blk,image=a,,b.img,socket=,,,,s,,,read-only,format=raw"))
    assert (device.image, device.socket) == ("a,b.img", ",,s,")
    assert (device.read_only, device.raw) == (True, True)
    (device,) = _devices(parse("--device", "blk,image=a.img"))
    assert not device.raw


def test_the_identity_is_what_is_asked_for() -> None:
    Path("c.toml").write_text('[identity]\npreset = "2007"\n')
    for arguments, preset in (
        (("--preset", "2007"), "2007"),
        (("--config", "c.toml"), "2007"),
        (("--config", "c.toml", "--preset", "oasis"), "oasis"),
    ):
        (device,) = _devices(parse("--image", "a.img", *arguments))
        assert device.config.identity.preset == preset


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--device", "blk,colour=red"], "'colour=red' is not one of image=..., socket=..."),
        (["--device", "blk,image="], "'image=' is not one of"),
        (["--device", "blk,read-only=yes"], "'read-only=yes'"),
        (["--device", "blk,image=a,b.img"], "'b.img' is not one of image=..., socket=..."),
        (["--device", "blk,image=a.img,format=qcow2"], "format is 'qcow2'; it must be raw"),
        (["--image", "pipe"], "pipe: is a pipe; it must be a file or a block device"),
        (
            ["--image", "a.vdi"],
            "a.vdi: is a VDI image, not a raw image; convert it with qemu-img",
        ),
        (
            ["--device", "blk,image=a.img", "--device", "blk,image=b.img", "--image", "a.img"],
            "for one device",
        ),
        (["--device", "blk,image=a.img", "--device", "blk,image=./a.img"], "given to two devices"),
        (
            ["--device", "blk,image=a.img,socket=s", "--device", "blk,image=b.img,socket=s"],
            "socket s is given",
        ),
        (["--image", "a.img", "--waves", "w.vcd"], "must end with .fst"),
        (["--image", "a.img", "--waves", "no/w.fst"], "there is no folder no"),
        (["--image", "a.img", "--waves", "w.fst", "--waves-last", "2"], "last is 2"),
        (["--image", "a.img", "--waves-last", "200"], "--waves-last needs --waves"),
        (["--image", "a.img", "--socket", "no/s"], "there is no folder no"),
        (["--image", "a.img", "--stats-json", "no/s"], "there is no folder no"),
        (["--image", "absent.img"], "absent.img: No such file"),
        (["--image", "a.img", "--socket", "b.img"], "b.img: the path exists and is no socket"),
        (["--image", "a.img", "--socket", "x" * 120], "too long"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", *arguments]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert len(error.strip().splitlines()) == 1


def test_a_function_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="'disk'"):
        _devices(parse("--device", "disk,image=a.img"))


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the block, however that ends."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(path: Path, process: subprocess.Popen[Any]) -> None:
    for _ in range(int(10 * BUILD_SECONDS)):
        if path.is_socket():
            return
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.1)
    raise AssertionError(f"{path} does not appear")


@pytest.mark.parametrize("way", ["closed", "full"])
def test_it_goes_on_when_nobody_takes_its_log(way: str) -> None:
    command = [sys.executable, "-m", "ringwalker_sim.cli.main", "serve", "--stats-json", "stats.json"]
    command += ["--data-width", "64", "--image", "a.img", "--socket", "s", "-v"]
    with open("/dev/full", "w") as full:
        with subprocess.Popen(command, stderr=subprocess.PIPE if way == "closed" else full) as process:
            try:
                if process.stderr is not None:
                    process.stderr.close()
                wait_for(Path("s"), process)
                for _ in range(2):
                    with Client("s", timeout_s=5) as client:
                        assert client.read(Region.CONFIG, 0, 4) == bytes.fromhex("f41a4210")
                os.kill(process.pid, signal.SIGHUP)
                assert process.wait(20) == 0
            finally:
                process.kill()
    assert json.loads(Path("stats.json").read_text())["devices"][0]["peers"] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(number: int) -> None:
    command = [sys.executable, "-m", "ringwalker_sim.cli.main", "serve", "--stats-json", "stats.json"]
    command += ["--data-width", "64"]
    devices = ["--device", "blk,image=a.img", "--device", "blk,image=b.img"]
    with running([*command, *devices, "--socket", "s"]) as process:
        for name in ("s.0", "s.1"):
            wait_for(Path(name), process)
            # A device that can be seen answers.
            with Client(name, timeout_s=5) as client:
                assert client.read(Region.CONFIG, 0, 4) == bytes.fromhex("f41a4210")
        busy = subprocess.run([*command, "--image", "a.img"], capture_output=True, text=True, check=False)
        assert busy.returncode == 2
        assert "a.img: another process is using the image" in busy.stderr
        os.kill(process.pid, number)
        assert process.wait(20) == 0
        assert process.stderr is not None
        log = process.stderr.read()
    assert "peer connected" in log
    assert not Path("s.0").exists()
    assert not Path("s.1").exists()
    figures = json.loads(Path("stats.json").read_text())
    assert [item["config_reads"] for item in figures["devices"]] == [1, 1]
    assert [item["image"] for item in figures["devices"]] == ["a.img", "b.img"]
    assert [item["error"] for item in figures["devices"]] == [None, None]
