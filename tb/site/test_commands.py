"""The commands in README and guides run as they stand, and every command of any page has options that exist.

The slow tests run each page's commands; ``ringwalker_sim.testing.page_commands`` says how a page chooses.
"""

import argparse
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from ringwalker.function.kind import add_import_folder
from ringwalker_sim.cli.main import build_parser
from ringwalker_sim.cli.run import split_function
from ringwalker_sim.engine.native.models import MODEL_VARIABLE
from ringwalker_sim.testing.installed import Installed
from ringwalker_sim.testing.page_commands import (
    KINDS,
    all_commands,
    blocks,
    commands,
    make_folder,
    narrow,
    script,
)
from ringwalker_sim.toolchain import ToolError
from ringwalker_sim.vm.setup import guest_setup

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RUN = [
    "README.md",
    "docs/start.md",
    *sorted(f"docs/guides/{p.name}" for p in DOCS.glob("guides/*.md")),
    "docs/faq.md",
]
"""Pages whose commands are run."""
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *DOCS.glob("**/*.md"), *ROOT.glob("examples/*/README.md"))
)
SECONDS = 900
OWN = "crc32:KIND"
"""A function that is not ours, whose options stand for those of any other such."""
INLINE = re.compile(r"(?<!`)`(ringwalker [^`]+)`(?!`)")


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    add_import_folder(ROOT / "examples/crc32")
    return build_parser(OWN)


@pytest.fixture(autouse=True)
def _model(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``--plain-model`` sets is as before."""
    monkeypatch.setenv(MODEL_VARIABLE, os.environ[MODEL_VARIABLE])


def check(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Whether the parser takes a command; a function of somebody's own is that of the example."""
    words, function = split_function(words)
    if function and function != OWN:
        words = [*(OWN if word == function else word for word in words), "--input", "FILE"]
    parser.parse_args(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a 'b c' \"d\"e \\\n  f # g 'h", [["a", "b c", "de", "f"]]),
        ("a && b | c; d &", [["a"], ["b"], ["c"], ["d"]]),
        ("a > file 2> other < third b", [["a", "b"]]),
        ("a - <<'END'\nb 'c\nEND\nd <<END\nEND", [["a", "-"], ["d"]]),
        ("a --to >(b c)", [["a", "--to", "/dev/fd/63"], ["b", "c"]]),
        ("a '\n  b\n  c'\nd", [["a", "\n  b\n  c"], ["d"]]),
    ],
)
def test_lines_of_a_shell_are_split(text: str, words: list[list[str]]) -> None:
    assert commands(text) == words


def test_comments_say_how_a_block_is_run() -> None:
    page = (
        "```sh\na\n```\n\n<!-- run: no, it is long -->\n```sh\nb\n```\n```\nc\n```\n"
        "<!-- before\ntouch d\n-->\n<!-- run: qemu -->\n```sh\ncat d\n```\n"
    )
    first, second, third = blocks(page)
    assert (first.kind, first.text) == ("slow", "a")
    assert (second.kind, second.why, second.line) == ("no", "it is long", 7)
    assert (third.kind, third.before) == ("qemu", "touch d")
    assert script([first, second, third], ("slow", "qemu")) == "set -eux\n\na\ntouch d\ncat d\n"
    assert script([second], ("slow",)) == ""


@pytest.mark.parametrize(
    "page",
    [
        "<!-- run: no -->\n```sh\na\n```\n",
        "<!-- run: maybe, why -->\n```sh\na\n```\n",
        "<!-- run:no, why -->\n```sh\na\n```\n",
        "<!-- run: qemu -->\ntext\n```sh\na\n```\n",
    ],
)
def test_a_comment_that_cannot_be_meant_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="line"):
        blocks(page)


def test_a_device_is_narrow_unless_the_page_has_chosen_one(tmp_path: Path) -> None:
    def device(line: str) -> str:
        return (
            " ".join(narrow(shlex.split(line), tmp_path))
            .removeprefix(line)
            .removeprefix(f" --config {tmp_path}/")
        )

    assert device("run blk --requests 10") == "served-blk.toml"
    assert device("run net") == "served-net.toml"
    assert device("run blk --waves run.fst") == "small-blk.toml"
    assert device("run rng --ring packed") == "both-rng.toml"
    assert device("guest --face=transitional") == "transitional-blk.toml"
    for line in (
        "run blk --data-width 256",
        "run blk --engine model",
        "verilog -o build",
        "run --function a:B",
    ):
        assert device(line) == ""


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_has_options_that_there_are(
    page: str, parser: argparse.ArgumentParser
) -> None:
    wrong = []
    for line, words in all_commands((ROOT / page).read_text()):
        try:
            check(parser, words)
        except SystemExit as ended:
            if ended.code:
                wrong.append(f"{page}:{line}: ringwalker {shlex.join(words)}")
    assert wrong == []


def options_of(parser: argparse.ArgumentParser, words: list[str]) -> set[str]:
    """All options of the command that ``words`` begins with, or of all below it."""
    names = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            chosen = (
                [action.choices[words[0]]]
                if words and words[0] in action.choices
                else action.choices.values()
            )
            for item in chosen:
                names |= options_of(item, words[1:])
    return names


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_a_sentence_is_one(page: str, parser: argparse.ArgumentParser) -> None:
    (choice,) = (item for item in parser._actions if isinstance(item, argparse._SubParsersAction))
    wrong = []
    for text in INLINE.findall((ROOT / page).read_text()):
        words = text.split()[1:]
        known = words[0] in choice.choices or not words[0].islower() or words[0].startswith("-")
        named = {word.partition("=")[0].rstrip(",.") for word in words if word.startswith("--")}
        if not known or named - options_of(parser, words):
            wrong.append(text)
    assert wrong == []


@pytest.mark.parametrize("page", RUN)
def test_a_page_has_commands_and_says_why_some_are_not_run(page: str) -> None:
    found = blocks((ROOT / page).read_text())
    assert found
    assert {block.kind for block in found} <= set(KINDS)
    for block in found:
        assert not block.why.endswith("."), f"{page}:{block.line}"


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Path, Installed]:
    """A folder for a page, and the programs there."""
    place = make_folder(tmp_path / "page", ROOT)
    return tmp_path / "page", Installed(place)


def run_page(page: str, kinds: tuple[str, ...], folder: tuple[Path, Installed]) -> None:
    text = script(blocks((ROOT / page).read_text()), kinds)
    if not text:
        pytest.skip("the page has no such commands")
    here, programs = folder
    path = os.pathsep.join((str(programs.bin), str(Path(sys.executable).parent), os.environ["PATH"]))
    python = os.pathsep.join((str(ROOT / "sim"), str(ROOT / "rtl")))
    variables = {"PATH": path, "PYTHONPATH": python, "VIRTUAL_ENV": ""}
    print(programs.run("bash", "-c", text, cwd=here, timeout=SECONDS, variables=variables))


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run(page: str, folder: tuple[Path, Installed]) -> None:
    kinds: tuple[str, ...] = ("slow",)
    if any(block.kind == "qemu" for block in blocks((ROOT / page).read_text())):
        try:
            guest_setup(fetch=os.environ.get("RINGWALKER_FETCH", "1") != "0")
            kinds = ("slow", "qemu")
        except ToolError as error:
            print(f"without those that need QEMU: {error}")
    run_page(page, kinds, folder)


@pytest.mark.campaign
@pytest.mark.parametrize("page", RUN)
def test_the_longer_commands_of_a_page_run(page: str, folder: tuple[Path, Installed]) -> None:
    run_page(page, ("slow", "campaign"), folder)
