"""Campaigns in one process: their folders, and what becomes of each task."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.campaign import runner as runners
from ringwalker_sim.campaign.folder import DESCRIPTION, RESULTS, CampaignFolder, FolderError
from ringwalker_sim.campaign.runner import NoClusterError, open_runner
from ringwalker_sim.campaign.task import Call, Result, Task, TaskError
from ringwalker_sim.errors import DataError, ParameterError

HERE = __name__
calls: list[Any] = []


def square(say: Any, n: int) -> dict[str, int]:
    """A task."""
    calls.append(n)
    say("multiplying")
    return {"square": n * n}


def wrong(say: Any, what: str) -> Any:
    """A task that fails: expected, by a bug, or since no JSON can hold what it gives."""
    calls.append(what)
    if what == "data":
        raise DataError("the data differs")
    if what == "bug":
        raise IndexError("nobody expected this")
    return {1, 2}


def prepared(say: Any, name: str) -> None:
    """A preparation."""
    calls.append(name)
    if name == "broken":
        raise DataError("no compiler")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    calls.clear()
    monkeypatch.setitem(__import__("sys").modules, "campaign_tasks", __import__("sys").modules[HERE])


def task(n: int, *prepare: Call) -> Task:
    return Task("campaign_tasks:square", {"n": n}, f"square {n}", prepare)


def run(folder: Path | None, tasks: list[Task], description: Any = None, **options: Any) -> list[Result]:
    with open_runner() as runner:
        if folder is None:
            return runner.run(tasks, **options)
        with CampaignFolder(folder, "test", description or {}) as campaign:
            return runner.run(tasks, campaign, **options)


def test_results_are_in_the_order_of_the_tasks_and_progress_is_said():
    said: list[tuple[int, str]] = []
    found = run(None, [task(3), task(2)], progress=lambda *what: said.append(what))
    assert [item.value for item in found] == [{"square": 9}, {"square": 4}]
    assert (0, "square 3: multiplying") in said
    assert said[-1] == (2, "square 2")


def test_a_failure_is_of_its_task_alone():
    bad = [Task("campaign_tasks:wrong", {"what": what}, what) for what in ("data", "bug", "set")]
    nowhere = [Task(name, {}, name) for name in ("campaign_tasks:nothing", "no.such.module:f")]
    found = {item.key: item for item in run(None, [*bad, task(2), *nowhere])}
    assert (found["data"].error, found["data"].exit_code, found["data"].trace) == ("the data differs", 1, "")
    assert found["bug"].error == "IndexError: nobody expected this"
    assert "in wrong" in found["bug"].trace
    assert "not JSON serializable" in found["set"].error
    assert found["square 2"].value == {"square": 4}
    for item in nowhere:
        assert found[item.key].error.startswith(f"{item.key}: cannot be imported")


def test_the_first_failure_ends_the_run_where_that_is_asked_for():
    tasks = [task(1), Task("campaign_tasks:wrong", {"what": "bug"}, "a bug"), task(2)]
    with pytest.raises(TaskError, match="a bug: IndexError") as caught:
        run(None, tasks, stop_at_failure=True)
    assert str(caught.value) == "a bug: IndexError: nobody expected this"
    assert "in wrong" in caught.value.trace
    assert calls == [1, "bug"]


def test_a_preparation_is_made_once_and_its_failure_is_that_of_its_tasks():
    good, broken = (Call("campaign_tasks:prepared", {"name": name}) for name in ("good", "broken"))
    found = run(None, [task(1, good), task(2, broken), task(3, good), task(4, good, broken)])
    assert [item.error for item in found] == ["", "no compiler", "", "no compiler"]
    assert calls == ["good", 1, "broken", 3]


def test_a_folder_goes_on_and_runs_again_what_failed(tmp_path: Path):
    tasks = [task(1), Task("campaign_tasks:wrong", {"what": "data"}, "data"), task(2)]
    with pytest.raises(TaskError):
        run(tmp_path / "c", tasks, stop_at_failure=True)
    assert calls == [1, "data"]
    found = run(tmp_path / "c", tasks)
    assert [item.value for item in found] == [{"square": 1}, None, {"square": 4}]
    assert calls == [1, "data", "data", 2]
    assert [item.value for item in run(tmp_path / "c", [tasks[0], tasks[2]])] == [
        {"square": 1},
        {"square": 4},
    ]
    assert calls == [1, "data", "data", 2]


@pytest.mark.parametrize("cut", [1, 10])
def test_a_torn_last_line_is_as_if_it_were_not_there(tmp_path: Path, cut: int):
    run(tmp_path, [task(1), task(2)])
    whole = (tmp_path / RESULTS).read_bytes()
    (tmp_path / RESULTS).write_bytes(whole[:-cut])
    found = run(tmp_path, [task(1), task(2)])
    assert [item.value for item in found] == [{"square": 1}, {"square": 4}]
    assert calls == [1, 2, 2]
    rows = [json.loads(line) for line in (tmp_path / RESULTS).read_text().splitlines()]
    assert [row["key"] for row in rows] == ["square 1", "square 2"]


def test_results_are_in_the_file_before_the_next_task(tmp_path: Path):
    lines: list[int] = []
    run(tmp_path, [task(1), task(2)], each=lambda *_: lines.append(len((tmp_path / RESULTS).read_text())))
    assert 0 < lines[0] < lines[1]


def test_a_folder_of_another_campaign_is_refused(tmp_path: Path):
    run(tmp_path, [task(1)], {"seed": 1, "width": 64})
    with pytest.raises(FolderError, match="of another campaign: seed is 1, not 2"):
        run(tmp_path, [task(1)], {"seed": 2, "width": 64})
    with pytest.raises(FolderError, match="of another campaign, test"):
        CampaignFolder(tmp_path, "other", {})
    other = Task("campaign_tasks:square", {"n": 5}, "square 1")
    with pytest.raises(FolderError, match="square 1 is another task there"):
        run(tmp_path, [other], {"seed": 1, "width": 64})
    (tmp_path / DESCRIPTION).write_text("[]")
    with pytest.raises(FolderError, match="is no description of a campaign"):
        run(tmp_path, [task(1)])
    (tmp_path / DESCRIPTION).unlink()
    with pytest.raises(FolderError, match=f"has {RESULTS} and no {DESCRIPTION}"):
        run(tmp_path, [task(1)])


def test_a_line_that_is_no_result_is_named(tmp_path: Path):
    run(tmp_path, [task(1)])
    with open(tmp_path / RESULTS, "a") as file:
        file.write('{"key": 5}\n')
    with pytest.raises(FolderError, match="line 2 is no result"):
        run(tmp_path, [task(1)])


def test_a_folder_is_had_by_one_process_at_a_time(tmp_path: Path):
    with CampaignFolder(tmp_path, "test", {}):
        with pytest.raises(FolderError, match="another process works on this campaign"):
            CampaignFolder(tmp_path, "test", {})
    CampaignFolder(tmp_path, "test", {}).__exit__()


def test_two_tasks_with_one_key_are_refused():
    with pytest.raises(ParameterError, match="two tasks have the key 'square 1'"):
        run(None, [task(1), task(1)])
    assert not calls


def test_more_than_this_process_needs_dask(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runners, "find_spec", lambda _name: None)
    for asked in ((2, ""), (1, "127.0.0.1:8786")):
        with pytest.raises(NoClusterError, match=r"not installed: pip install 'ringwalker\[cluster\]'$"):
            with open_runner(*asked):
                pass
    assert run(None, [task(1)])[0].value == {"square": 1}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="cannot be written") as caught:
        CampaignFolder(tmp_path / "file" / "c", "test", {})
    assert os.linesep not in str(caught.value)
