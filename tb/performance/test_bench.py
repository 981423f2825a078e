"""The figures that are committed: they hold, they are complete, and the page is made of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim import performance
from ringwalker_sim.cli import main as cli
from ringwalker_sim.engine.native import models
from ringwalker_sim.errors import DataError
from ringwalker_sim.performance import CHECK, FULL, QUICK, Case, measure, tasks
from ringwalker_sim.performance.chart_style import texts_of
from ringwalker_sim.performance.goals import GOALS, cells_of, port_load
from ringwalker_sim.performance.plot import DOCS_CHARTS, draw_docs, panels_of
from ringwalker_sim.performance.report import case_of, page
from ringwalker_sim.testing.devices import SMALL_BLK, SMALL_NET

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROWS: list[dict[str, Any]] = json.loads((DOCS / "performance.json").read_text())["rows"]
BY_CASE = {case_of(row): row for row in ROWS}
KEYS = (
    *("function", "direction", "size", "queues", "batch", "ring", "link", "data_width", "clock_mhz"),
    *("latency_ns", "requests", "cycles", "rate_per_s", "ceiling_per_s", "efficiency", "wire_up_bytes"),
    *("wire_down_bytes", "request_beats", "answer_beats", "latency_cycles", "dependent_reads"),
)


def assert_no_worse(row: dict[str, Any]) -> None:
    """A row that needs more of anything than the committed one is a drop; one that needs less is welcome.

    ``ringwalker bench --docs docs`` commits to new figures.
    """
    before = BY_CASE[case_of(row)]
    for name in (
        "cycles",
        "wire_up_bytes",
        "wire_down_bytes",
        "request_beats",
        "answer_beats",
        "dependent_reads",
    ):
        assert row[name] <= before[name], name
    assert row["latency_cycles"]["p50"] <= before["latency_cycles"]["p50"]


def _named(case: Case, *marks: Any) -> Any:
    """``case`` as a parameter; all rows of a device are measured by one process, which builds it."""
    device = (case.function, case.data_width, case.device_queues, case.queue_size)
    group = pytest.mark.xdist_group("-".join(map(str, device)))
    return pytest.param(case, id="-".join(case.arguments[1::2]), marks=[*marks, group])


@pytest.mark.parametrize("case", [_named(case, *[pytest.mark.slow] * (case.queues > 16)) for case in CHECK])
def test_no_drop(case):
    row = measure(case)
    assert_no_worse(row)
    assert set(KEYS) <= set(row)
    assert not case.each_queue or row["slowest_queue"] >= 0.5
    assert row["rate_per_s"] == pytest.approx(case.requests / (row["cycles"] / case.clock_mhz / 1e6))
    assert row["efficiency"] == pytest.approx(row["rate_per_s"] / case.cost.rate(case.pcie))


def _when(case: Case) -> Any:
    """Those of ``--quick`` are of two devices; each of the others takes minutes to build."""
    return pytest.mark.slow if case in QUICK else pytest.mark.campaign


@pytest.mark.parametrize("case", [_named(case, _when(case)) for case in FULL])
def test_no_drop_in_any_row(case):
    assert_no_worse(measure(case))


def test_rows_of_the_usual_run_are_of_the_devices_that_other_tests_build():
    assert {str(case.config) for case in CHECK if case.queues <= 16} == {str(SMALL_BLK), str(SMALL_NET)}


def test_there_is_a_row_for_every_case():
    assert set(BY_CASE) == {*FULL, *CHECK}
    assert len(BY_CASE) == len(ROWS)
    assert set(QUICK) <= set(FULL)
    assert all(0 < row["efficiency"] <= 1 for row in ROWS)


def test_the_page_is_made_of_the_figures():
    devices = json.loads((DOCS / "synthesis.json").read_text())["devices"]
    assert (DOCS / "performance.md").read_text() == page(ROWS, devices), "ringwalker bench --docs docs"


def test_each_row_names_its_command():
    text = page(ROWS)
    for row in ROWS:
        case = case_of(row)
        options = cli.build_parser().parse_args(["bench", *case.arguments])
        given = {name: getattr(options, name) for name in case.key if getattr(options, name) is not None}
        assert Case(**given) == case
        assert f"\nringwalker bench {' '.join(case.arguments)}\n" in text


def test_goals_are_shown_with_what_is_reached():
    cells = cells_of(ROWS)
    assert len(cells) == len(GOALS)
    for _name, wanted, reached, met in cells:
        enough = float(reached.split()[0]) >= float(wanted.split()[0])
        assert met.startswith("yes" if enough else "no: the link is")


def test_a_port_that_is_full_is_what_limits():
    """80 requests in 200 cycles, 1 beat and 2.25 beats each: 30 % of the ceiling at 90 % of the port."""
    wide = next(row for row in ROWS if row["link"] == "gen3x16" and row["function"] == "net")
    row = wide | {"requests": 80, "cycles": 200, "request_beats": 1, "answer_beats": 2.25, "efficiency": 0.3}
    assert port_load(row) == pytest.approx((0.4, 0.9))
    ((_name, _wanted, _reached, met),) = cells_of([row])
    assert "a beat in 90 % of the cycles" in met
    assert met.endswith("could not reach more than 33 %")
    ((*_others, met),) = cells_of([row | {"answer_beats": 1.9}])
    assert "beat" not in met


def test_one_row_by_command(tmp_path, capsys):
    case = CHECK[-1]
    assert cli.main(["bench", *case.arguments, "--json", "-"]) == 0
    output = capsys.readouterr()
    (row,) = json.loads(output.out)["rows"]
    assert case_of(row) == case
    assert f"{case.function} {case.direction}" in output.err
    (tmp_path / "one.json").write_text(output.out)
    assert cli.main(["bench", "--from", str(tmp_path / "one.json"), "--docs", str(tmp_path)]) == 0
    assert (tmp_path / "performance.md").read_text() == page([row])
    assert json.loads((tmp_path / "performance.json").read_text()) == {"rows": [row]}


@pytest.mark.slow
def test_rows_do_not_depend_on_how_many_are_measured_at_once(tmp_path, monkeypatch, capsys):
    device = CHECK[0].config
    monkeypatch.setattr(performance.cases, "QUICK", [case for case in CHECK if case.config == device][:3])
    for workers in ("1", "2"):
        words = ["bench", "--quick", "--workers", workers, "--json", str(tmp_path / workers)]
        assert cli.main(words) == 0
    one, two = (json.loads((tmp_path / workers).read_text())["rows"] for workers in ("1", "2"))
    assert one == two
    assert len(two) == 3


def test_a_row_that_fails_names_itself(monkeypatch, capsys):
    def fail(case, status, timeline, captures):
        raise DataError("the data differs")

    monkeypatch.setattr(tasks, "measure", fail)
    monkeypatch.setattr(models, "build_model", lambda _say, config: None)
    assert cli.main(["bench", "--size", "512", "--depth", "2"]) == 1
    assert capsys.readouterr().err.endswith("--direction read --size 512 --depth 2: the data differs\n")


def test_charts(tmp_path):
    for name, begin in (("figures.svg", b"<?xml"), ("figures.png", b"\x89PNG")):
        path = tmp_path / name
        assert cli.main(["bench", "--from", str(DOCS / "performance.json"), "--plot", str(path)]) == 0
        content = path.read_bytes()
        assert content.startswith(begin)
    said = texts_of(tmp_path / "figures.svg")
    assert {"Network, by size", "Disk, by size", "bytes a request", "Gb/s of payload"} <= set(said)
    assert {"sent, 1 queue", "written, 16 queues", "read, 1 queue, indirect"} <= set(said)
    assert said.count("what the link allows") == 4  # once a part


def test_a_panel_has_few_points_and_each_says_what_is_reached():
    rows = [row for row in ROWS if row["function"] == "blk"]
    panels = panels_of(rows, DOCS_CHARTS["throughput.svg"])
    assert len(panels) == len({panel.title for panel in panels}) == 6
    for panel in panels:
        assert [point[0] for point in panel.points] == [512, 4096, 65536]
        for row, (_size, reached, ceiling) in zip(panel.rows, panel.points, strict=True):
            assert reached / ceiling == pytest.approx(row["efficiency"])


def test_charts_of_the_page_are_of_its_figures(tmp_path):
    draw_docs(ROWS, tmp_path)
    for name in DOCS_CHARTS:
        assert f"({name})" in (DOCS / "performance.md").read_text()
        assert texts_of(DOCS / name) == texts_of(tmp_path / name), "ringwalker bench --from ... --docs docs"
    row = next(row for row in ROWS if row["function"] == "net" and row["size"] == 64)
    assert f"{100 * row['efficiency']:.0f} %" in texts_of(DOCS / "throughput.svg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--direction", "up"), "direction is 'up'; it must be one of read, write"),
        (("--function", "net"), "direction is 'read'; it must be one of tx, rx"),
        (("--function", "rng"), "function is 'rng'; it must be one of blk, net"),
        (("--queues", "17"), "queues is 17; there are 16 that can be used"),
        (("--function", "net", "--direction", "tx", "--queues", "2"), "queues is 2; there are 1 that"),
        (("--function", "net", "--direction", "tx", "--indirect"), "indirect is for blk"),
        (("--depth", "300"), "depth is 300; 1 queue(s) have 256 entries"),
        (("--data-width", "100"), "data_width is 100"),
        (("--size", "4k", "--quick"), "--size measures one row"),
        (("--quick", "--docs", "."), "--docs: the page has all rows"),
        (("--quick", "--docs", "nowhere"), "--docs"),
        (("--quick", "--plot", "a.pdf"), "--plot a.pdf: the name must end with .svg or .png"),
        (("--from", "nowhere.json"), "nowhere.json: No such file"),
        (("--from", "README.md"), "README.md: is not what 'ringwalker bench' has written"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert cli.main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_requests_are_shared_out_evenly_or_not_at_all():
    case = replace(next(case for case in CHECK if case.each_queue), depth=33)
    with pytest.raises(ValueError, match="depth is 33; it must be a multiple of the 32 queues in use"):
        measure(case)
