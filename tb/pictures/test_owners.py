"""Each picture of the documentation is made by a command and compared by a test, or somebody says why not."""

import re
from pathlib import Path

import pytest

from ringwalker_sim.pictures.owners import BY_HAND, OWNERS, SUFFIXES, owners_of, pictures_in

ROOT = Path(__file__).resolve().parents[2]
PICTURES = tuple(pictures_in(ROOT))
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_has_one_owner(picture: str) -> None:
    """One that nobody makes or compares would go on showing what was once."""
    assert len(owners_of(picture)) + (picture in BY_HAND) == 1, "add it to pictures/owners.py"


def test_there_are_pictures_and_most_are_made() -> None:
    """Owners of nothing, and reasons for what is gone, are left over."""
    assert set(BY_HAND) <= set(PICTURES)
    assert len(PICTURES) - len(BY_HAND) >= 12
    for owner in OWNERS:
        assert any(owner in owners_of(picture) for picture in PICTURES), owner.pattern


def test_a_picture_of_nobody_is_noticed() -> None:
    """Also one in a folder below, and one whose name only begins as that of another."""
    assert not owners_of("docs/new.svg")
    assert not owners_of("docs/blocks/deep/walker.png")
    assert not owners_of("docs/run.svg.png")


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.pattern)
def test_an_owner_has_a_test_that_knows_its_pictures(owner) -> None:
    """The file of the test is there, and names them or where they are."""
    text = (ROOT / owner.test).read_text()
    names = ("docs", "DOCS", "PICTURE", "BLOCKS")
    assert any(name in text for name in names)
    if owner.write:
        assert owner.test in owner.command


def test_pages_show_pictures_that_are_there() -> None:
    """A link to a picture that was renamed is an empty frame."""
    for page in PAGES:
        for link in re.findall(r"!\[[^\]]*\]\(([^)#\s]+)", page.read_text()):
            if not link.startswith("http") and Path(link).suffix in SUFFIXES:
                assert (page.parent / link).is_file(), f"{page}: {link}"
