"""The picture of a terminal in README.md: of commands that are run, and what they print."""

from pathlib import Path

import pytest

from ringwalker_sim.errors import RingwalkerError
from ringwalker_sim.testing.terminal import (
    COMMANDS,
    PICTURE,
    anywhere,
    drawn,
    lines_of,
    picture_of,
)

ROOT = Path(__file__).resolve().parents[2]


def test_a_picture_has_the_commands_and_what_they_print(tmp_path: Path) -> None:
    """Spaces and widths are kept, so columns stay columns."""
    picture = picture_of(["printf 'a   b\\n\\n  c\\n'", "echo ┃ $((6 * 7)) ┃"], tmp_path, "the title")
    expected = ["$ printf 'a   b\\n\\n  c\\n'", "a   b", "  c", "$ echo ┃ $((6 * 7)) ┃", "┃ 42 ┃"]
    assert [line for line in lines_of(picture) if line] == expected
    assert "the&#160;title" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")  # nothing from elsewhere


def test_a_command_that_fails_is_no_picture(tmp_path: Path) -> None:
    """Also one in front of a pipe."""
    with pytest.raises(RingwalkerError, match=r"false \| cat: ended with exit code 1"):
        picture_of(["false | cat"], tmp_path, "")


def test_the_picture_of_the_readme_shows_these_commands() -> None:
    """And a run without errors."""
    lines = lines_of((ROOT / PICTURE).read_text())
    said = "\n".join(lines)
    for command in COMMANDS:
        assert f"$ {command}" in said
    assert "│ errors              │          0 │        0 │          0 │          0 │" in lines
    assert f"({PICTURE})" in (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_picture_of_the_readme_is_of_this_device() -> None:
    """All cycles are those of a run that is done now: ``python -m ringwalker_sim.testing.terminal``."""
    old = lines_of((ROOT / PICTURE).read_text())
    assert anywhere(lines_of(drawn())) == anywhere(old)
