"""Fetching into the cache, with stand-ins for Debian's package tools."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from ringwalker_sim.toolchain import ToolError
from ringwalker_sim.vm import fetch
from ringwalker_sim.vm.apt import PrivateApt, debian_archive


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with package tools that do nothing, on a machine of architecture amd64."""
    folder = tmp_path / "bin"
    for name in ("apt-get", "apt-cache", "dpkg-deb"):
        program(folder, name, "exit 0")
    program(folder, "dpkg", "echo amd64")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path / "cache"))
    return folder


def test_the_archive_is_that_of_the_machines_own_sources(tools: Path) -> None:
    lines = (
        "http://other.example/node/|nodistro|main",
        "http://mirror.example/security/|bookworm-security|main",
        "http://mirror.example/debian/|bookworm|contrib",
        "http://mirror.example/debian/|bookworm|main",
    )
    program(tools, "apt-get", "".join(f"echo '{line}'\n" for line in lines))
    assert debian_archive() == "http://mirror.example/debian/"


def test_sources_without_debian_are_said_to_be_so(tools: Path) -> None:
    program(tools, "apt-get", "echo 'http://archive.example/ubuntu/|noble|main'")
    with pytest.raises(ToolError, match=r"no Debian archive .*--qemu.*--kernel"):
        debian_archive()


def test_without_apt_the_message_says_what_to_do(tools: Path) -> None:
    (tools / "apt-get").unlink()
    with pytest.raises(ToolError, match=r"apt-get is not here: .*--qemu.*--kernel"):
        debian_archive()


def test_another_architecture_is_refused(tools: Path) -> None:
    program(tools, "dpkg", "echo riscv64")
    with pytest.raises(ToolError, match="this machine is riscv64"):
        debian_archive()


def test_an_archive_that_cannot_be_reached_is_reported_in_apts_words(tools: Path, tmp_path: Path) -> None:
    program(
        tools, "apt-get", "echo 'W: nothing much' >&2\necho 'E: Failed to fetch x  No route' >&2\nexit 100"
    )
    apt = PrivateApt(tmp_path / "apt", "http://mirror.example/debian/", ["bookworm"])
    with pytest.raises(ToolError, match=r"apt-get update failed: E: Failed to fetch x  No route"):
        apt.update()


def test_an_interrupted_fetch_is_not_taken_for_a_whole_one(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def unpack(self: PrivateApt, packages: Sequence[str], target: Path, **_how: object) -> None:
        calls.append(packages)
        (target / "usr/bin").mkdir(parents=True)
        (target / "usr/bin/half").touch()
        if len(calls) == 1:
            raise KeyboardInterrupt
        assert not (target / "boot").exists(), "the first half was left there"

    monkeypatch.setattr(fetch, "debian_archive", lambda: "http://mirror.example/debian/")
    monkeypatch.setattr(PrivateApt, "unpack", unpack)
    monkeypatch.setattr(fetch, "_check_program", lambda *_arguments: "")
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch_qemu()
    assert fetch.fetched_qemu() is None
    (next((tmp_path / "cache/vm").glob("qemu-*/")) / "boot").mkdir()
    said: list[str] = []
    fetch.fetch_qemu(said.append)
    found = fetch.fetched_qemu()
    assert found is not None
    assert found[0][0].startswith(str(tmp_path / "cache"))
    assert said, "no progress was shown"
    fetch.fetch_qemu()
    assert len(calls) == 2, "what is there was fetched again"


def test_a_program_that_does_not_run_here_is_not_kept(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack(self: PrivateApt, packages: Sequence[str], target: Path, **_how: object) -> None:
        libraries = target / "usr/lib/x86_64-linux-gnu"
        libraries.mkdir(parents=True)
        program(libraries, "ld-linux-x86-64.so.2", "echo 'wrong machine' >&2; exit 127")

    monkeypatch.setattr(fetch, "debian_archive", lambda: "http://mirror.example/debian/")
    monkeypatch.setattr(PrivateApt, "unpack", unpack)
    with pytest.raises(ToolError, match=r"does not run here: .*wrong machine"):
        fetch.fetch_qemu()
    assert fetch.fetched_qemu() is None


def test_nothing_of_the_machine_is_asked_about_its_packages(tools: Path, tmp_path: Path) -> None:
    apt = PrivateApt(tmp_path / "apt", "http://mirror.example/debian/", ["trixie", "trixie-backports"])
    settings = (tmp_path / "apt/apt.conf").read_text()
    for what in ("Dir::State", "Dir::State::status", "Dir::Cache", "Dir::Etc::sourcelist"):
        assert f'{what} "{apt.folder}/' in settings
    sources = (tmp_path / "apt/etc/sources.list").read_text().splitlines()
    assert [line.split()[2:] for line in sources] == [
        ["http://mirror.example/debian/", "trixie", "main"],
        ["http://mirror.example/debian/", "trixie-backports", "main"],
    ]
    shutil.rmtree(tmp_path / "apt")
