"""Figures from files: what is not theirs is one line, whatever of it is missing or something else."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.cli import main as cli
from ringwalker_sim.performance.figures import FiguresError, read_all_figures
from ringwalker_sim.performance.plot import plot
from ringwalker_sim.performance.report import page, print_rows, read_rows
from ringwalker_sim.performance.synth import report as synthesis

DOCS = Path(__file__).resolve().parents[2] / "docs"
OTHERS = (None, [], {}, "text", -1, True)


def first(name: str, key: str) -> dict[str, Any]:
    """The first figures of a page, with the first only of what there are many of in them."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: short(item) for name, item in value.items()}
        return [short(item) for item in value[:1]] if isinstance(value, list) else value

    return {key: [short(json.loads((DOCS / name).read_text())[key][0])]}


def changed(value: Any) -> Iterator[Any]:
    """``value`` with one thing in it missing or something else, for each thing in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        for other in (*OTHERS, *changed(item)):
            whole = copy.copy(value)
            whole[key] = other
            yield whole
        whole = copy.copy(value)
        del whole[key]
        yield whole


def use_rows(path: Path) -> None:
    rows = read_rows(path)
    page(rows)
    print_rows(rows)
    for row in rows:
        assert row["bytes_per_s"] + row["ceiling_per_s"] * row["size"] is not None


def use_devices(path: Path) -> None:
    devices = synthesis.read_devices(path)
    synthesis.page(devices)
    for device in devices:
        synthesis.print_result(device)


@pytest.mark.parametrize(
    ("name", "key", "use"),
    [("performance.json", "rows", use_rows), ("synthesis.json", "devices", use_devices)],
)
def test_what_is_missing_or_something_else_is_an_error_of_its_own(name, key, use, tmp_path, capsys):
    path = tmp_path / name
    whole = first(name, key)
    path.write_text(json.dumps(whole))
    use(path)
    refused = []
    # Each file is read, laid out and shown: of the many that there are, every ninth.
    for content in list(changed(whole))[::9]:
        path.write_text(json.dumps(content))
        try:
            use(path)
        except FiguresError as error:
            refused.append(str(error))
    assert len(refused) > 10
    assert all(message.startswith(f"{path}: ") for message in refused)


@pytest.mark.parametrize("content", [b"", b"\xff", b"7", b"[]", b'{"rows": 1e999}', b"[" * 100_000])
@pytest.mark.parametrize(
    ("arguments", "other"),
    [
        (("bench", "--from", DOCS / "performance.json", "--docs", "."), "synthesis.json"),
        (("synth", "--from", DOCS / "synthesis.json", "--docs", "."), "performance.json"),
        (("bench", "--from", "performance.json"), "performance.json"),
        (("synth", "--from", "synthesis.json"), "synthesis.json"),
        (("bench", "--docs", "."), "synthesis.json"),
        (("synth", "--docs", "."), "performance.json"),
    ],
)
def test_a_file_that_is_not_theirs_is_one_line_before_anything_is_done(
    arguments, other, content, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path(other).write_bytes(content)
    assert cli.main([*map(str, arguments)]) == 2
    whose = "bench" if other == "performance.json" else "synth"
    assert capsys.readouterr().err == f"ringwalker: {other}: is not what 'ringwalker {whose}' has written\n"
    assert [path.name for path in tmp_path.iterdir()] == [other]


def test_no_figures_are_no_chart(tmp_path, capsys):
    path = tmp_path / "none.json"
    path.write_text('{"rows": []}')
    assert cli.main(["bench", "--from", str(path), "--plot", str(tmp_path / "x.svg")]) == 2
    assert capsys.readouterr().err == f"ringwalker: {path}: there are no figures in it\n"
    rows = json.loads((DOCS / "performance.json").read_text())["rows"]
    plot(rows[:1], tmp_path / "x.svg")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        ("{", "is no JSON: Expecting"),
        ("[1]", "has no figures of fuzz --docs"),
        ('{"rows": []}', "has no figures of fuzz --docs"),
    ],
)
def test_figures_of_a_page_of_its_own_are_all_of_a_file(tmp_path, content, message):
    path = tmp_path / "fuzz.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FiguresError, match=message):
        read_all_figures(path, "speed", "fuzz")
    path.write_text('{"speed": {}}')
    assert read_all_figures(path, "speed", "fuzz") == {"speed": {}}
