"""What is found in a design, and what of it is drawn: small designs that show one rule each."""

from typing import Any

import pytest
from amaranth.hdl import Module, Mux
from amaranth.lib.wiring import In, Out, connect, flipped

from ringwalker.apart import ResetInserter
from ringwalker.buffers import StreamFifo
from ringwalker.component import Component
from ringwalker.interfaces import RegisterPort
from ringwalker.streams import Doorbell, Visit, byte_beat, stream_of
from ringwalker_sim.pictures.design import OUTSIDE, Block, Edge, Graph, design_graph
from ringwalker_sim.pictures.drawing import Box, Line, drawn

BYTES = stream_of(byte_beat(64))


class Asks(Component):
    """Gives bytes, and asks for registers."""

    registers: Out(RegisterPort())
    o: Out(BYTES)
    up: Out(1)

    def elaborate(self, platform):
        raise AssertionError("it was looked into")


class Answers(Component):
    """The other side."""

    registers: In(RegisterPort())
    i: In(BYTES)

    def elaborate(self, platform):
        raise AssertionError("it was looked into")


class Inner(Component):
    """A block in which there is another."""

    registers: Out(RegisterPort())
    o: Out(BYTES)
    flush: In(1)

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.asks = asks = Asks()
        m.submodules.fifo = ResetInserter(self.flush)(fifo := StreamFifo(byte_beat(64), 2))
        connect(m, asks.registers, flipped(self.registers))
        connect(m, asks.o, fifo.i)
        connect(m, fifo.o, flipped(self.o))
        return m


class Whole(Component):
    """Two of them; bytes come from either, as ``choose`` says."""

    choose: In(1)
    first: Out(RegisterPort())

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.a = a = Inner()
        m.submodules.b = b = Inner()
        m.submodules.sink = sink = Answers()
        connect(m, a.registers, flipped(self.first))
        connect(m, b.registers, sink.registers)
        m.d.comb += sink.i.p.eq(Mux(self.choose, a.o.p, b.o.p))
        with m.If(self.choose):
            m.d.comb += [sink.i.valid.eq(a.o.valid), a.o.ready.eq(sink.i.ready)]
        with m.Else():
            m.d.comb += [sink.i.valid.eq(b.o.valid), b.o.ready.eq(sink.i.ready)]
        return m


def edges(component: Component, *opened: str) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.sink, edge.carries) for edge in design_graph(component, opened).edges}


def test_a_block_that_is_not_opened_is_not_looked_into():
    class Top(Component):
        def __init__(self):
            super().__init__({})

        def elaborate(self, platform):
            m: Any = Module()
            m.submodules.asks = asks = Asks()
            m.submodules.answers = answers = Answers()
            connect(m, asks.registers, answers.registers)
            connect(m, asks.o, answers.i)
            return m

    found = design_graph(Top())
    assert [(block.path, block.kind) for block in found.blocks] == [("answers", "Answers"), ("asks", "Asks")]
    # Signals by themselves are not there; a port of two streams is one edge, from who begins.
    assert found.edges == (
        Edge("asks", "o", "answers", "i", "byte_beat 71", True),
        Edge("asks", "registers", "answers", "registers", "RegisterPort", True),
    )


def test_data_that_is_chosen_comes_from_all_that_are_chosen_from():
    assert edges(Whole()) == {
        ("a", "sink", "byte_beat 71"),
        ("b", "sink", "byte_beat 71"),
        ("b", "sink", "RegisterPort"),
        ("a", OUTSIDE, "RegisterPort"),
    }


def test_what_is_opened_is_replaced_by_what_is_in_it_also_behind_a_reset():
    found = edges(Whole(), "Inner")
    assert ("a.asks", "a.fifo", "byte_beat 71") in found
    assert ("a.fifo", "sink", "byte_beat 71") in found
    assert ("a.asks", OUTSIDE, "RegisterPort") in found
    assert not any("a" in edge[:2] for edge in found)


def test_a_port_whose_streams_go_to_different_blocks_is_not_one_edge():
    class Top(Component):
        def __init__(self):
            super().__init__({})

        def elaborate(self, platform):
            m: Any = Module()
            m.submodules.asks = asks = Asks()
            m.submodules.a = a = Answers()
            m.submodules.b = b = Answers()
            m.d.comb += [
                a.registers.requests.p.eq(asks.registers.requests.p),
                asks.registers.responses.p.eq(b.registers.responses.p),
            ]
            return m

    assert edges(Top()) == {("asks", "a", "RegisterRequest 64"), ("b", "asks", "RegisterResponse 32")}


# ---- what is drawn


def block(path: str, kind: str = "Stage", module: str = "ringwalker.queue.split.x") -> Block:
    return Block(path, kind, module)


def edge(source: str, sink: str, carries: str = "Visit 10", leaves: str = "o") -> Edge:
    return Edge(source, leaves, sink, "i", carries, True)


def test_a_buffer_is_a_part_of_its_line():
    buffer = block("buffer", "ElasticBuffer", "ringwalker.buffers")
    found = drawn(Graph((block("a"), buffer, block("b")), (edge("a", "buffer"), edge("buffer", "b"))))
    assert found.lines == (Line("a", "b", "Visit 10", True),)
    assert found.boxes == (Box("a", "Stage", "queue/split"), Box("b", "Stage", "queue/split"))


def test_a_buffer_with_two_ways_out_stays():
    buffer = block("buffer", "ElasticBuffer", "ringwalker.buffers")
    blocks = (block("a"), buffer, block("b"), block("c"))
    found = drawn(Graph(blocks, (edge("a", "buffer"), edge("buffer", "b"), edge("buffer", "c"))))
    assert len(found.boxes) == 4


def test_lines_that_carry_the_same_are_one():
    both = (edge("a", "b", leaves="o0"), edge("a", "b", leaves="o1"), edge("a", "b", "Doorbell 27"))
    found = drawn(Graph((block("a"), block("b")), both))
    assert [line.label for line in found.lines] == ["2 \N{MULTIPLICATION SIGN} Visit 10", "Doorbell 27"]


def test_what_is_around_is_a_box_for_each_port():
    found = drawn(Graph((block("a"),), (edge("", "a", leaves="visits"),)))
    assert [box.path for box in found.boxes] == [":visits", "a"]


def test_what_is_hidden_or_left_out_takes_its_boxes_along():
    whole = Graph((block("a"), block("b"), block("c", "Table")), (edge("a", "b"), edge("a", "c", "Row")))
    for found in (drawn(whole, hidden=("Row",)), drawn(whole, without=("Table",))):
        assert [box.path for box in found.boxes] == ["a", "b"]


def test_blocks_of_a_class_can_be_one_box():
    whole = Graph(tuple(block(name) for name in ("a", "b", "c")), (edge("a", "c"), edge("b", "c")))
    blocks = (block("a", "Reader"), block("b", "Reader"), block("c"))
    found = drawn(Graph(blocks, whole.edges), folded=("Reader",))
    assert [(line.source, line.sink, line.label) for line in found.lines] == [
        ("2 \N{MULTIPLICATION SIGN} Reader", "c", "2 \N{MULTIPLICATION SIGN} Visit 10")
    ]


def test_around_a_centre_there_are_its_neighbours_and_what_is_between_them():
    blocks = tuple(block(name) for name in "abcd")
    found = drawn(Graph(blocks, (edge("a", "b"), edge("b", "c"), edge("a", "c"), edge("c", "d"))), centre="b")
    assert {(line.source, line.sink) for line in found.lines} == {("a", "b"), ("b", "c"), ("a", "c")}


@pytest.mark.parametrize(
    ("shape", "words"), [(Visit, "Visit 10"), (Doorbell, "Doorbell 27"), (16, "16 bits"), (1, "1 bit")]
)
def test_a_stream_has_the_name_of_what_it_carries_and_its_bits(shape, words):
    class Passes(Component):
        def __init__(self):
            super().__init__({"i": In(stream_of(shape))})

        def elaborate(self, platform):
            raise AssertionError("it was looked into")

    class Top(Component):
        def __init__(self):
            super().__init__({"i": In(stream_of(shape))})

        def elaborate(self, platform):
            m: Any = Module()
            m.submodules.passes = passes = Passes()
            connect(m, flipped(self.i), passes.i)
            return m

    assert edges(Top()) == {(OUTSIDE, "passes", words)}
