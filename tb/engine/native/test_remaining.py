"""The time that a build will still take."""

import pytest

from ringwalker_sim.engine.native import remaining
from ringwalker_sim.engine.native.remaining import with_remaining_time


@pytest.fixture
def clock(monkeypatch, tmp_path):
    """The time, in a list of one, and a cache in which nothing is known."""
    now = [100.0]
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path))
    monkeypatch.setattr(remaining.time, "monotonic", lambda: now[0])
    return now


def build(clock, *, kind="plain", fails=False) -> list[str]:
    """What is said in a build of which translating takes 5 s, and compiling two times 10 s."""
    said: list[str] = []
    with with_remaining_time(kind, said.append) as say:
        for text, seconds in (("translating", 5), ("compiling: 1 of 2", 10), ("compiling: 2 of 2", 10)):
            say(text)
            clock[0] += seconds
        if fails:
            raise OSError("full")
    return said


def test_nothing_is_known_of_the_first_build_and_its_seconds_of_the_second(clock):
    assert build(clock) == ["translating", "compiling: 1 of 2", "compiling: 2 of 2"]
    assert build(clock) == [
        "translating, about 25 s left",
        "compiling: 1 of 2, about 20 s left",
        "compiling: 2 of 2, about 10 s left",
    ]
    assert build(clock, kind="with waves")[0] == "translating"


def test_a_build_that_failed_says_nothing_about_the_next(clock):
    with pytest.raises(OSError, match="full"):
        build(clock, fails=True)
    assert build(clock)[0] == "translating"


def test_a_file_that_was_cut_is_as_none(clock, tmp_path):
    build(clock)
    path = tmp_path / "build-seconds.json"
    path.write_text(path.read_text()[:20])
    assert build(clock)[0] == "translating"
