"""What all tests share: fixed seeds, a cache in the checkout, the same current folder, and a full disk."""

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from ringwalker_sim.engine.native.models import MODEL_VARIABLE
from ringwalker_sim.testing import SIMULATOR

ROOT = Path(__file__).resolve().parents[1]
FIRST = (
    # The dearest benches and models; no two neighbours build the same one.
    "tb/performance/test_bench.py",
    "tb/queue/test_walker.py",
    "tb/queue/test_lanes.py",
    "tb/test_core.py",
    "tb/system/test_device.py",
    "tb/engine/native/test_net.py",
    "tb/vfio_user/test_bridge.py",
    "examples/crc32/",
    "tb/engine/native/test_console.py",
    "tb/cli/test_rng.py",
    "tb/function/",
    "tb/vm/",
    "tb/guest/test_matrix.py",
    "tb/proofs/",
    "tb/engine/native/test_disk.py",
    "tb/system/test_cocotb_engine.py",
    "tb/engine/native/changes/test_library.py",
    "tb/queue/packed/test_ring.py",
    "tb/test_generate.py",
)
"""Beginnings of names of tests, in the order in which they are run before all others."""
OTHER_SIMULATOR = (
    "tb/test_buffers.py",
    "tb/tlp/test_arbiter.py",
    "tb/queue/test_table.py",
    "tb/transport/test_common_config.py",
)
"""Files whose benches go through the other simulator in the slow run; all others do so in campaigns."""
SEED = int(os.environ.get("RINGWALKER_SEED", "1"))

# A shell starts what runs in its background with SIGINT ignored, and nohup everything with SIGHUP; tests send
# both to themselves and to children.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)
os.environ.setdefault("RINGWALKER_CACHE", str(ROOT / ".cache"))
# Most tests simulate little: such a model is built in less time.
os.environ.setdefault(MODEL_VARIABLE, "quick")
if "RINGWALKER_SEED" in os.environ:
    os.environ.setdefault("COCOTB_RANDOM_SEED", str(SEED))
# What a random test does must not depend on the run: "ci" derives its examples from the test alone.
settings.register_profile("ci", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_report_header() -> str:
    """The seed, so that a run can be repeated."""
    return f"ringwalker: RINGWALKER_SEED={SEED}, cache {os.environ['RINGWALKER_CACHE']}"


@pytest.fixture(autouse=True)
def _reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same random numbers and the same folder for every test, wherever pytest was started."""
    random.seed(SEED)
    np.random.seed(SEED)
    monkeypatch.chdir(ROOT)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of a bench once more, with the simulator that is not the usual one, as a slow test or in a
    campaign."""
    if "run_bench" in metafunc.function.__code__.co_names and "_simulator" in metafunc.fixturenames:
        usual = pytest.param("", id=pytest.HIDDEN_PARAM)
        path = metafunc.definition.path.relative_to(ROOT).as_posix()
        mark = pytest.mark.slow if path in OTHER_SIMULATOR else pytest.mark.campaign
        other = pytest.param("other", marks=mark)
        metafunc.parametrize("_simulator", [usual, other], indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests are run, in which order, and which of them by the same process.

    Of a bench with several parameters, the first ones are enough for the other simulator. What takes longest
    from an empty cache comes first, so that no process is left alone with it in the end. A file is run by one
    process, which has its fixtures; a bench is by itself, and rows of figures go by their device.
    """
    items[:] = _without_more_of_the_other_simulator(items)
    items.sort(key=_place)
    for item in items:
        if not item.get_closest_marker("xdist_group") and not _is_bench(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _place(item: pytest.Item) -> int:
    """Where in :data:`FIRST` the file of ``item`` is; behind its end for all others."""
    return next((n for n, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST))


def _is_bench(item: pytest.Item) -> bool:
    return "run_bench" in getattr(item, "function", _place).__code__.co_names


def _without_more_of_the_other_simulator(items: list[pytest.Item]) -> list[pytest.Item]:
    seen = set()
    kept = []
    for item in items:
        call = getattr(item, "callspec", None)
        parameters = call.params if call else {}
        if parameters.get("_simulator") == "other":
            function = item.nodeid.partition("[")[0]
            if function in seen:
                continue
            seen.add(function)
        kept.append(item)
    return kept


def slowest_groups(reports: Iterable[Any], count: int) -> list[tuple[float, str]]:
    """Where a run's time went: seconds and names of the groups of tests that took longest, the longest first.

    A group is what one process runs at a stretch; pytest-xdist writes its name behind the test's.
    """
    seconds: dict[str, float] = {}
    for report in reports:
        test, _at, group = report.nodeid.rpartition("@")
        name = group if test else report.nodeid
        seconds[name] = seconds.get(name, 0.0) + report.duration
    return sorted(((value, name) for name, value in seconds.items()), reverse=True)[:count]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """After a run by several processes: which groups are to be made cheaper, or to come first."""
    if not config.getoption("numprocesses", None) or config.option.collectonly:
        return
    reports = [one for some in terminalreporter.stats.values() for one in some if hasattr(one, "duration")]
    total = sum(one.duration for one in reports)
    terminalreporter.section(f"slowest groups, of {total:.0f} s of tests")
    for seconds, name in slowest_groups(reports, 10):
        terminalreporter.write_line(f"{seconds:6.1f} s  {name}")


@pytest.fixture
def small_file_system(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MiB, where this process may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def make_loop_device() -> Iterator[Callable[[Path], Path]]:
    """Gives a block device over a file, where this process may make one."""
    made: list[str] = []

    def make(file: Path) -> Path:
        command = ["losetup", "--find", "--show", str(file)]
        done = None
        if shutil.which("losetup"):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done is None or done.returncode:
            pytest.skip(f"no loop device: {done.stderr.strip() if done else 'losetup is missing'}")
        made.append(done.stdout.strip())
        return Path(made[-1])

    yield make
    for device in made:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.fixture(autouse=True)
def _simulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if getattr(request, "param", ""):
        monkeypatch.setenv(SIMULATOR, request.param)
