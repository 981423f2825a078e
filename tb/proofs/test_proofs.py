"""Proofs: the tools find what is wrong, the page is up to date, and the properties hold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringwalker_sim.errors import ParameterError
from ringwalker_sim.mutants.change import Change
from ringwalker_sim.proofs.__main__ import main
from ringwalker_sim.proofs.bench import Bench
from ringwalker_sim.proofs.catalogue import PROPERTIES, select, try_all
from ringwalker_sim.proofs.page import FIGURES, PAGE, page, read_figures
from ringwalker_sim.proofs.property import block_class
from ringwalker_sim.proofs.solver import translate
from ringwalker_sim.toolchain import ToolError

DOCS = Path("docs")


def test_all_properties_hold_and_fail_on_their_mutants(tmp_path: Path) -> None:
    results = try_all(PROPERTIES, tmp_path)
    assert len(results) == len(PROPERTIES)
    assert [one for one in results if not one.good] == []


def test_what_does_not_hold_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def build(b: Bench, cls: Any) -> None:
        it = b.block(cls(4))
        b.prove(it.idle)

    right = select(["half_buffer_keeps_order"])[0]
    (result,) = try_all([replace(right, name="wrong", build=build)], tmp_path)
    assert not result.proved
    assert (tmp_path / "wrong.vcd").stat().st_size


def test_a_mutant_that_breaks_nothing_is_found(tmp_path: Path) -> None:
    right = select(["half_buffer_keeps_order"])[0]
    harmless = replace(right.mutant, new=right.mutant.old + " ")
    (result,) = try_all([replace(right, mutant=harmless)], tmp_path)
    assert result.proved
    assert not result.mutant


def test_what_is_said_within_a_condition_holds_always(tmp_path: Path) -> None:
    def build(b: Bench, cls: Any) -> None:
        it = b.block(cls(4))
        with b.m.If(it.o.valid):
            b.prove(it.idle | ~b.past(it.idle))

    right = select(["half_buffer_keeps_order"])[0]
    (result,) = try_all([replace(right, name="wrong", build=build)], tmp_path)
    assert not result.proved


def test_the_words_of_yosys_are_shown(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="yosys failed: ERROR: Module `top' not found"):
        translate({"empty": ""}, tmp_path)


def test_a_change_must_fit_once() -> None:
    with pytest.raises(ParameterError, match="0 times 'no such text'"):
        block_class("buffers", "HalfBuffer", (Change("", "no such text", ""),))
    with pytest.raises(ParameterError, match="not once"):
        block_class("buffers", "HalfBuffer", (Change("", "self", ""),))


def test_a_mutant_is_seen_by_nobody_else() -> None:
    one = select(["half_buffer_keeps_order"])[0]
    before = block_class(one.module, one.block)
    assert block_class(one.module, one.block, (one.mutant,)) is not before
    assert block_class(one.module, one.block) is before


def test_the_page_is_up_to_date() -> None:
    made = page(read_figures(DOCS / FIGURES))
    assert (DOCS / PAGE).read_text() == made, "run scripts/prove --docs docs"


def test_the_page_has_all_that_is_proved() -> None:
    figures = read_figures(DOCS / FIGURES)
    assert {name for name, one in figures.items() if one["proved"] and one["mutant"]} == {
        one.name for one in PROPERTIES
    }


def test_names_are_of_one_property_each() -> None:
    assert len({one.name for one in PROPERTIES}) == len(PROPERTIES)


def test_the_list_and_a_name_that_nothing_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "starves"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 3
    assert all("starves" in line for line in shown)
    assert main(["no_such_property"]) == 2
    assert "no_such_property" in capsys.readouterr().err


def test_a_property_is_proved_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    assert main(["half_buffer_keeps_order", "--json", str(figures), "--work", str(tmp_path / "work")]) == 0
    assert "1 of 1 properties are proved" in capsys.readouterr().out
    assert read_figures(figures)["half_buffer_keeps_order"]["proved"] is True
