"""The sources of a module: each is searched for imports once, whoever asks."""

import pytest

from ringwalker_sim import source_closure as closure
from ringwalker_sim.source_closure import source_closure

MODULE = "ringwalker.dma.gather"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def parsed(monkeypatch) -> list[str]:
    """The sources that are searched."""
    texts: list[str] = []
    named = closure._named
    monkeypatch.setattr(closure, "_named", lambda text, package: texts.append(text) or named(text, package))
    return texts


def in_a_new_process() -> list[str]:
    """The names of the sources of :data:`MODULE` for a process that knows what is kept in files only."""
    closure._imports.cache_clear()
    closure._known.cache_clear()
    return [path.name for path in source_closure(MODULE)]


def test_imports_of_a_source_are_searched_for_once(parsed):
    first = in_a_new_process()
    assert len(parsed) >= len(first)
    assert "run_reader.py" in first
    parsed.clear()
    assert in_a_new_process() == first
    assert not parsed


def test_a_file_of_imports_that_was_cut_is_written_again(cache, parsed):
    first = in_a_new_process()
    file = cache / "imports.json"
    file.write_text(file.read_text()[:100])
    assert in_a_new_process() == first
    parsed.clear()
    assert in_a_new_process() == first
    assert not parsed


def test_only_so_many_are_kept(cache, monkeypatch, parsed):
    first = in_a_new_process()
    monkeypatch.setattr(closure, "_MOST", len(first))
    source_closure("ringwalker.pci.completer")
    parsed.clear()
    in_a_new_process()
    assert parsed, "what was kept before has gone"
