"""Campaigns on Dask: a scheduler and workers in processes of their own, some of which are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.campaign.flights import ClusterError
from ringwalker_sim.campaign.runner import open_runner

TASKS = """
import os, signal, time

def noted(say, name):
    with open("runs", "a") as file:
        file.write(f"{name} {os.getpid()}\\n")

def square(say, n, seconds):
    noted(say, f"square{n}")
    say("multiplying")
    time.sleep(seconds)
    return {"square": n * n}

def kill(say):
    os.kill(os.getpid(), signal.SIGKILL)
"""

DRIVER = """
import json, sys
from ringwalker_sim.campaign.folder import CampaignFolder
from ringwalker_sim.campaign.runner import open_runner
from ringwalker_sim.campaign.task import Call, Task
from ringwalker_sim.errors import RingwalkerError

if __name__ == "__main__":
    folder, runner, tasks = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    model = Call("tasks:noted", {"name": "model"})
    try:
        with CampaignFolder(folder, "test", {}) as campaign, open_runner(**runner) as runner:
            print(json.dumps(runner.dashboard), flush=True)
            for part in tasks:
                found = runner.run([Task(*task, (model,)) for task in part], campaign)
                print(json.dumps([[item.key, item.value, item.error] for item in found]), flush=True)
    except RingwalkerError as error:
        print(json.dumps(str(error)))
"""
SQUARES = [["tasks:square", {"n": n, "seconds": 0.1}, f"square{n}"] for n in range(12)]
RESULTS = [[f"square{n}", {"square": n * n}, ""] for n in range(12)]


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    (folder / "tasks.py").write_text(TASKS)
    (folder / "driver.py").write_text(DRIVER)
    path = os.pathsep.join([str(folder), *(item for item in sys.path if item)])
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def drive(folder: Path, *tasks: Any, **runner: Any) -> "subprocess.Popen[str]":
    """A campaign that runs some lists of tasks, one after the other."""
    return start(folder, "driver.py", "campaign", json.dumps(runner), json.dumps(tasks))


def runs(folder: Path) -> list[list[str]]:
    """Name and process of each call so far."""
    path = folder / "runs"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition: Any) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < 60
        time.sleep(0.02)


def alive(number: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, list["subprocess.Popen[str]"]]]:
    """The address of a scheduler, and its two workers."""
    file = folder / "scheduler.json"
    quiet = ("--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard")
    with ExitStack() as stack:
        command = ("-m", "distributed.cli.dask_scheduler", *quiet, "--port", "0")
        stack.enter_context(ended(start(folder, *command)))
        worker = ("-m", "distributed.cli.dask_worker", *quiet, "--no-nanny", "--nthreads", "1")
        workers = [stack.enter_context(ended(start(folder, *worker))) for _ in range(2)]
        wait_for(lambda: file.exists() and file.read_text().endswith("}"))
        yield json.loads(file.read_text())["address"], workers


def test_a_killed_worker_and_a_killed_campaign_lose_nothing(tmp_path: Path):
    with scheduler(tmp_path) as (address, workers):
        first = drive(tmp_path, SQUARES, scheduler=address)
        wait_for(lambda: len(runs(tmp_path)) > 4)
        victim = next(item for item in workers if str(item.pid) == runs(tmp_path)[-1][1])
        victim.kill()
        killed_at = len(runs(tmp_path))
        wait_for(lambda: len(runs(tmp_path)) > killed_at + 2)
        first.kill()
        first.communicate()
        written = (tmp_path / "campaign/results.jsonl").read_text().count("\n")
        assert 4 <= written < 12
        time.sleep(0.3)
        output, errors = drive(tmp_path, SQUARES, scheduler=address).communicate(timeout=60)
    assert not errors
    assert json.loads(output.splitlines()[-1]) == RESULTS
    rows = (tmp_path / "campaign/results.jsonl").read_text().splitlines()
    assert sorted(json.loads(row)["key"] for row in rows) == sorted(key for key, *_ in RESULTS)
    # Twice: what the worker had, and what was in flight when the campaign ended; the model once a campaign.
    counts = Counter(name for name, _process in runs(tmp_path))
    assert counts.pop("model") == 2
    assert max(counts.values()) <= 3
    assert sum(counts.values()) <= 12 + 3


def test_a_local_cluster_ends_at_ctrl_c(tmp_path: Path):
    slow = [["tasks:square", {"n": n, "seconds": 60}, f"square{n}"] for n in (20, 21)]
    process = drive(tmp_path, SQUARES[:4], slow, workers=2)
    wait_for(lambda: {"square20", "square21"} <= {name for name, _process in runs(tmp_path)})
    workers = {int(number) for name, number in runs(tmp_path) if name in ("square20", "square21")}
    assert len(workers) == 2
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert not any(alive(number) for number in workers)
    link, found = (json.loads(line) for line in output.splitlines())
    assert link.startswith("http://127.0.0.1:")
    assert found == RESULTS[:4]
    assert sum(name == "model" for name, _process in runs(tmp_path)) == 1
    assert errors.count("Traceback") == 1  # of the driver itself


@pytest.mark.slow
def test_a_task_that_kills_is_named_and_the_others_are_done(tmp_path: Path):
    process = drive(tmp_path, [["tasks:kill", {}, "kill"], *SQUARES], workers=2)
    output, errors = process.communicate(timeout=60)
    assert not errors
    killed = ["kill", None, "it kills workers: 3 died of it"]
    assert json.loads(output.splitlines()[-1]) == [killed, *RESULTS]


def test_where_no_scheduler_is_there_is_one_line():
    for address, reason in {
        "127.0.0.1:1": "scheduler tcp://127.0.0.1:1: Connection refused",
        "somewhere": "scheduler tcp://somewhere: missing port number in address 'somewhere'",
    }.items():
        with pytest.raises(ClusterError) as caught, open_runner(scheduler=address):
            pass
        assert str(caught.value) == reason
