"""The ring formats beside each other: the committed figures, the page, its charts, and what it claims."""

import json
import xml.etree.ElementTree
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.campaign.runner import Runner
from ringwalker_sim.campaign.task import Result
from ringwalker_sim.cli import campaign_options
from ringwalker_sim.cli import main as cli
from ringwalker_sim.performance.cases import Case
from ringwalker_sim.performance.chart_style import texts_of
from ringwalker_sim.performance.measure import measure
from ringwalker_sim.performance.report import case_of
from ringwalker_sim.performance.rings import cases as rings
from ringwalker_sim.performance.rings.area import RINGS
from ringwalker_sim.performance.rings.charts import MEASURES, chart_name, draw, values_of
from ringwalker_sim.performance.rings.page import FILES, goals_of, page

DOCS = Path(__file__).resolve().parents[2] / "docs"
FIGURES: dict[str, Any] = json.loads((DOCS / "rings.json").read_text())
ROWS: list[dict[str, Any]] = FIGURES["rows"]
BY_NAME = {(rings.load_of(row).name, rings.form_of(row).name): row for row in ROWS}


def value(load: str, form: str, name: str) -> float:
    return BY_NAME[load, form][name]


def test_the_page_is_made_of_the_figures():
    assert (DOCS / "rings.md").read_text() == page(FIGURES), "ringwalker bench-rings --from ... --docs docs"
    assert all((DOCS / name).exists() for name in FILES)


def test_there_is_a_row_for_every_load_in_every_form():
    assert set(BY_NAME) == {(load.name, form.name) for load in rings.LOADS for form in rings.FORMS}
    assert len(ROWS) == len(BY_NAME) == len(rings.cases())
    assert all(0 < row["efficiency"] <= 1 for row in ROWS)


def test_a_row_of_no_load_is_refused():
    with pytest.raises(LookupError, match="no load is like"):
        rings.load_of(ROWS[0] | {"size": 77})


def test_what_the_page_says_of_the_formats_is_so():
    for load in ("net tx 64, alone", "net rx 64, alone"):
        assert value(load, "packed", "dependent_reads") == value(load, "split", "dependent_reads") - 1
    for load in ("net tx 64", "blk write 512"):
        assert value(load, "packed", "wire_down_bytes") < value(load, "split", "wire_down_bytes")
        assert value(load, "packed", "rate_per_s") > value(load, "split", "rate_per_s")
    for direction in ("read", "write"):
        many = f"blk {direction} 512, 16 queues"
        assert value(many, "packed", "wire_down_bytes") > value(many, "split", "wire_down_bytes")
    assert value("net rx 64", "packed", "rate_per_s") < value("net rx 64", "split", "rate_per_s")
    best = max(rings.FORMS, key=lambda form: value("net rx 64", form.name, "rate_per_s"))
    assert best.name == "packed in order"
    for load in rings.LOADS:
        if load.case.depth > 1:
            sent = {form.name: form.of(load.case).cost.up for form in rings.FORMS}
            assert min(sent, key=sent.__getitem__) == "packed in order", load.name


def test_area_is_of_every_ring_and_what_is_left_out_costs_nothing():
    split, packed, both = FIGURES["area"]
    assert [area["ring"] for area in FIGURES["area"]] == ["split", "packed", "both"]
    assert both["lut"] > max(split["lut"], packed["lut"])
    assert not [name for name in packed["blocks"] if name.startswith("ring.avail")]


def test_goals_say_what_limits_a_row_that_falls_short():
    rows = [dict(row, efficiency=0.5) for row in ROWS]
    goals = goals_of(rows)
    missed = [goal for goal in goals if goal[0].endswith("ceiling")]
    assert missed
    assert all(goal[3].startswith("no: the link is") for goal in missed)
    reads = [goal for goal in goals if goal[0].endswith("reads")]
    assert len(reads) == 4
    assert all(goal[3] == "yes" for goal in goals_of(ROWS) if goal[0].endswith("reads"))


def test_charts_have_titles_units_and_every_form():
    for name, chart in values_of(ROWS, FIGURES["area"]).items():
        said = texts_of(DOCS / chart_name(name))
        assert {chart.title, chart.unit, *chart.forms, *chart.panels} <= set(said)
        assert len(chart.forms) == (4 if name != "area" else 3)
        for panel in chart.panels:
            assert all(label in said for label in chart.labels(panel))


def test_charts_are_of_the_figures(tmp_path):
    draw(ROWS, FIGURES["area"], tmp_path)
    for name in MEASURES:
        drawn = tmp_path / chart_name(name)
        xml.etree.ElementTree.parse(drawn)
        assert texts_of(DOCS / drawn.name) == texts_of(drawn), "ringwalker bench-rings --from ... --docs docs"


def test_a_limit_is_where_it_cannot_be_passed():
    charts = values_of(ROWS, FIGURES["area"])
    for name in ("rate", "up", "down"):
        chart = charts[name]
        for panel, values in chart.panels.items():
            for value, limit in zip(values, chart.limits[panel], strict=True):
                # A load ends within a batch, for which less is sent than for a whole one.
                assert value <= limit if name == "rate" else value > 0.99 * limit, (name, panel)


def test_documents_are_written_of_figures_that_were_measured_before(tmp_path, capsys):
    assert cli.main(["bench-rings", "--from", str(DOCS / "rings.json"), "--docs", str(tmp_path)]) == 0
    assert {file.name for file in tmp_path.iterdir()} == set(FILES)
    assert (tmp_path / "rings.md").read_text() == (DOCS / "rings.md").read_text()


def test_every_load_and_every_ring_is_measured(tmp_path, monkeypatch):
    class Played(Runner):
        def results(self, tasks, say):
            assert [task.arguments for task in tasks[-len(RINGS) :]] == [{"ring": ring} for ring in RINGS]
            cases = [Case(**task.arguments["case"]) for task in tasks[: -len(RINGS)]]
            assert cases == list(rings.cases())
            values = [*FIGURES["rows"], *FIGURES["area"]]
            for task, value in zip(tasks, values, strict=True):
                yield Result(task.key, value)

    monkeypatch.setattr(campaign_options, "open_runner", lambda *_asked: nullcontext(Played()))
    path = tmp_path / "rings.json"
    assert cli.main(["bench-rings", "--json", str(path)]) == 0
    assert json.loads(path.read_text()) == FIGURES


def test_figures_of_something_else_are_named(capsys):
    assert cli.main(["bench-rings", "--from", str(DOCS / "synthesis.json")]) == 2
    assert "is not what 'ringwalker bench-rings' has written" in capsys.readouterr().err


def _again(case: Case) -> Any:
    """Of the loads on a ring, two: those on the packed one need models of their own."""
    mark = pytest.mark.slow if case.ring == "split" else pytest.mark.campaign
    group = pytest.mark.xdist_group(f"{case.function}-rings")
    return pytest.param(case, id=f"{case.ring}-{case.in_order}-{case.function}", marks=[mark, group])


@pytest.mark.parametrize(
    "case", [_again(case) for case in rings.cases() if case.size in (64, 512) and case.direction == "read"]
)
def test_no_drop(case):
    row = measure(case)
    committed = next(other for other in ROWS if case_of(other) == case)
    for name in ("cycles", "wire_up_bytes", "wire_down_bytes", "dependent_reads"):
        assert row[name] <= committed[name], name
