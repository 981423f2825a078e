"""Rules of the house: no import cycle between folders, no module too long, no ignore without a reason.

A file of tests is run by one process.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tb.conftest import FIRST, OTHER_SIMULATOR, slowest_groups

HARDWARE = Path("rtl/ringwalker")
LONGEST = 400


def rooms(text: str, package: tuple[str, ...], root: Path) -> Iterator[str]:
    """The folders of ``root`` that a module of ``package`` imports from."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1]
        for name in [node.module] if node.module else [alias.name for alias in node.names]:
            parts = (*base, *name.split("."))
            while parts and not root.joinpath(*parts).is_dir():
                parts = parts[:-1]
            if parts:
                yield "/".join(parts)


def graph(root: Path) -> dict[str, set[str]]:
    """Who imports from whom, among the folders of ``root``; modules in none belong to all of them."""
    edges: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*.py")):
        package = path.relative_to(root).parts[:-1]
        if not package:
            continue
        name = "/".join(package)
        edges.setdefault(name, set()).update(set(rooms(path.read_text(), package, root)) - {name})
    return edges


def cycle(edges: dict[str, set[str]]) -> set[str]:
    """The names that are on a cycle, or between two: what is left when all others are taken away."""
    left = {name: set(others) for name, others in edges.items()}
    while True:
        wanted = set().union(*left.values()) if left else set()
        ends = {name for name, others in left.items() if not others & left.keys() or name not in wanted}
        if not ends:
            return set(left)
        left = {name: others for name, others in left.items() if name not in ends}


def test_no_import_cycle_between_folders():
    assert cycle(graph(HARDWARE)) == set()


def test_a_cycle_is_found(tmp_path):
    for folder, text in (
        ("a", "from ..b.x import X"),
        ("b", "from ..c import x"),
        ("c", "from ..a.x import X"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.py").write_text(text)
    (tmp_path / "top.py").write_text("from .a.x import X")
    assert cycle(graph(tmp_path)) == {"a", "b", "c"}


@pytest.mark.parametrize("root", ["rtl", "sim"])
def test_no_module_is_too_long(root):
    lengths = {str(path): len(path.read_text().splitlines()) for path in Path(root).rglob("*.py")}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_the_example_is_as_short_as_it_says():
    lines = [len(path.read_text().splitlines()) for path in Path("examples/crc32").glob("*.py")]
    assert len(lines) == 3
    assert sum(lines) < 150


IGNORES = re.compile(r"#\s*(?:type|pyright): ignore(?:\[[\w-]+\])?(.*)")


def without_reason(text: str) -> list[int]:
    """Lines with an ignore of the type checker and nothing behind it."""
    return [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if (match := IGNORES.search(line)) and not match[1].strip(" #,;:")
    ]


@pytest.mark.parametrize("root", ["rtl", "sim", "tb", "examples"])
def test_every_ignore_has_a_reason_behind_it(root):
    found = {str(path): without_reason(path.read_text()) for path in Path(root).rglob("*.py")}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_an_ignore_without_a_reason_is_found():
    ignore = "x = f()  # type" + ": ignore[arg-type]"
    assert without_reason(f"{ignore}\n{ignore}  # the stub is wrong\n") == [1]


GOLDEN = Path("sim/ringwalker_sim/golden")
DESCRIPTIONS = {"spec", "config"}
BESIDE = {
    "errors.py": {"errors", "outputs"},
    "disk_image.py": {"streams"},
    "function/simulation.py": {"function"},
}
"""What modules that the golden model uses take from ``ringwalker`` besides: error classes, the names of
operations on disks, and the record in which a function names its model."""


def hardware_of(text: str) -> set[str]:
    """The parts of ``ringwalker`` that a module imports from."""
    parts: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            whole = "." in node.module
            names = [node.module] if whole else [f"{node.module}.{alias.name}" for alias in node.names]
        parts |= {f"{name}.".split(".")[1] for name in names if name.split(".")[0] == "ringwalker"}
    return parts


def reached(path: Path, root: Path) -> Iterator[Path]:
    """The modules below ``root`` that the one at ``path`` imports."""
    package = path.relative_to(root).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            kept = package[: len(package) - node.level + 1]
            base = root.joinpath(*kept, *(node.module or "").split("."))
            places = [base, *(base / alias.name for alias in node.names)]
            yield from (place.with_suffix(".py") for place in places if place.with_suffix(".py").is_file())


def borrowed(root: Path) -> dict[str, set[str]]:
    """By module: what the golden model, and whatever it imports, takes from the hardware's package."""
    left, found = sorted((root / "golden").rglob("*.py")), {}
    while left:
        path = left.pop()
        name = str(path.relative_to(root))
        if name not in found:
            found[name] = hardware_of(path.read_text())
            left += reached(path, root)
    return found


def test_the_golden_model_has_no_code_of_the_hardware():
    found = borrowed(GOLDEN.parent)
    more = {name: parts - DESCRIPTIONS - BESIDE.get(name, set()) for name, parts in found.items()}
    assert {name: parts for name, parts in more.items() if parts} == {}


def test_the_golden_model_has_no_code_of_drivers():
    shared = {"port.py", "software_port.py", "transport/pipe_records.py", "transport/device_fields.py"}
    guest = GOLDEN.parent / "guest"
    found = {path for module in GOLDEN.rglob("*.py") for path in reached(module, GOLDEN.parent)}
    assert {str(path.relative_to(guest)) for path in found if guest in path.parents} <= shared


def test_code_of_the_hardware_in_the_golden_model_is_found(tmp_path):
    for name, text in (
        ("golden/a.py", "from ringwalker.spec.pci import X\nfrom ..other import b"),
        ("other/b.py", "import ringwalker.device\nfrom ringwalker import streams"),
        ("other/c.py", "import ringwalker.core"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert borrowed(tmp_path) == {"golden/a.py": {"spec"}, "other/b.py": {"device", "streams"}}


def test_a_file_of_tests_is_run_by_one_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist 3.8 names groups in node ids, which it cannot change in pytest 9.2, and says nothing.

    Then each process makes all fixtures, and waits for models that the other one builds.
    """
    if not request.config.getoption("loadgroup", False):
        pytest.skip("there is one process, or groups were not asked for")
    assert request.node.nodeid.endswith("@tb/test_structure.py")


def test_tests_that_are_named_for_their_place_exist() -> None:
    assert [name for name in (*FIRST, *OTHER_SIMULATOR) if not Path(name).exists()] == []


def test_the_slowest_groups_are_named_with_their_time() -> None:
    seen = [("a.py::one@x", 1.0), ("b.py::two", 4.0), ("b.py::other", 0.5), ("c.py::three[@]@x", 2.0)]
    reports = [SimpleNamespace(nodeid=nodeid, duration=duration) for nodeid, duration in seen]
    assert slowest_groups(reports, 2) == [(4.0, "b.py::two"), (3.0, "x")]
