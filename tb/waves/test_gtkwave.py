"""GTKWave with the layout of a run: it finds every signal, and shows the run as the docs have it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ringwalker_sim.cli.waves import signal_map
from ringwalker_sim.engine.engines import run_here
from ringwalker_sim.host import HostParameters
from ringwalker_sim.testing.devices import SMALL_BLK
from ringwalker_sim.testing.window import missing_programs, screen
from ringwalker_sim.waves.fst import read_fst_texts
from ringwalker_sim.waves.groups import STEPS
from ringwalker_sim.waves.layout import write_layout
from ringwalker_sim.workload.block_task import BlockTask, Workload
from ringwalker_sim.workload.job import Job

MISSING = missing_programs("gtkwave")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

LINK = HostParameters(link_bytes_per_cycle=4.0, latency=125)
JOB = Job(BlockTask(Workload("randread", 512, 4, 8, seed=3)), host=LINK, memory_bytes=4 << 20)
PICTURE = Path("docs/waves.png")
_WIDTH, _HEIGHT = 1600, 1000
_SECONDS = 120.0

_ASK = """
set out [open shown.tmp w]
for {set i 0} {$i < [gtkwave::getTotalNumTraces]} {incr i} { puts $out [gtkwave::getTraceNameFromIndex $i] }
close $out
gtkwave::setZoomRangeTimes %(begin)d %(end)d
file rename shown.tmp shown.txt
"""


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Waves of a short run, with layouts beside them."""
    path = tmp_path_factory.mktemp("gtkwave") / "run.fst"
    result = run_here("native", SMALL_BLK, JOB, path, None, None, False)
    assert not result.get("unwritten")
    write_layout(path, signal_map(SMALL_BLK))
    return path


def requests(path: Path, track: str) -> list[tuple[int, str]]:
    """When requests begin or end."""
    name = f"story.requests.{track}"
    return [change for change in read_fst_texts(path, [name])[name] if change[1]]


def test_requests_and_tlps_are_in_the_waves(waves: Path) -> None:
    """All eight, and the one for the serial number; at most four at a time, and each is somewhere."""
    begun, ended = requests(waves, "start"), requests(waves, "end")
    assert begun[0][0] < ended[0][0]
    assert begun[-1][0] < ended[-1][0]
    rows = [f"story.requests.row{row}" for row in range(5)]
    texts = read_fst_texts(waves, rows)
    assert set(texts) == set(rows[:4])
    seen = {tuple(text.split()[:2]) for changes in texts.values() for _time, text in changes if text}
    assert len(seen) == 9
    link = read_fst_texts(waves, ["story.link.to_device", "story.link.from_device"])
    kinds = {text.split()[0] for changes in link.values() for _time, text in changes if text}
    assert kinds >= {"CfgRd0", "CfgWr0", "MRd", "MWr", "CplD", "Cpl", "MSI"}


def test_gtkwave_finds_every_signal_and_looks_as_in_the_docs(waves: Path) -> None:
    """With RINGWALKER_WRITE_DOCS the picture of the docs is made."""
    folder, save = waves.parent, waves.with_suffix(".gtkw")
    begin = requests(waves, "start")[1][0]
    script, picture = folder / "ask.tcl", folder / "waves.png"
    script.write_text(_ASK % {"begin": begin - 400_000, "end": begin + 4_000_000})
    (folder / "rc").write_text("splash_disable 1\nhide_sst 1\n")
    with screen(_WIDTH, _HEIGHT) as shown:
        shown.start(["gtkwave", "-r", "rc", "-S", script.name, waves.name, save.name], folder)
        names = shown.wait_for(folder / "shown.txt", _SECONDS).splitlines()
        shown.settle(picture, _SECONDS)
    # A line of the save file that is neither a flag nor a setting is a trace, and each end of a group is one.
    wanted = [line for line in save.read_text().splitlines() if line[0] not in "@^[*"]
    assert len(names) == len(wanted)
    for line, name in zip(wanted, names, strict=True):
        called = line[2:].partition("}")[0] if line[0] in "+#" else line[1:] if line[0] == "-" else line
        assert name == called or name == called.partition("[")[0].rpartition(".")[2] or called.endswith(name)
    assert {step.name for step in STEPS} <= set(names)
    if os.environ.get("RINGWALKER_WRITE_DOCS"):
        shutil.copyfile(picture, PICTURE)
        return
    command = ["compare", "-metric", "AE", "-fuzz", "10%", str(picture), str(PICTURE), "null:"]
    different = subprocess.run(command, capture_output=True, text=True)
    assert float(different.stderr.split()[0]) < 0.05 * _WIDTH * _HEIGHT
