"""Mutants: the catalogue fits the hardware, a fault is planted where it belongs and nowhere else, and is
noticed; what comes out is kept, and the page shows it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ringwalker_sim.errors import ParameterError
from ringwalker_sim.mutants.__main__ import main
from ringwalker_sim.mutants.catalogue import MUTANTS, in_turns, select
from ringwalker_sim.mutants.change import Change
from ringwalker_sim.mutants.layers import LAYERS, Layer
from ringwalker_sim.mutants.mutant import BLOCKS, DEVICES, planted
from ringwalker_sim.mutants.page import FIGURES, PAGE, caught_by, page, read_figures
from ringwalker_sim.mutants.planting import PLANTED, planted_environment
from ringwalker_sim.mutants.trial import CAUGHT, MISSED, UNSEEN, Results, try_mutants
from ringwalker_sim.toolchain import cache_dir

DOCS, ROOT = Path("docs"), Path.cwd()
BENCH = LAYERS[0]
ONE = select(["next_may_be_the_size"])[0]


def test_each_change_fits_its_module_once() -> None:
    for one in MUTANTS:
        text = one.path.read_text()
        assert one.change.applied(text, one.name) != text


def test_there_are_three_mutants_of_each_block_and_sixty_in_all() -> None:
    blocks = Counter(one.block for one in MUTANTS)
    assert blocks.keys() == BLOCKS.keys()
    assert min(blocks.values()) >= 3
    assert len({one.name for one in MUTANTS}) == len(MUTANTS) >= 60
    assert {one.device for one in MUTANTS} <= DEVICES.keys()


def test_the_test_files_of_each_mutant_are_there() -> None:
    for one in MUTANTS:
        files = one.with_benches(ROOT)
        assert files, one.name
        assert all(Path(file).is_file() for file in files)


def in_child(code: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_a_planted_process_has_the_changed_module_and_no_other() -> None:
    code = """if True:
        import importlib, inspect
        from pathlib import Path
        from ringwalker.queue.chain import check, fetch
        from ringwalker_sim.source_closure import source_closure
        print(check.__file__, fetch.__file__, check.__file__ in map(str, source_closure(fetch.__name__)))
        print(inspect.getsource(check.DescriptorCheck.elaborate))
    """
    environment = planted_environment(ONE)
    shown = in_child(code, environment)
    (changed, right, read), source = shown.splitlines()[0].split(), shown
    assert Path(changed).is_relative_to(cache_dir() / "mutants")
    assert Path(right) == ONE.path.with_name("fetch.py")
    assert read == "True", "caches name what they keep by the changed text"
    assert ONE.change.new in source
    assert ONE.change.old not in source


def test_what_is_built_of_a_mutant_has_another_name_in_another_cache() -> None:
    code = """if True:
        from ringwalker_sim.toolchain import cache_dir, content_hash
        from ringwalker_sim.verilog_cache import _sources
        print(cache_dir(), content_hash(_sources("ringwalker.device")))
    """
    folder, name = in_child(code, planted_environment(ONE)).split()
    other, right = in_child(code, planted_environment(None)).split()
    assert folder == other == str(cache_dir() / "mutants")
    assert name != right


def test_nothing_is_planted_without_the_variable() -> None:
    environment = planted_environment(ONE)
    del environment[PLANTED]
    shown = in_child("from ringwalker.queue.chain import check; print(check.__file__)", environment)
    assert Path(shown.strip()) == ONE.path


def test_a_module_bench_notices_a_fault(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    try_mutants([ONE], results, ROOT, layers=[BENCH])
    (result,) = results.found[ONE.name].values()
    assert result["verdict"] == CAUGHT
    assert re.fullmatch(r"test_\w+\.py::test_\w+", result["found"])


def said(name: str, *command: str) -> Layer:
    """A layer that runs ``command``."""
    return Layer(name, "", lambda *_: list(command), re.compile(r"^found: (.+)$", re.MULTILINE), model=False)


def test_a_layer_that_fails_has_noticed_the_fault(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    fails = said("fails", "sh", "-c", "echo first; echo found: that; echo found: this; exit 3")
    ends = replace(said("ends", "sh", "-c", "while :; do :; done"), cpu_seconds=1)
    blind = replace(said("blind"), command=lambda *_: "it has no eyes")
    try_mutants([ONE], results, ROOT, layers=[fails, said("passes", "true"), ends, blind])
    found = results.found[ONE.name]
    assert (found["fails"]["verdict"], found["fails"]["found"]) == (CAUGHT, "that")
    assert found["passes"]["verdict"] == MISSED
    assert (found["ends"]["verdict"], found["ends"]["found"]) == (CAUGHT, "it does not end")
    assert (found["blind"]["verdict"], found["blind"]["found"]) == (UNSEEN, "it has no eyes")


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    file, log = tmp_path / "results.json", tmp_path / "log"
    layers = [said(name, "sh", "-c", f"echo {name} >> {log}") for name in ("one", "two")]
    try_mutants([ONE], Results(file), ROOT, layers=layers[:1])
    again = Results(file)
    try_mutants([ONE], again, ROOT, layers=layers)
    assert log.read_text().split() == ["one", "two"]
    another = replace(ONE, change=replace(ONE.change, new="(descriptor.next == found.size)"))
    assert again.get(another, layers[0]) is None, "it is another fault"


def test_a_run_that_is_interrupted_ends_what_it_has_started(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json")
    begun = time.monotonic()
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    threading.Timer(0.3, signal.pthread_kill, (main_thread, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        try_mutants([ONE], results, ROOT, layers=[said("long", "sleep", "60"), said("next", "true")])
    assert time.monotonic() - begun < 20
    assert results.found == {}


def test_a_fault_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    (wrong,) = planted("queue.chain.check", wrong=Change("", "no such text", ""))
    with pytest.raises(ParameterError, match="0 times 'no such text'"):
        try_mutants([wrong], Results(tmp_path / "results.json"), ROOT, layers=[said("any", "true")])


def test_mutants_are_tried_in_turns_from_each_block() -> None:
    first = in_turns(MUTANTS)[: len(BLOCKS)]
    assert {one.block for one in first} == BLOCKS.keys()


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / PAGE).read_text() == page(read_figures(DOCS / FIGURES)), "run scripts/mutants --docs docs"


def test_no_mutant_survives() -> None:
    figures = read_figures(DOCS / FIGURES)
    assert list(figures) == [one.name for one in MUTANTS]
    assert [name for name, result in figures.items() if not caught_by(result)] == []


def test_a_command_runs_on_a_mutant(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import os; print(os.environ['RINGWALKER_PLANTED'])"
    command = ["-m", "ringwalker_sim.mutants", "run", ONE.name, "--", sys.executable, "-c", code]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.startswith(f"ringwalker.{ONE.module}=")
    assert main(["run", "no_such_mutant", "--", "true"]) == 2
    assert main(["run", ONE.name]) == 2
    assert main(["run", ONE.name, "--", "no-such-program"]) == 2
    assert "no-such-program" in capfd.readouterr().err


def test_the_list_and_a_name_that_nothing_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "wrap"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown
    assert all("wrap" in line.partition(" ")[0] for line in shown)
    assert main(["--only", "no_such_mutant"]) == 2
    assert "no_such_mutant" in capsys.readouterr().err
