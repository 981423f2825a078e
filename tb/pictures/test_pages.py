"""The pages of blocks and their pictures: they show what there is, now.

``scripts/pictures`` makes anew what is found to be old here.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ringwalker.function.entropy.function import EntropyFunction
from ringwalker_sim.pictures.__main__ import TIMINGS, main, stored, timings
from ringwalker_sim.pictures.catalogue import PAGES, BlockPage
from ringwalker_sim.pictures.diagram import diagram, read_diagram
from ringwalker_sim.pictures.page import FOLDER, PageError, filled, parts
from ringwalker_sim.pictures.scene import Arrow, Level, Scene, Stream, record
from ringwalker_sim.pictures.scenes.functions import ENTROPY
from ringwalker_sim.pictures.timing import timing
from ringwalker_sim.testing.browser import chromium, no_chromium, opened
from ringwalker_sim.testing.inprocess import Bench
from ringwalker_sim.toolchain import ToolError

DOCS = Path("docs")
BLOCKS = DOCS / FOLDER
WIDEST = 980
"""Pixels that a picture may be wide."""


def diagram_of(page: BlockPage) -> str:
    return (BLOCKS / f"{page.name}.svg").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_diagram_shows_what_is_in_the_design(page):
    assert read_diagram(diagram_of(page)) == page.drawing(), "scripts/pictures draws it anew"


def test_another_label_box_or_line_in_a_diagram_is_seen():
    page = next(page for page in PAGES if page.name == "split")
    text, drawing = diagram_of(page), page.drawing()
    for old, new in (
        (">AvailEvent<", ">AvailEvents<"),
        (">event<", ">events<"),
        ('data-sink="event"', 'data-sink="used"'),
        ('data-label="Head 65"', 'data-label="Head 64"'),
        (">visits<", ">visit<"),
    ):
        assert old in text
        assert read_diagram(text.replace(old, new, 1)) != drawing, old


def test_timing_diagrams_are_of_runs_of_the_blocks_as_they_are():
    made = {name: wave for page in PAGES for name, wave in timings(page).items()}
    kept = json.loads((BLOCKS / TIMINGS).read_text())
    assert made == kept, "scripts/pictures draws them anew"
    assert json.loads(stored(made)) == made
    assert {name: (BLOCKS / f"{name}.svg").read_text() == timing(wave) for name, wave in kept.items()} == (
        dict.fromkeys(kept, True)
    )


def test_the_pages_are_filled_with_what_there_is():
    for page in PAGES:
        text = (BLOCKS / f"{page.name}.md").read_text()
        assert filled(page, text, DOCS) == text, f"scripts/pictures {page.name} fills it anew"


def test_a_page_without_its_marks_is_refused():
    page = PAGES[1]
    text = (BLOCKS / f"{page.name}.md").read_text()
    with pytest.raises(PageError, match=r"blocks/edge\.md has no lines '<!-- area: made by"):
        filled(page, text.replace("<!-- end of area -->", ""), DOCS)


def test_every_picture_is_on_a_page_and_every_link_leads_somewhere():
    shown = set()
    for path in BLOCKS.glob("*.md"):
        text = path.read_text()
        shown |= set(re.findall(r"\]\(([\w-]+\.svg)\)", text))
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            assert (path.parent / link).exists(), f"{path}: {link}"
        for file in re.findall(r"`(tb/[\w/.]+)`", text):
            assert Path(file).exists(), f"{path}: {file}"
    assert shown == {path.name for path in BLOCKS.glob("*.svg")}
    assert {path.stem for path in BLOCKS.glob("*.md")} == {page.name for page in PAGES}


def test_links_into_the_register_reference_have_a_heading():
    titles = re.findall(r"^#+ (.*)$", (DOCS / "registers.md").read_text(), re.MULTILINE)
    anchors = {title.lower().replace(" ", "-") for title in titles}
    for path in BLOCKS.glob("*.md"):
        assert set(re.findall(r"registers\.md#([\w-]+)", path.read_text())) <= anchors, path


def test_pictures_are_narrow_enough_to_be_read():
    widths = {
        path.name: int(found[1])
        for path in BLOCKS.glob("*.svg")
        if (found := re.search(r'<svg [^>]*width="(\d+)"', path.read_text()))
    }
    assert len(widths) >= 12
    assert {name: width for name, width in widths.items() if width > WIDEST} == {}


def test_each_page_names_tests_of_its_block():
    for page in PAGES[1:]:
        assert "`tb/" in parts(page, DOCS)["checks"], page.name


def test_names_of_pages_are_checked(capsys):
    assert main(["nonsense"]) == 2
    assert "there is no page 'nonsense'; there are index, edge" in capsys.readouterr().err
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == [page.name for page in PAGES]


# ---- recording


def test_what_waits_is_drawn_until_it_is_taken_and_quiet_cycles_are_a_gap():
    assert record(ENTROPY) == json.loads((BLOCKS / TIMINGS).read_text())["entropy-timing"]

    class Noise(Bench):
        @classmethod
        def component(cls) -> Any:
            from ringwalker.config import DeviceConfig

            return EntropyFunction(DeviceConfig(function="rng", data_width=64))

    async def play(bench: Any, begin: Any) -> None:
        bench.stall("chain.replies")
        bench.put("noise", 1)
        await bench.cycles(6)
        begin()
        bench.put("chain.chains", {"writable": 8})
        await bench.cycles(9)
        bench.stall("chain.replies", probability=0)
        await bench.cycles(4)

    lanes = (
        Stream("chains", "chain.chains", lambda item: f"{item['writable']}"),
        Stream("replies", "chain.replies", lambda item: f"{item['data']}"),
        Level("idle", "chain.idle"),
    )
    wave = record(Scene("x", Noise, play, lanes, (Arrow(("chains", 0), ("replies", 0), "why"),)))
    cycle, chains, replies, idle = wave["signal"]
    assert (chains["wave"], chains["data"], chains["node"]) == ("z=z.|...", ["8"], ".a......")
    assert (replies["wave"], replies["data"], replies["node"]) == ("z..3|=z.", ["1", "1"], ".....b..")
    assert idle["wave"] == "1.0.|.1."
    assert (cycle["wave"], cycle["data"][-3:]) == ("====|===", ["10", "11", "12"])
    assert wave["edge"] == ["a~>b why"]

    with pytest.raises(AssertionError, match="'replies' has 1 events, not 2"):
        record(Scene("x", Noise, play, lanes, (Arrow(("chains", 0), ("replies", 1)),)))


# ---- looked at


OUTSIDE_OF_PICTURE = """() => {
  const paper = document.querySelector("svg").getBoundingClientRect();
  const within = (a, b) =>
    a.left >= b.left - .5 && a.right <= b.right + .5 && a.top >= b.top && a.bottom <= b.bottom;
  const found = [];
  for (const text of document.querySelectorAll("text")) {
    const at = text.getBoundingClientRect();
    if (!within(at, paper)) found.push(`beyond the picture: ${text.textContent}`);
    const box = text.closest(".block, .outside")?.querySelector("rect").getBoundingClientRect();
    if (box && !within(at, box)) found.push(`beyond its box: ${text.textContent}`);
  }
  return found;
}"""


@pytest.mark.slow
@pytest.mark.skipif(no_chromium() is not None, reason=no_chromium() or "")
def test_no_text_is_cut_or_covered(tmp_path):
    page = tmp_path / "picture.html"
    with chromium() as browser:
        for path in sorted(BLOCKS.glob("*.svg")):
            page.write_text(f"<!doctype html><meta charset=utf-8><body>{path.read_text()}</body>")
            with opened(browser, page, width=1000, height=1500, scheme="dark") as look:
                assert look.page.evaluate(OUTSIDE_OF_PICTURE) == [], path
                assert look.overlaps() == [], path
                paper = "getComputedStyle(document.querySelector('.paper')).fill"
                assert look.page.evaluate(paper) == "rgb(13, 17, 23)", path


@pytest.mark.slow
def test_a_diagram_is_laid_out_as_it_was():
    try:
        drawn = {page.name: diagram(page.drawing(), page.title, page.direction) for page in PAGES}
    except ToolError as error:
        pytest.skip(f"elkjs is not there, and cannot be fetched: {error}")
    assert [name for name, text in drawn.items() if text != (BLOCKS / f"{name}.svg").read_text()] == []
