"""Items that are worked out in processes: their results, and how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import json, os, signal, sys, time
from ringwalker_sim.errors import DataError
from ringwalker_sim.processes import ItemError, each_of

def work(item, say):
    if item == "wrong":
        raise DataError("the data differs")
    if item == "a bug":
        raise IndexError("nobody expected this")
    if item == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "slow":
        open(str(os.getpid()), "w").close()
        time.sleep(60)
    say("half")
    return [item, os.getpid()]

if __name__ == "__main__":
    for items in json.loads(sys.argv[1]):
        said = []
        try:
            found = each_of(work, items, [f"item {n}" for n in items], 2, lambda *what: said.append(what))
        except ItemError as error:
            found = [str(error), error.exit_code, *getattr(error, "__notes__", [])]
        print(json.dumps([found, said, os.getpid()]), flush=True)
"""


def _start(folder: Path, items: list[list[str]]) -> "subprocess.Popen[str]":
    (folder / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "script.py", json.dumps(items)]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_results_are_in_order_and_failures_are_named(tmp_path):
    items = [list("abcd"), ["one"], ["a", "wrong", "slow"], ["a bug", "b"], ["killed", "b"], ["wrong"]]
    output, errors = _start(tmp_path, items).communicate()
    rows = [json.loads(line) for line in output.splitlines()]
    found = [row[0] for row in rows]
    assert [name for name, _process in found[0]] == list("abcd")
    assert rows[0][2] not in {process for _name, process in found[0]}
    assert len({process for _name, process in found[0]}) == 2
    assert rows[0][1][-1][0] == 4
    assert any(text == "item b: half" for _done, text in rows[0][1])
    assert found[1] == [["one", rows[1][2]]]
    assert found[2] == ["item wrong: the data differs", 1]
    assert found[3][:2] == ["item a bug: IndexError: nobody expected this", 1]
    assert "in work" in found[3][2]
    assert found[4] == ["item killed: its process was ended by SIGKILL", 1]
    assert found[5] == ["item wrong: the data differs", 1]
    assert not errors


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_one_that_asked(tmp_path, by):
    process = _start(tmp_path, [["slow", "slow"]])
    began = time.monotonic()
    while len(numbers := [int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()]) < 2:
        assert time.monotonic() - began < 60
        time.sleep(0.05)
    process.send_signal(by)
    _output, errors = process.communicate()
    if by == signal.SIGINT:
        assert errors.count("Traceback") == 1  # of the script itself
    while any(Path(f"/proc/{number}").exists() for number in numbers):
        assert time.monotonic() - began < 60
        time.sleep(0.05)
