"""tshark with the dissector of the package: it says what went over the link, and nothing is malformed."""

import os
from pathlib import Path

import numpy as np
import pytest

from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.captures.captures import Captures
from ringwalker_sim.engine.engines import open_engine, run_here
from ringwalker_sim.errors import RingwalkerError
from ringwalker_sim.host import Fault, HostParameters, Split
from ringwalker_sim.memory import GuestMemory
from ringwalker_sim.testing.devices import SMALL_BLK
from ringwalker_sim.testing.tshark import TSHARK, tshark
from ringwalker_sim.timeline.events import EventKind
from ringwalker_sim.timeline.file import load
from ringwalker_sim.timeline.timeline import Timeline
from ringwalker_sim.workload.block_task import BlockTask, Workload
from ringwalker_sim.workload.job import Job

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(TSHARK is None, reason="tshark is not installed: apt-get install tshark"),
]

LINK = HostParameters(link_bytes_per_cycle=4.0, latency=125, split=Split.RANDOM, reorder=True)
JOB = Job(BlockTask(Workload("randrw", 4096, 8, 64, seed=3)), host=LINK, memory_bytes=4 << 20)
PAGE = Path("docs/captures.md")
BEGIN, END = "<!-- one read -->\n```\n", "```\n<!-- end -->"
UP, DOWN = "device", "host"

KINDS = {
    RequestKind.MEMORY_READ: "MRd",
    RequestKind.MEMORY_WRITE: "MWr",
    RequestKind.CONFIG_READ_0: "CfgRd0",
    RequestKind.CONFIG_WRITE_0: "CfgWr0",
}


def fields(path: Path, *names: str) -> list[tuple[str, ...]]:
    """Some fields of all packets."""
    lines = tshark(path, "-T", "fields", *(word for name in names for word in ("-e", name)))
    return [tuple(line.split("\t")) for line in lines]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Timeline]:
    """The capture of a run, and what its timeline has noted of it on its own."""
    folder = tmp_path_factory.mktemp("tshark")
    captures = Captures(tlps=folder / "tlps.pcapng")
    timeline = folder / "run.pftrace"
    run_here("native", SMALL_BLK, JOB, None, None, None, False, timeline=timeline, captures=captures)
    return folder / "tlps.pcapng", load(timeline)


def test_nothing_is_malformed_and_nothing_unexpected(run: tuple[Path, Timeline]) -> None:
    """Neither a mistake nor a warning."""
    assert tshark(run[0], "-Y", "_ws.expert || _ws.malformed") == []
    assert len(tshark(run[0])) > 1000


def test_lines_are_what_went_over_the_link(run: tuple[Path, Timeline]) -> None:
    """Direction, kind, length, tag, address and cycle of each TLP, as the host model has noted them."""
    path, timeline = run
    names = ("src", "kind", "length", "tag", "address", "cycle", "wire", "status", "byte_count")
    columns = [f"pcietlp.{name}" for name in names[1:]]
    seen = fields(path, "_ws.col.Source", *columns)
    noted = timeline.tlps
    assert len(seen) == len(noted)
    for line, event in zip(seen, noted, strict=True):
        source, kind, length, tag, address, cycle, wire, status, count = line
        up = event["kind"] in (EventKind.UP_REQUEST, EventKind.UP_COMPLETION, EventKind.UP_MESSAGE)
        assert source == (UP if up else DOWN)
        assert (int(cycle), int(wire)) == (event["end"], event["wire"])
        if event["kind"] in (EventKind.UP_COMPLETION, EventKind.DOWN_COMPLETION):
            assert kind == ("CplD" if event["bytes"] else "Cpl")
            assert (int(status), int(tag), int(count)) == (event["queue"], event["id"], event["number"])
        else:
            request = RequestKind(int(event["queue"]))
            assert kind == KINDS[request]
            if request in (RequestKind.MEMORY_READ, RequestKind.MEMORY_WRITE):
                assert int(address, 16) == event["number"]
            if request is not RequestKind.MEMORY_WRITE:
                assert int(tag) == event["id"]
        assert 4 * int(length) == event["bytes"] or kind == "Cpl"


def test_completions_find_their_requests(run: tuple[Path, Timeline]) -> None:
    """Each request is answered by the completions that name it, and not before their time."""
    path, timeline = run
    columns = ("frame.number", "pcietlp.kind", "pcietlp.request_in", "pcietlp.response_in", "pcietlp.latency")
    rows = fields(path, *columns)
    answers: dict[str, list[str]] = {}
    for number, kind, request, _responses, latency in rows:
        if kind.startswith("Cpl"):
            answers.setdefault(request, []).append(number)
            assert float(latency) > 0
    reads = [row for row in rows if row[1] not in ("MWr", "Cpl", "CplD")]
    assert len(reads) > 300
    assert {number: responses.split(",") for number, _kind, _request, responses, _latency in reads} == answers
    assert max(map(len, answers.values())) > 1
    first = {row[0]: row for row in rows}
    of_device = [
        float(row[4])
        for row in rows
        if row[1] == "CplD" and row[2] and first[row[2]][1] == "MRd" and row[0] == answers[row[2]][0]
    ]
    period = 1000 / timeline.about["clock_mhz"]
    assert np.median(of_device) >= LINK.latency * period


def test_faults_are_named(tmp_path: Path) -> None:
    """A completion that says no, and one that nobody waits for."""
    memory = GuestMemory(4 << 20)
    captures = Captures(tlps=tmp_path / "faults.pcapng")
    with open_engine("native", SMALL_BLK, memory, host=LINK, captures=captures) as port:
        job = Job(BlockTask(Workload("randread", 512, 1, 4, seed=3)), host=LINK, memory_bytes=4 << 20)
        port.engine.strict = False

        port.engine.inject(Fault.UNEXPECTED, 1)
        port.engine.inject(Fault.UNSUPPORTED_REQUEST, 2)
        with pytest.raises(RingwalkerError):
            port.run(job.run(port, SMALL_BLK))
    lines = tshark(tmp_path / "faults.pcapng")
    assert any(line.endswith(" UR") for line in lines)
    assert len(tshark(tmp_path / "faults.pcapng", "-Y", "pcietlp.unexpected")) >= 1


def listing(folder: Path) -> str:
    """What tshark says of one read of the disk, from its doorbell to its interrupt."""
    job = Job(BlockTask(Workload("seqread", 512, 1, 1, seed=3)), host=LINK, memory_bytes=4 << 20)
    tlps = folder / "one.pcapng"
    run_here("native", SMALL_BLK, job, None, None, None, False, captures=Captures(tlps=tlps))
    columns = '"Time","%t","Source","%s","To","%d","Info","%i"'
    lines = tshark(tlps, "-o", f"gui.column.format:{columns}")
    from_host = [line.split()[1] == DOWN and " MWr " in line for line in lines]
    reads = [line.split()[1] == UP and " MRd " in line for line in lines]
    begin = max(at for at in range(len(lines) - 1) if from_host[at] and reads[at + 1])
    end = max(at for at, line in enumerate(lines) if line.split()[1] == UP and " MWr " in line)
    return "\n".join(lines[begin : end + 1]) + "\n"


def test_the_listing_of_the_docs_is_that_of_a_run(tmp_path: Path) -> None:
    """With RINGWALKER_WRITE_DOCS it is written."""
    made = listing(tmp_path)
    text = PAGE.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if os.environ.get("RINGWALKER_WRITE_DOCS"):
        PAGE.write_text(text[:begin] + made + text[end:])
    else:
        assert text[begin:end] == made
