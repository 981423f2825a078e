"""The command ``conform``: what it refuses, what it writes, and its exit codes."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ringwalker_sim.cli import conform_run
from ringwalker_sim.cli.main import build_parser, main
from ringwalker_sim.conform.check import Way
from ringwalker_sim.conform.suite import FAILED, PASSED, Outcome, select
from ringwalker_sim.conform.targets.target import Target
from ringwalker_sim.golden.registers import SharedRegisters

CHECK = "reset_clears_status"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no_such_check"], "no check and no clause is called 'no_such_check'"),
        (["--socket", "s", "--qemu", "virtio-rng-pci"], "one device is tested"),
        (["--socket", "s", "--function", "net"], "--function is for the built-in ones"),
        (["--qemu", "virtio-rng-pci", "--engine", "model"], "--engine is for the built-in ones"),
        (["--qemu-option", "mq=on"], "--qemu-option: it is for --qemu"),
        (["--qemu", "virtio-rng-pci", "--qemu-option", "mq"], "it is no KEY=VALUE"),
        (["--qemu", "virtio-gpu-pci"], "must be one of virtio-blk-pci"),
        (["--steps", "[", CHECK], "is no JSON"),
        (["--steps", "{}", CHECK], "is no list"),
        (["--steps", "[]", CHECK], "for one check that takes steps"),
        (["--waves", "w.fst", "--way", "split"], "of one check by one way"),
        (["--waves", "w.fst", CHECK], "of one check by one way"),
        (["--waves", "w.vcd", "--way", "split", CHECK], "must end with .fst"),
        (["--waves", "w.fst", "--engine", "model", "--way", "split", CHECK], "only the native engine"),
        (["--json", "absent/file.json"], "there is no folder absent"),
        (["--socket", "s", "--workers", "2"], "there is one device, which one process tests"),
        (["--waves", "w.fst", "--way", "split", "--campaign", "c", CHECK], "of one check, which one process"),
        (["--workers", "2", "--scheduler", "a:1", CHECK], "the workers of a scheduler are not started here"),
        (["--scheduler", "a", CHECK], "scheduler tcp://a: missing port number"),
        (["--function", "all", "--queues", "2"], "not for --function all"),
        (["--socket", "absent.sock"], "absent.sock: there is no device"),
        (["--engine", "cocotb", "--function", "net"], "cannot have a device with function net"),
    ],
)
def test_what_cannot_be_begun_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conform", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_device_that_conforms_gives_0_and_all_reports(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = ["--json", "a.json", "--junit", "a.xml", "--html", "a.html"]
    assert main(["conform", "--engine", "model", "--function", "rng", CHECK, *outputs]) == 0
    content = json.loads(Path("a.json").read_text())
    assert (content["passed"], content["must"]) == (1, 0)
    assert ElementTree.parse("a.xml").getroot()[0].get("tests") == "1"
    assert CHECK in Path("a.html").read_text()
    assert "rng, modern, split rings, model engine: 1 passed" in capsys.readouterr().out


def test_a_device_that_breaks_a_must_gives_1_and_a_command_that_shows_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SharedRegisters, "write_status", lambda _self, _value: None, raising=True)
    words = ["conform", "--engine", "model", "--function", "rng", "--ring", "both"]
    assert main([*words, CHECK]) == 1
    shown = capsys.readouterr().out
    assert "(split, packed) breaks a MUST" in shown
    again = f"ringwalker {' '.join(words)} {CHECK} --way split"
    assert again in shown
    assert main(again.split()[1:]) == 1


def test_a_should_that_is_not_kept_gives_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (check,) = select([CHECK])

    def tested(*_arguments: Any) -> list[Outcome]:
        return [
            Outcome(check, Way.SPLIT, PASSED),
            Outcome(check, Way.PACKED, FAILED, "soft", "core-01.02"),
        ]

    monkeypatch.setattr(conform_run, "_tested", tested)
    assert main(["conform", CHECK]) == 0
    assert "does not keep a SHOULD" in capsys.readouterr().out


def test_all_functions_are_tested_in_turn(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--engine", "model", "--face", "transitional", "--function", "all", CHECK, "--json", "-"]
    assert main(["conform", *words]) == 0
    devices = json.loads(capsys.readouterr().out)["devices"]
    assert [item["device"].partition(",")[0] for item in devices] == ["blk", "net", "console", "rng"]
    assert devices[1]["command"][-4:] == ["--function", "net", "--face", "transitional"]


def test_the_checks_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--list", "core-03.01"]) == 0
    shown = capsys.readouterr().out
    assert CHECK in shown
    assert "Wrong:" in shown


def test_ctrl_c_closes_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    class Interrupting:
        def trace(self, _on: bool) -> None: ...

        def run(self, work: Any) -> Any:
            work.close()
            raise KeyboardInterrupt

    @contextmanager
    def opened() -> Iterator[Target]:
        try:
            yield Target(Interrupting())
        finally:
            closed.append(True)

    monkeypatch.setattr(conform_run, "_opener", lambda *_: opened)
    assert main(["conform", CHECK]) == 130
    assert closed == [True]


def _found(path: str) -> list[tuple[Any, ...]]:
    """What is the same whoever runs the checks."""
    names = ("check", "way", "verdict", "clauses", "text", "clause", "steps", "seed")
    return [
        (device["device"], *(repr(row.get(name)) for name in names))
        for device in json.loads(Path(path).read_text())["devices"]
        for row in device["outcomes"]
    ]


def _same_in_a_campaign(functions: str, patterns: Sequence[str], *options: str) -> list[tuple[Any, ...]]:
    words = ["conform", "--engine", "model", "--function", functions, "--ring", "both", *patterns]
    assert main([*words, "--json", "alone.json"]) == 0
    assert main([*words, "--campaign", "c", *options, "--json", "parts.json"]) == 0
    found = _found("alone.json")
    assert _found("parts.json") == found
    return found


def test_a_campaign_finds_the_same_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    # A check by two of the ways, one that is run once, and one for which there is no way.
    patterns = [CHECK, "ids_name_a_virtio_device", "the_header_has_its_registers"]
    found = _same_in_a_campaign("rng", patterns)
    assert {row[2] for row in found} == {"'split'", "'packed'", "'legacy'"}
    results = Path("c/results.jsonl")
    rows = results.read_text().splitlines(keepends=True)
    assert len(rows) == 3
    results.write_text("".join(rows[:-1]) + rows[-1][:20])
    words = ["conform", "--engine", "model", "--function", "rng", "--ring", "both", *patterns]
    assert main([*words, "--campaign", "c", "--json", "again.json"]) == 0
    assert _found("again.json") == found
    assert results.read_text().splitlines(keepends=True)[:-1] == rows[:-1]
    assert main([*words, "--campaign", "c", "--seed", "2"]) == 2
    assert "c: is of another campaign: tasks is" in capsys.readouterr().err


@pytest.mark.slow
def test_two_workers_find_the_same() -> None:
    assert len(_same_in_a_campaign("all", ["core-01.*"], "--workers", "2")) > 40


def test_help_has_examples() -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["conform", "--help"])
