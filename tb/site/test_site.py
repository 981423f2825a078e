"""The documentation is a site that needs no network, whose links lead somewhere and whose pages fit."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from ringwalker_sim.site.reference import reference_pages
from ringwalker_sim.testing.browser import NARROW, WIDE, chromium, no_chromium, opened
from ringwalker_sim.testing.pictures import check_picture

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ("index", "start", "guides/", "faq", "examples/", "reference/index", "extending", "timeline")
"""Pages that are written by hand and not long: in these, cut and covered text is looked for, too."""
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
LOADED_LINKS = ("stylesheet", "icon", "preload", "prefetch", "preconnect", "manifest", "modulepreload")


@pytest.mark.parametrize("name", reference_pages())
def test_pages_of_reference_are_those_of_the_code(name: str) -> None:
    committed = (ROOT / "docs/reference" / name).read_text()
    assert committed == reference_pages()[name], "run: python -m ringwalker_sim.site"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site. MkDocs refuses a page outside of the navigation, and links and anchors that lead nowhere."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "--quiet", "build", "--strict", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


class Page(HTMLParser):
    """What a page loads, where its links lead, and which anchors it has."""

    def __init__(self, path: Path):
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if LOADED.get(tag) in values:
            self.loads.append(values[LOADED[tag]])
        elif tag == "link" and any(kind in values.get("rel", "").split() for kind in LOADED_LINKS):
            self.loads.append(values["href"])
        elif tag == "a" and "href" in values:
            self.links.append(values["href"])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    # The page for addresses that are not there is for servers, and speaks of their root.
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def test_nothing_is_loaded_from_the_net(site: Path, pages: dict[Path, Page]) -> None:
    assert {
        address
        for page in pages.values()
        for address in page.loads
        if urlsplit(address).scheme not in ("", "data")
    } == set()
    for path in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?https?:|@import", path.read_text()) == [], path
    for path in (ROOT / "docs/site").glob("*.js"):
        assert "http" not in path.read_text(), path


def test_every_link_and_picture_of_the_site_is_there(pages: dict[Path, Page]) -> None:
    wrong = []
    for path, page in pages.items():
        for address in page.links + page.loads:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            found = pages.get(target)
            if not target.is_file() or (found is not None and unquote(parts.fragment) not in found.anchors):
                wrong.append(f"{path.name}: {address}")
    assert wrong == []


def test_every_page_of_the_tree_is_in_the_site(site: Path) -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        assert (site / path.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), path
    assert (site / "examples/crc32/index.html").is_file()
    assert (site / "CHANGELOG.html").is_file()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    why = no_chromium()
    if why:
        pytest.skip(why)
    with chromium() as found:
        yield found


@pytest.mark.slow
def test_every_page_looks_right(site: Path, pages: dict[Path, Page], browser: Any) -> None:
    wrong = []
    for path in pages:
        name = path.relative_to(site).as_posix()
        with opened(browser, path) as look:
            for width in (WIDE, NARROW):
                look.page.set_viewport_size({"width": width, "height": 900})
                found = look.faults() if name.startswith(WRITTEN) else look.overflow()
                wrong += [f"{name}, {width} wide: {fault}" for fault in found]
            dead = look.page.evaluate(
                "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => `no ${i.src}`)"
            )
            wrong += [f"{name}: {fault}" for fault in [*look.errors, *look.requests, *dead]]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: Any, site: Path, browser: Any) -> None:
    for name in ("index.html", "faq.html", "reference/features.html"):
        with opened(browser, site / name, scheme=scheme) as look:
            assert look.faint(3) == [], name


@pytest.mark.slow
def test_search_works_in_files(site: Path, browser: Any) -> None:
    with opened(browser, site / "index.html") as look:
        look.page.fill(".md-search__input", "doorbell")
        look.page.wait_for_selector(".md-search-result__item", timeout=20000)
        assert look.errors == []
        assert look.requests == []


@pytest.mark.slow
def test_the_picture_of_the_site_is_what_it_looks_like(site: Path, browser: Any) -> None:
    with opened(browser, site / "blocks/split.html", width=1280, height=800, scheme="dark") as look:
        check_picture(look, ROOT / "docs/site.png")
