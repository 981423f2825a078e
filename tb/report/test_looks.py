"""A report as a person sees it: opened in a browser, light and dark, narrow and wide, and worked with."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.cli.main import main
from ringwalker_sim.report.write import write_report
from ringwalker_sim.testing.browser import NARROW, WIDE, Look, chromium, no_chromium, opened
from ringwalker_sim.testing.pictures import check_picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(no_chromium() is not None, reason=str(no_chromium())),
]

RUN = Path(__file__).parent / "blk-run"
IN_BARS = "svg .in"
"""What stands in a bar: its text is cut with it, and a bar's tip may stand over the one behind."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for all tests here."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a recorded run, where nothing else is."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report([RUN], path)
    return path


def _ready(look: Look) -> Look:
    look.page.wait_for_function("'ready' in document.documentElement.dataset", timeout=20_000)
    look.page.wait_for_timeout(200)
    return look


def _shown(look: Look, chart: str) -> tuple[float, float]:
    """The part that a chart shows."""
    svg = look.page.locator(f"#{chart} svg")
    return float(svg.get_attribute("data-from")), float(svg.get_attribute("data-to"))


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wrong_with_it(browser: Any, page: Path, width: int, scheme: Any) -> None:
    """No text is cut, covered or faint, no error, no request, nothing to scroll sideways; all is drawn."""
    with opened(browser, page, width=width, scheme=scheme) as look:
        _ready(look)
        assert look.faults([IN_BARS]) == []
        assert look.faint() == []
        for section in (
            "run",
            "ceilings",
            "latency",
            "waterfall",
            "time",
            "tlps",
            "slowest",
            "lspci",
            "config",
        ):
            assert look.page.locator(f"#{section}").is_visible()
        for chart in ("latency-chart", "time-chart", "tlp-chart"):
            assert look.page.locator(f"#{chart} svg path").count() > 1
        back = look.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", back)[:3])) < 150) == (scheme == "dark")


def test_zoom(browser: Any, page: Path) -> None:
    """By dragging, by the wheel once a chart is chosen, by buttons and keys; charts of time go together."""
    with opened(browser, page) as look:
        _ready(look)
        chart = look.page.locator("#time-chart .frame")
        chart.evaluate("frame => frame.scrollIntoView()")
        whole = _shown(look, "time-chart")
        assert whole[0] == 0
        box = chart.bounding_box()
        middle = box["y"] + 60
        mouse = look.page.mouse
        mouse.move(box["x"] + 400, middle)
        mouse.down()
        mouse.move(box["x"] + 500, middle, steps=4)
        mouse.up()
        look.page.wait_for_timeout(200)
        first, last = dragged = _shown(look, "time-chart")
        assert 0 < first < last < whole[1]
        assert _shown(look, "tlp-chart") == dragged
        assert "TLPs are in view" in look.page.locator("#tlp-count").inner_text()
        assert "to" in look.page.locator("#time-chart .range").inner_text()
        mouse.wheel(0, -300)
        look.page.wait_for_timeout(200)
        closer = _shown(look, "time-chart")
        assert closer[1] - closer[0] < last - first
        look.page.locator("#tlp-chart button", has_text="Reset").click()
        look.page.wait_for_timeout(200)
        assert _shown(look, "time-chart") == whole
        look.page.locator("#latency-chart .frame").focus()
        before = _shown(look, "latency-chart")
        look.page.keyboard.press("+")
        look.page.wait_for_timeout(200)
        after = _shown(look, "latency-chart")
        assert after[1] - after[0] == pytest.approx((before[1] - before[0]) / 2)
        assert look.errors == []


def test_the_wheel_scrolls_the_page_over_a_chart_that_was_not_chosen(browser: Any, page: Path) -> None:
    """Who only reads is not caught."""
    with opened(browser, page) as look:
        _ready(look)
        chart = look.page.locator("#time-chart .frame")
        chart.evaluate("frame => frame.scrollIntoView()")
        box, before = chart.bounding_box(), _shown(look, "time-chart")
        look.page.mouse.move(box["x"] + 400, box["y"] + 60)
        look.page.mouse.wheel(0, 200)
        look.page.wait_for_timeout(300)
        assert _shown(look, "time-chart") == before
        assert chart.bounding_box()["y"] < box["y"]


def test_single_tlps_and_segments_are_told(browser: Any, page: Path) -> None:
    """Close enough, a TLP is a box with its name, and pointing at it says what it is."""
    with opened(browser, page) as look:
        _ready(look)
        look.page.locator("#slowest details[open] button", has_text="Show in the charts").click()
        zoom = look.page.locator("#tlp-chart button[aria-label='Zoom in']")
        for _ in range(6):
            zoom.click()
        look.page.wait_for_timeout(300)
        assert look.page.locator("#tlp-chart svg .in").count() > 0
        chart = look.page.locator("#tlp-chart .frame")
        box = chart.bounding_box()
        look.page.mouse.move(box["x"] + 500, box["y"] + 24)
        look.page.wait_for_timeout(100)
        told = look.page.locator("#tip").inner_text()
        assert "on the wire" in told
        assert "tag" in told
        rows = look.page.locator("#tlp-list tbody tr")
        assert 0 < rows.count() <= 60
        assert "0x" in look.page.locator("#tlp-list tbody").inner_text()
        assert look.faults([IN_BARS]) == []


def test_each_slow_request_opens(browser: Any, page: Path) -> None:
    """With its own timeline, whose parts add up to it, at both widths."""
    for width in (NARROW, WIDE):
        with opened(browser, page, width=width) as look:
            _ready(look)
            closed = look.page.locator("details.slow:not([open]) summary")
            for place in reversed(range(closed.count())):
                closed.nth(place).click()
            look.page.wait_for_timeout(400)
            charts = look.page.locator("details.slow .chart svg")
            assert charts.count() == look.page.locator("details.slow").count() == 12
            assert look.faults([IN_BARS]) == []


def test_cohorts_can_be_chosen(browser: Any, page: Path) -> None:
    """One waterfall is seen at a time."""
    with opened(browser, page) as look:
        _ready(look)
        assert look.page.locator("#cohort-0").is_visible()
        look.page.locator("#waterfall label", has_text="Slowest").click()
        assert look.page.locator("#cohort-2").is_visible()
        assert not look.page.locator("#cohort-0").is_visible()


def test_theme_of_ones_own(browser: Any, page: Path) -> None:
    """The button goes from what the system prefers to light to dark, and the choice is kept."""
    with opened(browser, page, scheme="light") as look:
        _ready(look)
        button = look.page.locator("#theme")
        assert button.inner_text() == "Theme: auto"
        colours = set()
        for _ in range(2):
            button.click()
            colours.add(look.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(colours) == 2
        assert button.inner_text() == "Theme: dark"
        look.page.reload()
        _ready(look)
        assert button.inner_text() == "Theme: dark"
        assert look.faint() == []


def test_many_rows(browser: Any, tmp_path: Path) -> None:
    """A table that is sorted by a click, and nothing wrong at both widths."""
    assert main(["report", "docs/performance.json", "-o", str(tmp_path / "rows.html")]) == 0
    for width in (NARROW, WIDE):
        with opened(browser, tmp_path / "rows.html", width=width) as look:
            look.page.wait_for_timeout(200)
            assert look.faults() == []
            cells = look.page.locator("#rows tbody td.some")
            look.page.locator("#rows thead button", has_text="of the ceiling").click()
            values = [float(cell.get_attribute("data-value")) for cell in cells.all()]
            assert values == sorted(values)


def test_figures_alone(browser: Any, tmp_path: Path) -> None:
    """A report without charts has no script that fails."""
    shutil.copy(RUN / "run.json", tmp_path)
    assert main(["report", str(tmp_path / "run.json")]) == 0
    for width in (NARROW, WIDE):
        with opened(browser, tmp_path / "run.html", width=width) as look:
            look.page.wait_for_timeout(200)
            assert look.faults() == []
            assert look.page.locator("#missing").is_visible()


# --- pictures of the documentation -------------------------------------------------------------------------


def test_picture_of_its_top(browser: Any, page: Path) -> None:
    """What ran and its figures, light."""
    with opened(browser, page, width=1200, height=1000) as look:
        check_picture(_ready(look), Path("docs/report-light.png"))


def test_picture_of_what_was_when(browser: Any, page: Path) -> None:
    """Stages and ports over time, dark."""
    with opened(browser, page, width=1200, height=1000, scheme="dark") as look:
        check_picture(_ready(look), Path("docs/report-dark.png"), "#time")


def test_picture_of_a_narrow_one(browser: Any, page: Path) -> None:
    """Where the cycles went, on a telephone."""
    with opened(browser, page, width=NARROW, height=740) as look:
        _ready(look).page.locator("#waterfall").evaluate("section => section.scrollIntoView()")
        check_picture(look, Path("docs/report-narrow.png"))


def test_picture_of_a_slow_request(browser: Any, page: Path) -> None:
    """The slowest one with its own timeline, and TLPs meanwhile."""
    with opened(browser, page, width=1200, height=1000) as look:
        check_picture(_ready(look), Path("docs/report-request.png"), "#slowest details")
