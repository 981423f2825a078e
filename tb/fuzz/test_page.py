"""docs/fuzz.md is what is generated, and what explains holes in the coverage is not stale."""

from pathlib import Path

from ringwalker_sim.fuzz.coverage import block_of
from ringwalker_sim.fuzz.explained import Explanation, judge
from ringwalker_sim.fuzz.page import FIGURES, PAGE, page, read_figures

DOCS = Path("docs")
HOLE = {"place": "core.walker.lane0.beat__header", "lowest": 3, "highest": 9}


def test_the_page_is_up_to_date() -> None:
    made = page(read_figures(DOCS / FIGURES))
    assert (DOCS / PAGE).read_text() == made, "run ringwalker fuzz --docs docs --from docs/fuzz.json"


def test_no_explanation_is_stale() -> None:
    coverage = read_figures(DOCS / FIGURES)["coverage"]
    holes = [hole for item in coverage.values() for hole in item["holes"]]
    assert holes
    assert judge(holes)[1] == []


def test_an_explanation_is_of_all_bits_of_a_hole() -> None:
    names = ("core.walker.*header",)
    assert judge([HOLE], [Explanation(names, "")]) == ([], [])
    narrow = Explanation(names, "", lowest=4)
    assert judge([HOLE], [narrow]) == ([HOLE["place"]], [narrow])
    other = Explanation(("core.common.*",), "")
    assert judge([HOLE], [other]) == ([HOLE["place"]], [other])


def test_signals_belong_to_the_block_in_which_they_are() -> None:
    assert block_of("core.walker.lane0.scatter.planner") == "dma"
    assert block_of("core.walker.lane1.payload_reader.completions") == "dma"
    assert block_of("core.walker.lane0.ring.split") == block_of("core.walker") == "walker"
    assert block_of("core.common.status") == "transport"
    assert block_of("core.function.parser") is block_of("edge.msix") is block_of("") is None
