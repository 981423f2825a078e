"""Rows of a sweep as CSV, as Parquet and as charts, and which devices are worth their area."""

import csv
import io
from typing import Any

import pyarrow.parquet
import pytest

from ringwalker_sim.campaign.task import Result
from ringwalker_sim.sweep import table
from ringwalker_sim.sweep.charts import MOST_CURVES, charts_of
from ringwalker_sim.sweep.grid import Grid
from ringwalker_sim.sweep.table import check_parquet, csv_text, front_of, groups_of, parquet_bytes
from ringwalker_sim.sweep.work import area_tasks, rows_of
from ringwalker_sim.toolchain import ToolError


def row(**values: Any) -> dict[str, Any]:
    return {"size": 512, "bytes_per_s": 1e9, "ceiling_per_s": 4e6, **values}


def test_a_row_has_its_keys_what_was_measured_and_the_area_of_its_device():
    grid = Grid.of(["suspend=false,true", "depth=1,4"])
    tasks = area_tasks(grid.cases, "ecp5")
    measured = {"latency_cycles": {"p50": 5, "p99": 6}, "cycles": 7}
    found = [Result("k", {**case.key, **measured}) for case in grid.cases]
    found[1] = Result("k", error="it failed")
    areas = [Result(task.key, {"lut": 100 + n}) for n, task in enumerate(tasks)]
    rows = rows_of(grid.cases, found, areas, "ecp5")
    shown = [(item["suspend"], item["depth"], item["area_lut"]) for item in rows]
    assert shown == [(False, 1, 100), (True, 1, 101), (True, 4, 101)]
    assert (rows[0]["latency_p50_cycles"], rows[0]["cycles"]) == (5, 7)
    assert not {"device", "latency_cycles"} & set(rows[0])


def test_both_files_have_all_rows_and_columns():
    rows = [row(ring="split", indirect=True), row(ring="packed", indirect=False, area_lut=7)]
    read = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert [item["area_lut"] for item in read] == ["", "7"]
    found = pyarrow.parquet.read_table(io.BytesIO(parquet_bytes(rows))).to_pylist()
    assert found == [{**rows[0], "area_lut": None}, rows[1]]


def test_without_pyarrow_there_is_one_line(monkeypatch):
    monkeypatch.setattr(table, "find_spec", lambda _name: None)
    with pytest.raises(ToolError, match=r"^Parquet needs pyarrow: pip install 'ringwalker\[parquet\]'$"):
        check_parquet()


def test_the_front_has_what_no_smaller_device_is_as_fast_as():
    rows = [
        row(area_lut=lut, bytes_per_s=speed, name=name)
        for name, lut, speed in (
            ("large", 300, 9e9),
            ("slow", 200, 1e9),
            ("as large but slower", 100, 1e9),
            ("small", 100, 2e9),
            ("same but larger", 150, 2e9),
        )
    ]
    assert [item["name"] for item in front_of([*rows, row(name="not synthesized")])] == ["small", "large"]


def test_devices_are_compared_under_the_same_link_and_workload():
    rows = [row(link=link, chains=chains) for link in ("a", "b") for chains in (1, 2, 4)]
    groups = groups_of(rows, ["link", "chains"])
    assert {key: len(group) for key, group in groups.items()} == {("a",): 3, ("b",): 3}


def test_charts_are_against_the_number_with_most_values_with_few_curves_each():
    rows = [
        row(depth=depth, queues=queues, link=link, ring=ring)
        for depth in (4, 1, 2, 8, 16, 32, 64, 128)
        for queues in (1, 2, 4)
        for link in ("a", "b")
        for ring in ("split", "packed")
    ]
    charts = charts_of(rows, ["depth", "queues", "link", "ring"])
    assert [chart.title for chart in charts] == [
        "link a, ring split",
        "link a, ring packed",
        "link b, ring split",
        "link b, ring packed",
    ]
    assert all(list(chart.curves) == ["queues 1", "queues 2", "queues 4"] for chart in charts)
    assert [item["depth"] for item in charts[0].curves["queues 1"]] == [1, 2, 4, 8, 16, 32, 64, 128]
    turned = charts_of(rows, ["depth", "queues", "link", "ring"], "ring")
    assert turned[0].x == "ring"
    assert max(len(chart.curves) for chart in turned) <= MOST_CURVES
    assert sum(len(curve) for chart in turned for curve in chart.curves.values()) == len(rows)
    (one,) = charts_of(rows[:1], ["depth"])
    assert list(one.curves) == ["measured"]


def test_with_area_there_is_a_chart_of_the_fronts():
    rows = [
        row(link=link, chains=chains, area_lut=100 * chains, bytes_per_s=chains * 1e9)
        for link in ("a", "b")
        for chains in (1, 2, 4)
    ]
    fronts = charts_of(rows, ["link", "chains"])[-1]
    assert fronts.x == ""
    assert {name: len(curve) for name, curve in fronts.curves.items()} == {"link a": 3, "link b": 3}
