"""Kept Verilog: what names it, and that nothing that matters is left out of the name."""

from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ringwalker.buffers import StreamFifo
from ringwalker.component import Component
from ringwalker.config import DeviceConfig
from ringwalker.queue.walker import RingWalker
from ringwalker.streams import Chain, Head
from ringwalker.tlp.tags import TagRange
from ringwalker.verilog import to_verilog
from ringwalker_sim import verilog_cache
from ringwalker_sim.source_closure import source_closure
from ringwalker_sim.verilog_cache import component_verilog, describe


class Adder(Component):
    """Adds ``step``; ``how`` is anything."""

    def __init__(self, width: int = 8, step: int = 1, how: Any = None):
        self.step = step
        self.how = how
        super().__init__({"a": In(width), "o": Out(width)})

    def elaborate(self, platform):
        m: Any = Module()
        m.d.comb += self.o.eq(self.a + self.step)
        return m


def test_the_same_parameters_give_the_same_description():
    assert describe(Adder(8, 2, ("x", [1, None]))) == describe(Adder(8, 2, ("x", [1, None])))
    config = DeviceConfig(data_width=64)
    assert describe(RingWalker(config)) == describe(RingWalker(DeviceConfig(data_width=64)))


@pytest.mark.parametrize(
    "other",
    [
        Adder(9),
        Adder(8, 2),
        Adder(how=1),
        Adder(how=True),
        Adder(how="1"),
        Adder(how=(1,)),
        Adder(how=[(1,)]),
        Adder(how={"1": 1}),
        Adder(how={1: 1}),
        Adder(how=Adder(7)),
        Adder(how=Head),
        Adder(how=Chain),
        Adder(how=TagRange(0, 4)),
        Adder(how=TagRange(4, 4)),
        Adder(how=Signal(3, name="x")),
        Adder(how=Signal(4, name="x")),
        Adder(how=Signal(4, name="x", init=1)),
    ],
)
def test_a_parameter_changes_the_description(other):
    others = [Adder(), Adder(how=1.0), Adder(how=0), StreamFifo(8, 2)]
    assert describe(other) is not None
    assert all(describe(other) != describe(one) for one in others)


def test_shapes_and_depths_of_a_buffer_are_told_apart():
    kinds = [StreamFifo(shape, depth) for shape in (8, 9, Head, Chain) for depth in (2, 3)]
    assert len({describe(kind) for kind in kinds}) == len(kinds)


def test_what_cannot_be_described_is_elaborated_each_time(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path))
    made = []
    monkeypatch.setattr(verilog_cache, "to_verilog", lambda *args: made.append(args) or to_verilog(*args))
    assert describe(Adder(how=lambda: 1)) is None
    for _ in range(2):
        component_verilog(Adder(how=lambda: 1), "adder")
    assert len(made) == 2


def test_verilog_is_made_once_for_each_name_and_parameter(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path))
    made = []
    monkeypatch.setattr(verilog_cache, "to_verilog", lambda *args: made.append(args) or to_verilog(*args))
    first = component_verilog(Adder(), "adder")
    assert component_verilog(Adder(), "adder") == first == to_verilog(Adder(), "adder")
    assert len(made) == 1
    component_verilog(Adder(), "other")
    component_verilog(Adder(step=3), "adder")
    assert len(made) == 3


def test_a_changed_source_makes_it_again(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGWALKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    helper = tmp_path / "helper_of_adder.py"
    helper.write_text("STEP = 1\n")
    (tmp_path / "owner_of_adder.py").write_text("def f():\n    import helper_of_adder\n")
    # A module of the tests' own: its imports count if they are of its own package.
    paths = source_closure("owner_of_adder")
    assert tmp_path / "owner_of_adder.py" in paths
    assert helper not in paths, "another package: what it holds is not this project's"


def test_the_sources_of_a_component_are_those_it_imports():
    names = {path.name for path in source_closure("ringwalker.dma.gather")}
    assert {"gather.py", "run_reader.py", "streams.py", "verilog.py"} <= names
    assert "completer.py" not in names
