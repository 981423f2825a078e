"""Reports as HTML: what is in them, and that it is what the run has said."""

import base64
import json
import re
import shutil
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.cli.main import main
from ringwalker_sim.report.ceilings import reached
from ringwalker_sim.report.material import Material, ReportError, read_material
from ringwalker_sim.report.ran import lspci_text
from ringwalker_sim.report.write import page
from ringwalker_sim.timeline.file import load
from ringwalker_sim.timeline.requests import SEGMENTS

RUN = Path(__file__).parent / "blk-run"
SECTIONS = ("run", "ceilings", "latency", "waterfall", "time", "tlps", "slowest", "lspci", "config")


class Page(HTMLParser):
    """What the tests look for in a page, and whether its elements are closed in their order."""

    def __init__(self, text: str):
        super().__init__()
        self.sections: list[str] = []
        self.addresses: list[str] = []
        self.texts: dict[str, str] = {}
        self.cycles: dict[str, list[int]] = {}
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        found = dict(attrs)
        if tag in ("meta", "input", "br"):
            return
        self._open.append((tag, found))
        if tag == "section":
            self.sections.append(found["id"] or "")
        self.addresses += [str(found[name]) for name in ("src", "href") if name in found]
        if "data-cycles" in found:
            cohort = next(item["id"] for _tag, item in reversed(self._open) if item.get("class") == "cohort")
            self.cycles.setdefault(cohort or "", []).append(int(found["data-cycles"] or 0))

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        """Text, kept for elements with an id."""
        if self._open and (name := self._open[-1][1].get("id")):
            self.texts[name] = self.texts.get(name, "") + data


@pytest.fixture(scope="module")
def text() -> str:
    """The report on a recorded run of 200 reads."""
    return page(read_material([RUN]))


@pytest.fixture(scope="module")
def report(text: str) -> Page:
    """The same, parsed."""
    return Page(text)


def test_sections(report: Page) -> None:
    """All of them, in their order, and the navigation leads to each."""
    assert tuple(report.sections) == SECTIONS
    assert [f"#{name}" for name in SECTIONS] == report.addresses[1 : len(SECTIONS) + 1]


def test_nothing_is_loaded_from_elsewhere(text: str, report: Page) -> None:
    """No address leads out of the file, neither in an element nor in style or script; nor may one."""
    assert all(address.startswith("#") for address in report.addresses)
    assert not re.search(r"https?://|\burl\(|@import|\bfetch\(|XMLHttp|import\(", text.replace("url(#$", ""))
    assert 'http-equiv="Content-Security-Policy" content="default-src &#x27;none&#x27;;' in text


def test_waterfall_adds_up_to_the_mean_latency(report: Page) -> None:
    """The cycles of the segments, as they stand in the page, are those of the timeline."""
    timeline = load(RUN / "run.pftrace")
    *segments, latency = report.cycles["cohort-0"]
    assert segments == timeline.segments.sum(axis=0).tolist()
    assert sum(segments) == latency == timeline.latencies.sum()
    assert len(segments) == len(SEGMENTS)
    for numbers in report.cycles.values():
        assert sum(numbers[:-1]) == numbers[-1]


def test_figures_are_those_of_the_run(text: str) -> None:
    """Latency, rate, command, versions and device, as the folder has them."""
    result = json.loads((RUN / "run.json").read_text())
    assert f"{result['latency_cycles']['p99']:,} cycles" in text
    assert f"{result['requests']:,} in {result['cycles']:,} cycles" in text
    assert "".join(f"<span>{word}</span> " for word in result["ran"]["command"].split()) in text
    assert "ringwalker 0." in text
    assert (RUN / "lspci.txt").read_text().split("\n")[0] in text
    assert "a residue of 0 cycles" in text


def test_ceilings() -> None:
    """Of the link, counted as for the bench, of the data path and of tags; nothing goes beyond one."""
    found = {item.name: item for item in reached(read_material([RUN]))}
    assert set(found) == {
        "requests a second",
        "link, from the device",
        "link, to the device",
        "data path, into the host",
        "reads in flight, at most",
    }
    assert all(0 < item.part <= 1 for item in found.values())
    result = json.loads((RUN / "run.json").read_text())
    assert found["requests a second"].value == pytest.approx(200 * 250e6 / result["cycles"])
    assert found["data path, into the host"].ceiling == 32


def test_data_of_the_charts(report: Page) -> None:
    """The columns hold what the timeline has."""
    timeline = load(RUN / "run.pftrace")
    data = json.loads(report.texts["data"])
    packed = zlib.decompress(base64.b64decode(report.texts["columns"]))
    kinds = {"Uint8Array": "u1", "Uint16Array": "<u2", "Uint32Array": "<u4", "Float64Array": "<f8"}

    def column(name: str) -> np.ndarray:
        kind, offset, count = data["columns"][name]
        return np.frombuffer(packed, kinds[kind], count, offset)

    assert (column("latencies") == np.sort(timeline.latencies)).all()
    assert (column("at").reshape(201, -1) == timeline.requests["at"]).all()
    assert (column("tlpWire") == timeline.tlps["wire"]).all()
    address = column("tlpHigh").astype("u8") << np.uint64(32) | column("tlpLow")
    has = column("tlpHas") == 1
    assert (address[has] == timeline.tlps["number"][has]).all()
    assert has.any()


def test_text_of_others_is_no_markup(tmp_path: Path) -> None:
    """What a file says cannot become an element, nor end the script with the data."""
    timeline = load(RUN / "run.pftrace")
    wild = "</script><b>&"
    material = Material(timeline=timeline, config=wild, lspci=wild, names=(wild,))
    whole = Page(page(material))
    assert whole.texts["config-text"] == wild


def test_size(text: str) -> None:
    """Small enough to be mailed."""
    assert len(text) < 250_000


# --- parts of a run ----------------------------------------------------------------------------------------


def test_figures_alone_say_what_brings_the_rest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A report has the sections that there are data for."""
    shutil.copy(RUN / "run.json", tmp_path)
    assert main(["report", str(tmp_path / "run.json")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run.html'}\n"
    text = (tmp_path / "run.html").read_text()
    assert Page(text).sections == ["missing", "run", "ceilings", "config"]
    assert "--timeline FILE" in text


def test_timeline_alone(tmp_path: Path) -> None:
    """Of a run of which there are no figures: those that the timeline has."""
    whole = page(read_material([RUN / "run.pftrace"]))
    found = Page(whole)
    assert found.sections == ["missing", *(name for name in SECTIONS if name != "lspci")]
    assert "--json FILE" in whole
    assert "blk: 201 requests" in whole


def test_files_of_a_run_make_the_same_report_as_its_folder() -> None:
    """Whatever order they are given in."""
    names = [RUN / name for name in ("run.pftrace", "lspci.txt", "run.json", "config.toml")]
    assert Page(page(read_material(names))).sections == list(SECTIONS)


def test_rows_of_a_bench() -> None:
    """A table that can be sorted, with a line for each row."""
    text = page(read_material(["docs/performance.json"]))
    rows = json.loads(Path("docs/performance.json").read_text())["rows"]
    assert Page(text).sections == ["rows"]
    assert text.count("<tr>") == len(rows) + 1
    assert f"{100 * rows[0]['efficiency']:.1f}" in text
    assert 'class="sortable"' in text


def test_one_row_of_a_bench(tmp_path: Path) -> None:
    """Its figures against the ceiling, and what else there could be."""
    row = json.loads(Path("docs/performance.json").read_text())["rows"][0]
    (tmp_path / "row.json").write_text(json.dumps({"rows": [row]}))
    material = read_material([tmp_path / "row.json"])
    assert Page(page(material)).sections == ["missing", "run", "ceilings"]
    assert reached(material)[0].part == pytest.approx(row["efficiency"])


def test_outcomes_of_checks(tmp_path: Path) -> None:
    """A section a device."""
    outcomes = [
        {"check": "a", "way": "modern", "verdict": "passed", "clause": "", "text": ""},
        {
            "check": "b",
            "way": "modern",
            "verdict": "failed",
            "clause": "2.1",
            "text": "<wrong>",
            "replay": "r b",
        },
    ]
    devices = [{"device": "blk", "seconds": 1.5, "passed": 1, "must": 1, "outcomes": outcomes}]
    (tmp_path / "c.json").write_text(json.dumps({"passed": 1, "devices": devices}))
    text = page(read_material([tmp_path / "c.json"]))
    assert Page(text).sections == ["checks", "device-0"]
    assert "&lt;wrong&gt;" in text
    assert "Conformance of blk" in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "has neither figures of a run nor rows of one"),
        (b"[1, 2]", "has neither figures"),
        (b'{"rows": [{"x": 1}]}', "has neither figures"),
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is neither JSON nor a timeline"),
        (b"\x1f\x8b123", "a report is made of what run, bench, sweep and conform write"),
        (None, "there is no such file or folder"),
    ],
)
def test_what_no_report_can_be_made_of(content: bytes | None, said: str, tmp_path: Path) -> None:
    """The file is named, and what could be read."""
    path = tmp_path / "input.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReportError, match=re.escape(str(path))) as raised:
        read_material([path])
    assert said in str(raised.value)


def test_folders_and_files_that_do_not_go_together(tmp_path: Path) -> None:
    """A folder of something else, two runs, and figures of two commands."""
    with pytest.raises(
        ReportError, match=r"has neither run\.json nor run\.pftrace; 'ringwalker run blk --report"
    ):
        read_material([tmp_path])
    with pytest.raises(ReportError, match="a report is of one run"):
        read_material([RUN, RUN / "run.pftrace"])
    with pytest.raises(ReportError, match="are of different commands"):
        read_material([RUN / "run.json", "docs/performance.json"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("report", "nothing"), "nothing: there is no such file or folder"),
        (("report", str(RUN), "-o", "-"), "a report is written to a file"),
        (("report", str(RUN), "-o", "no/where.html"), "there is no folder no"),
        (("report", str(RUN / "run.json"), "-o", str(RUN / "run.json")), "is what the report is made of"),
        (("run", "blk", "--report", "-"), "a report is a folder with several files"),
        (("run", "blk", "--report", "no/where"), "--report no/where: there is no folder no"),
        (("bench", "--quick", "--report", str(RUN / "run.json")), "is a file; a report is a folder"),
    ],
)
def test_reports_that_cannot_be(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error, exit code 2, before anything is built."""
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


# --- what runs write ---------------------------------------------------------------------------------------


def test_a_run_without_a_timeline_has_a_report_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model in Python: figures, configuration and lspci, and what a timeline would add."""
    monkeypatch.chdir(tmp_path)
    words = ("run", "blk", "--engine", "model", "--requests", "5", "--report", "made")
    assert main(words) == 0
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert names == {"run.json", "config.toml", "lspci.txt", "report.html"}
    found = Page((tmp_path / "made/report.html").read_text())
    assert found.sections == ["missing", "run", "lspci", "config"]
    result = json.loads((tmp_path / "made/run.json").read_text())
    assert result["ran"]["command"] == " ".join(("ringwalker", *words))


def test_what_the_model_and_the_hardware_show_of_themselves() -> None:
    """The text of a run on an engine without hardware here is that which the recorded hardware has shown."""
    config = DeviceConfig.from_toml(RUN / "config.toml")
    assert lspci_text("model", config) == (RUN / "lspci.txt").read_text()
