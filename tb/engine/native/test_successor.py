"""The process that builds a change-driven model beside a run: it ends when the run does.

``tb/system/test_changes.py`` has a run that goes over to what it has built.
"""

import os
import time
from typing import cast

from ringwalker.config import DeviceConfig
from ringwalker_sim.engine.native.changes.library import ChangeDriven
from ringwalker_sim.engine.native.successor import Successor


def in_group(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(name)) == group:
                found.append(int(name))
        except ProcessLookupError:
            continue
    return found


def test_it_ends_with_all_programs_that_it_has_started(tmp_path, monkeypatch):
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path))
    successor = Successor(DeviceConfig(data_width=64), cast(ChangeDriven, None), sanitize=False)
    process = successor._process
    give_up = time.monotonic() + 60
    while not any(tmp_path.iterdir()) and time.monotonic() < give_up:  # it has begun to build
        time.sleep(0.05)
    assert process.poll() is None
    successor.stop()
    assert process.returncode is not None
    assert in_group(process.pid) == []
    assert not successor.has_taken_over
