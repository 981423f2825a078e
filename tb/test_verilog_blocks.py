"""Verilog by blocks: what is a module of its own, and that a change gives a new one."""

import importlib
import re
import sys
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ringwalker.apart import ResetInserter
from ringwalker.component import Component
from ringwalker_sim import source_closure as closure
from ringwalker_sim import verilog_blocks
from ringwalker_sim.verilog_blocks import block_verilog


class Counter(Component):
    """Counts to ``last`` while ``on``."""

    on: In(1)
    o: Out(8)

    def __init__(self, last: int = 9):
        self.last = last
        self.count = Signal(8)
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        with m.If(self.on):
            m.d.sync += self.count.eq(self.count + 1)
        with m.If(self.count == self.last):
            m.d.sync += self.count.eq(0)
        m.d.comb += self.o.eq(self.count)
        return m


class Pair(Component):
    """Two counters. ``peek`` looks at what is inside of one; ``flush`` resets them beside ``rst``."""

    flush: In(1)
    o: Out(8)

    def __init__(self, lasts: tuple[int, int] = (9, 9), *, peek: bool = False, flushed: bool = False):
        self.lasts, self.peek, self.flushed = lasts, peek, flushed
        super().__init__()

    def elaborate(self, platform):
        m: Any = Module()
        one, other = (Counter(last) for last in self.lasts)
        wrap = ResetInserter(self.flush) if self.flushed else lambda component: component
        m.submodules.one, m.submodules.other = wrap(one), wrap(other)
        m.d.comb += [one.on.eq(1), other.on.eq(one.o[0])]
        m.d.comb += self.o.eq(one.o ^ (other.count if self.peek else other.o))
        return m


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path / "cache"))
    return tmp_path


def modules(component: Component) -> list[str]:
    """Names of the modules, but for the top."""
    return re.findall(r"^module (\w+)\(", block_verilog(component, "top")[0], re.MULTILINE)[1:]


def counters(component: Component) -> set[str]:
    return {name for name in modules(component) if name.startswith("Counter_")}


def test_equal_components_share_a_module_and_others_do_not():
    assert len(counters(Pair())) == 1
    assert len(counters(Pair((9, 8)))) == 2
    assert counters(Pair()) < counters(Pair((9, 8)))


def test_what_is_kept_is_not_converted_again(monkeypatch):
    first = block_verilog(Pair(), "top")
    monkeypatch.setattr(Counter, "elaborate", None)
    assert block_verilog(Pair(), "top") == first


def test_a_kept_block_that_was_cut_is_converted_again(empty_cache):
    first = block_verilog(Pair(), "top")
    for path in (empty_cache / "cache" / "verilog-blocks").iterdir():
        path.write_text(path.read_text()[:100])
    assert block_verilog(Pair(), "top") == first


def test_a_component_that_its_parent_looks_into_is_a_part_of_it():
    """Also when the other one has been converted before, and what is inside of it is not known any more."""
    for _ in range(2):
        assert not counters(Pair((9, 8), peek=True)) & counters(Counter(8))
        assert len(counters(Pair((9, 8), peek=True))) == 1


def test_a_block_is_reset_with_what_its_parent_flushes():
    assert len(re.findall(r"\.rst\(rst\)", block_verilog(Pair((9, 8)), "top")[0])) == 3
    text = block_verilog(Pair((9, 8), flushed=True), "top")[0]
    assert len(re.findall(r"\.rst\(rst\)", text)) == 1
    assert re.findall(r"assign \w+ = rst \| flush;", text)


def test_another_version_of_a_tool_gives_other_modules(monkeypatch):
    before = set(modules(Pair()))
    monkeypatch.setattr(verilog_blocks, "tool_versions", lambda: ["amaranth 0.9"])
    assert not before & set(modules(Pair()))


HELPER = "STEP = {step}\n"
INNER = """
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out
from ringwalker.component import Component
from .helper import STEP

class Inner(Component):
    i: In(8)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(self.i + STEP)
        return m
"""
BESIDE = INNER.replace("Inner", "Beside").replace("from .helper import STEP", "STEP = 7")
OUTER = """
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out
from ringwalker.component import Component
from .beside import Beside
from .inner import Inner

class Outer(Component):
    i: In(8)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner, m.submodules.beside = inner, beside = Inner(), Beside()
        m.d.comb += [inner.i.eq(self.i), beside.i.eq(inner.o), self.o.eq(beside.o)]
        return m
"""
SOURCES = {"helper": HELPER.format(step=1), "inner": INNER, "beside": BESIDE, "outer": OUTER}


def written(folder, **sources: str) -> dict[str, str]:
    """The modules that a fresh process makes of these sources of package ``walked``, by class."""
    (folder / "walked").mkdir(exist_ok=True)
    for name, text in sources.items():
        (folder / "walked" / f"{name}.py").write_text(text)
    for name in ("walked", *(f"walked.{name}" for name in SOURCES)):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    closure._imports.cache_clear()
    verilog_blocks._module_sources.cache_clear()
    made = modules(importlib.import_module("walked.outer").Outer())
    return {name.rpartition("_")[0]: name for name in made}


def test_a_change_in_a_block_or_in_what_it_imports_changes_it_and_its_parents(empty_cache, monkeypatch):
    monkeypatch.syspath_prepend(str(empty_cache))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    first = written(empty_cache, __init__="", **SOURCES)
    assert first.keys() == {"Outer", "Inner", "Beside"}
    block = written(empty_cache, inner=INNER.replace("+ STEP", "- STEP"))
    helper = written(empty_cache, helper=HELPER.format(step=2))
    for before, after in ((first, block), (block, helper)):
        assert before["Beside"] == after["Beside"]
        assert before["Inner"] != after["Inner"]
        assert before["Outer"] != after["Outer"]
    assert written(empty_cache, **SOURCES) == first
