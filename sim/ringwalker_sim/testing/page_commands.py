"""Commands in pages of the documentation: found, split into words, and run as they stand there.

A block whose language is ``sh`` holds commands. Comments in HTML in front of it, which no reader sees, say
how the tests run it; without one it is run by the slow tests:

- ``<!-- run: KIND, why -->`` with a kind of :data:`KINDS`
- ``<!-- before`` and ``-->`` around lines that are run first: what a person would have, a disk image say

The blocks of a page are run in their order by one bash with ``set -eu``, in a folder of its own. There the
program ``ringwalker`` is this module: the command itself, on a narrow device that other tests build too
wherever the page says nothing about the device.
"""

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .devices import BOTH, SERVED_BLK, SMALL, TRANSITIONAL

__all__ = ["KINDS", "Block", "all_commands", "blocks", "commands", "make_folder", "narrow", "script"]

KINDS = {
    "slow": "the slow tests run it",
    "qemu": "the slow tests run it, where there is a QEMU",
    "campaign": "it takes long, or builds what nothing else needs: by hand, pytest -m campaign",
    "clone": "in a fresh clone, by the test of a newcomer's way",
    "no": "it is not run: its options are checked only, and the reason is given",
}
"""How a block is run."""

_RUN = re.compile(r"<!-- run: (\w+)(?:, (.+?))? -->")
_BEFORE = "<!-- before"
_NARROW = ("run", "guest", "serve", "lspci")
_CHOSEN = ("--config", "--data-width", "--function", "--device", "--rtl", "--preset")


@dataclass(frozen=True)
class Block:
    """A block of commands of a page."""

    line: int
    """Of its first line in the page."""
    text: str
    """The commands."""
    kind: str = "slow"
    """One of :data:`KINDS`."""
    why: str = ""
    """The reason that the page gives."""
    before: str = ""
    """What is run first."""


def blocks(page: str) -> list[Block]:
    """The blocks of commands of a page. Errors: ``ValueError`` for a comment that cannot be meant."""
    found = []
    kind, why, before = "slow", "", ""
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        run = _RUN.fullmatch(line)
        if run:
            kind, why = run[1], run[2] or ""
            if kind not in KINDS or (kind in ("no", "campaign") and not why):
                raise ValueError(f"line {number}: {line} is none of {', '.join(KINDS)}, or has no reason")
        elif line.startswith("<!-- run"):
            raise ValueError(f"line {number}: {line} is not <!-- run: KIND, why -->")
        elif line == _BEFORE:
            before = "\n".join(_until(lines, "-->"))
        elif line.startswith("```"):
            text = "\n".join(_until(lines, "```"))
            if line[3:].split()[:1] == ["sh"]:
                found.append(Block(number + 1, text, kind, why, before))
                kind, why, before = "slow", "", ""
        elif line and (kind, before) != ("slow", ""):
            raise ValueError(f"line {number}: a comment for the tests stands before no block of commands")
    return found


def _until(lines: Iterator[tuple[int, str]], end: str) -> Iterator[str]:
    for _number, line in lines:
        if line == end:
            return
        yield line


def script(found: Sequence[Block], kinds: Sequence[str]) -> str:
    """What bash runs of the blocks of a page, those of ``kinds``; empty if there are none."""
    parts = [
        f"{block.before}\n{block.text}" if block.kind in kinds else block.before
        for block in found
        if block.kind in kinds or block.before
    ]
    return "set -eux\n" + "\n".join(parts) + "\n" if any(block.kind in kinds for block in found) else ""


def commands(text: str) -> list[list[str]]:
    """The simple commands in lines of a shell, as lists of words. Redirections and documents that stand in
    the text are left out; nothing is expanded.
    """
    made: list[list[str]] = []
    words: list[str] = []
    word: str | None = None
    ends: list[str] = []
    at = 0

    def done() -> None:
        nonlocal word, words
        if word is not None:
            words.append(word)
        if words:
            made.append(_without_redirections(words))
        word, words = None, []

    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\":
            if text[at : at + 1] != "\n":
                word = (word or "") + text[at : at + 1]
            at += 1
        elif char in "'\"":
            end = text.index(char, at)
            word = (word or "") + text[at:end]
            at = end + 1
        elif char == "#" and word is None:
            at = (text + "\n").index("\n", at)
        elif text.startswith("<<", at - 1):
            end = re.compile(r"<<-?\s*'?(\w+)'?").match(text, at - 1)
            assert end is not None, text
            ends.append(end[1])
            at = end.end()
        elif char in "<>" and text[at : at + 1] == "(" and word is None:
            words.append("/dev/fd/63")  # the other end of a command
        elif char in "\n;|&()":
            done()
            if char == "\n":
                for name in ends:
                    end = re.compile(rf"^{name}$\n?", re.MULTILINE).search(text, at)
                    at = end.end() if end else len(text)
                ends = []
        elif char.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + char
    done()
    return made


def _without_redirections(words: list[str]) -> list[str]:
    kept = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif re.fullmatch(r"\d?[<>]+", word):
            skip = True
        elif not re.match(r"\d?>", word):
            kept.append(word)
    return kept


def all_commands(page: str) -> list[tuple[int, list[str]]]:
    """Every ``ringwalker`` command of a page with the number of its line: those of fenced and indented
    blocks of any language. Errors: as :func:`commands`.
    """
    found = []
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        text = line
        if line.startswith("```"):
            if line[3:].strip() not in ("", "sh", "text", "sh qemu"):
                list(_until(lines, "```"))
                continue
            text = "\n".join(_until(lines, "```"))
        elif not re.match(r"    .*ringwalker ", line):
            continue
        for command in _of_prose(text):
            program = next((n for n, word in enumerate(command) if _is_ringwalker(word)), None)
            if program is not None and all("=" in word or word == "exec" for word in command[:program]):
                found.append((number, command[program + 1 :]))
    return found


def _of_prose(text: str) -> list[list[str]]:
    """Commands of a block in which there may be other things too."""
    try:
        return commands(text)
    except ValueError:
        # An apostrophe in what is no command; then no command goes over several lines.
        return [
            command
            for line in text.splitlines()
            if line.lstrip().startswith("ringwalker ")
            for command in commands(line)
        ]


def _is_ringwalker(word: str) -> bool:
    return word == "ringwalker" or word.endswith("/bin/ringwalker")


def narrow(words: Sequence[str], folder: Path) -> list[str]:
    """The words of a command with a device that other tests have, if it says nothing about its device.

    Configurations are files in ``folder``, which :func:`make_folder` has made.
    """
    words = list(words)
    names = {word.partition("=")[0] for word in words}
    if words[:1] not in [[name] for name in _NARROW] or names & {
        *_CHOSEN,
        "--engine",
        "--transport",
        "--help",
    }:
        return words
    function = words[1] if words[0] == "run" and len(words) > 1 and words[1] in SMALL else "blk"
    if names & {"--face"}:
        kind = "transitional"
    elif names & {"--ring", "--queues"}:
        kind = "both"
    elif words[0] == "run" and function == "blk" and names & {"--waves", "--timeline"}:
        kind = "small"
    else:
        kind = "served"
    return [*words, "--config", str(folder / f"{kind}-{function}.toml")]


def make_folder(folder: Path, root: Path) -> Path:
    """Make ``folder`` ready for the commands of a page of the checkout ``root``: what they find of it, and,
    in the folder that is given back and belongs into PATH, their program ``ringwalker``.
    """
    (folder / "examples").mkdir(parents=True)
    for example in (root / "examples").glob("*/README.md"):
        hidden = shutil.ignore_patterns("__pycache__", "sim_build", "build", ".*", "*.fst")
        shutil.copytree(example.parent, folder / "examples" / example.parent.name, ignore=hidden)
    place = folder / ".commands"
    place.mkdir()
    for kind, devices in (
        ("small", SMALL),
        ("both", BOTH),
        ("transitional", TRANSITIONAL),
        ("served", {**SMALL, "blk": SERVED_BLK}),
    ):
        for function, config in devices.items():
            (place / f"{kind}-{function}.toml").write_text(config.to_toml())
    program = place / "ringwalker"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {__name__} "{place}" "$@"\n')
    program.chmod(0o755)
    return place


def main() -> int:
    """Be ``ringwalker`` for a page: the first word is the folder with configurations."""
    from ..cli.main import main as ringwalker

    sys.argv[1:] = narrow(sys.argv[2:], Path(sys.argv[1]))
    return ringwalker()


if __name__ == "__main__":
    sys.exit(main())
