"""Which QEMU is taken, and what is said when none will do."""

from pathlib import Path

import pytest

from ringwalker_sim.toolchain import ToolError
from ringwalker_sim.vm import qemu
from ringwalker_sim.vm.qemu import find_qemu


def program(folder: Path, says: str, name: str = "qemu-system-x86_64", code: int = 0) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _nothing_found_by_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    monkeypatch.delenv("RINGWALKER_QEMU", raising=False)
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path / "cache"))


def test_one_that_is_too_old_is_named_with_its_version_and_the_fix(tmp_path: Path) -> None:
    old = program(tmp_path, "QEMU emulator version 7.2.19 (Debian 1:7.2)")
    with pytest.raises(ToolError, match=r"QEMU 7\.2\.19 .* from --qemu\) is too old: 10\.1 .*--fetch"):
        find_qemu(old)
    assert find_qemu(old, minimum=(7,)).name == "7.2.19"


def test_versions_are_compared_as_numbers(tmp_path: Path) -> None:
    assert find_qemu(program(tmp_path, "QEMU emulator version 10.1.0")).version == (10, 1, 0)
    assert find_qemu(program(tmp_path, "QEMU emulator version 100.0.50")).version == (100, 0, 50)
    for old in ("10.0.9", "9.2.4"):
        with pytest.raises(ToolError, match=f"QEMU {old} .* too old"):
            find_qemu(program(tmp_path, f"QEMU emulator version {old}"))


def test_none_at_all_says_how_to_get_one() -> None:
    with pytest.raises(ToolError, match=r"there is no QEMU .*--qemu or RINGWALKER_QEMU.*--fetch"):
        find_qemu()


def test_option_variable_cache_and_path_are_looked_at_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "QEMU emulator version 11.0.1")
    assert find_qemu().origin == "PATH"
    cached = program(tmp_path, "QEMU emulator version 11.0.2", "cached")
    monkeypatch.setattr(qemu, "fetched_qemu", lambda: ((str(cached),), {"SOME": "thing"}))
    found = find_qemu()
    assert (found.name, found.variables()["SOME"]) == ("11.0.2", "thing")
    monkeypatch.setenv("RINGWALKER_QEMU", str(program(tmp_path, "QEMU emulator version 11.0.3", "variable")))
    assert find_qemu().name == "11.0.3"
    assert find_qemu(program(tmp_path, "QEMU emulator version 11.0.4", "option")).name == "11.0.4"


@pytest.mark.parametrize(
    ("says", "code", "why"), [("hello", 0, "hello"), ("", 1, "no output"), ("QEMU version 11.1.1", 3, "11")]
)
def test_what_is_no_qemu_is_refused(tmp_path: Path, says: str, code: int, why: str) -> None:
    with pytest.raises(ToolError, match=f"prints no QEMU version: .*{why}"):
        find_qemu(program(tmp_path, says, code=code))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"absent cannot be used: No such file"):
        find_qemu(tmp_path / "absent")
