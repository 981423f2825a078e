"""``docs/failures.md`` has a row for everything that can fail outside, and each row is held by tests."""

import ast
import re
from pathlib import Path

import pytest

FAILURES = {
    # the disk's image
    "the disk under an image is full",
    "an image is cut while it is used",
    "an image of one of several served disks is cut",
    "a flush fails",
    "a limit of the process on files",
    "an image is in use",
    "an image is a pipe, a folder or empty",
    "an image is a container, such as qcow2",
    # the guest's memory
    "memory is unmapped in flight",
    "memory by message is unmapped in flight",
    "the descriptor of guest memory is lost on the way",
    "QEMU takes guest RAM away: its file is cut",
    # the socket and the virtual machine
    "another server has the socket",
    "a dead server has left its socket",
    "the socket's path is a file, too long, or in a folder that takes none",
    "the model is not built yet",
    "the socket is removed while it is served",
    "QEMU is killed",
    "QEMU is killed under `guest`",
    "QEMU stops in the middle of a message",
    "QEMU reads no answers",
    "messages are malformed",
    "QEMU speaks another version of the protocol",
    "there are no descriptors left",
    "`serve` is killed",
    "`serve` is told to end by a signal or loses its terminal",
    "nobody takes the log of `serve`, or its disk is full",
    # outputs
    "the disk is full for `--json`, `--capture`, `--output`, `--plot` or `--docs`",
    "the disk is full for `--read-all`",
    "sectors for `--read-all` cannot be read",
    "the disk is full for `--waves`",
    "the disk is full for the log of `guest --console`",
    "a limit of the process on what it writes",
    "an output is a folder, has no folder, or may not be written",
    "standard output is on a full disk, or closed",
    "the reader of standard output has gone",
    "standard error is closed",
    # inputs
    "a capture was cut",
    "a capture is of another kind, or contradicts itself",
    "a configuration has a value of another type, or is no TOML",
    "figures for `--from` or `--docs` are not theirs",
    # building a model
    "the compiler is missing",
    "the compiler does not run",
    "the compiler fails, or is killed for want of memory",
    "the disk of the cache is full",
    "the cache cannot be written",
    "something in the cache was cut, changed or removed",
    "a library cannot be loaded",
    "a build is interrupted",
    "a build is killed",
    "two processes build the same model",
    "there is too little memory for guest RAM or a model",
    # other programs and the network
    "mke2fs is missing",
    "there is no QEMU, or one that is too old",
    "QEMU does not start",
    "a guest does not end in its time",
    "the guest's kernel panics",
    "there is no network for a fetch",
    "a fetch is interrupted",
}
"""What can fail, whether the page knows of it or not."""

ROOT = Path(__file__).resolve().parents[1]
_TEST = re.compile(r"`(tb/[\w/]+\.py)::(\w+)`")


def rows() -> dict[str, str]:
    """The cells behind each failure of the page."""
    lines = (ROOT / "docs/failures.md").read_text().splitlines()
    cells = [line.strip("| ").split(" | ", 1) for line in lines if line.startswith("| ")]
    return {what: rest for what, rest in cells if what != "what fails"}


def test_the_page_has_a_row_for_everything_that_can_fail() -> None:
    assert set(rows()) == FAILURES


@pytest.mark.parametrize("what", sorted(rows()))
def test_a_row_is_held_by_tests_that_exist(what: str) -> None:
    held_by = _TEST.findall(rows()[what])
    assert held_by, "no test is named"
    for path, name in held_by:
        functions = [node.name for node in ast.parse((ROOT / path).read_text()).body if hasattr(node, "name")]
        assert name in functions, f"there is no {name} in {path}"
