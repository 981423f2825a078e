"""The browser of the tests: it finds what is wrong with a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.testing.browser import NARROW, chromium, no_chromium, opened

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(no_chromium() is not None, reason=str(no_chromium())),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for all tests here."""
    with chromium() as running:
        yield running


def _faults(browser: Any, folder: Path, body: str, **options: Any) -> list[str]:
    page = folder / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><title>t</title><body style='margin:0'>{body}")
    with opened(browser, page, width=NARROW, **options) as look:
        return look.faults()


def test_a_good_page_has_no_fault(browser: Any, tmp_path: Path) -> None:
    """Lines below each other, a box that can be scrolled, and labels of a drawing."""
    body = (
        "<h1>Title</h1><p>Text</p><div style='overflow:auto'><pre style='width:900px'>long</pre></div>"
        "<svg width=200 height=40><text x=5 y=15>a</text><text x=5 y=35>b</text></svg>"
        "<details><summary>more</summary><p style='width:2000px'>hidden</p></details>"
    )
    assert _faults(browser, tmp_path, body) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<p style='width:500px'>wide</p>", 'beyond the page: p "wide" ends at 500 of 380'),
        ("<p style='width:30px;overflow:hidden;white-space:nowrap'>all of this</p>", 'cut: p "all of this"'),
        ("<svg width=50 height=20><text x=30 y=15>label</text></svg>", 'cut: text "label"'),
        ("<p>one</p><p style='margin-top:-28px'>two</p>", 'overlap: "one" and "two"'),
        (
            "<svg width=90 height=40><text x=5 y=20>left</text><text x=20 y=22>right</text></svg>",
            'overlap: "left" and "right"',
        ),
        ("<script>console.error('broken')</script>", "error: broken"),
        ("<script>missing()</script>", "error: missing is not defined"),
        ("<img alt='' src='http://ringwalker.invalid/x.png'>", "request: http://ringwalker.invalid/x.png"),
    ],
)
def test_what_is_wrong_is_found(browser: Any, tmp_path: Path, body: str, said: str) -> None:
    """Each fault is named with the text that it is about."""
    assert said in _faults(browser, tmp_path, body)


def test_faint_text(browser: Any, tmp_path: Path) -> None:
    """Grey on white is told from grey on black, also where the black is that of an element around it."""
    page = tmp_path / "page.html"
    text = "<p style='color:#999'>grey</p><div style='background:#000'><p style='color:#999'>also</p></div>"
    page.write_text(f"<!doctype html><body>{text}")
    with opened(browser, page) as look:
        assert look.faint() == ['"grey" 2.85']


def test_what_a_person_prefers(browser: Any, tmp_path: Path) -> None:
    """A page is dark for who wants it so, and a picture shows it."""
    page = tmp_path / "page.html"
    style = "body{background:#fff}@media (prefers-color-scheme: dark){body{background:#000}}"
    page.write_text(f"<!doctype html><style>{style}</style>")
    pictures = {}
    for scheme in ("light", "dark"):
        with opened(browser, page, width=40, height=30, scheme=scheme) as look:
            pictures[scheme] = look.screenshot(tmp_path / f"{scheme}.png")
    assert pictures["light"] != pictures["dark"]
    assert (tmp_path / "dark.png").read_bytes().startswith(b"\x89PNG")
