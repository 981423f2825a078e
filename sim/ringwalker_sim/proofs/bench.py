"""What is around a block while something is proved about it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, ClockDomain, Fragment, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

__all__ = ["Bench"]


class Bench:
    """A module with one block, whose inputs may do anything that is not excluded by :meth:`assume`.

    ``m``: the module, for the state that a property needs beside the block. Time begins with the state after
    power-up; a step of induction begins with any state in which the property holds.
    """

    def __init__(self) -> None:
        self.m: Any = Module()
        self._clock = ClockDomain("sync", reset_less=True)
        self.m.domains += self._clock
        self._inputs: list[Any] = [self._clock.clk]
        # What is said of every cycle stands here, wherever it is said: in no ``m.If`` of the other module.
        self.m.submodules.always = self._always = Module()
        self._insides: dict[int, dict[str, Any]] = {}
        self.begun = Signal()
        """0 in the first cycle."""
        self._always.d.sync += self.begun.eq(1)

    def block(self, component: wiring.Component) -> Any:
        """Put ``component`` into the module, every input free; give it back."""
        with _local_variables() as self._insides:
            fragment = Fragment.get(component, None)
        self.m.submodules.block = fragment
        for _path, member, value in component.signature.flatten(component):
            if member.flow is In and isinstance(Value.cast(value), Signal):
                self._inputs.append(Value.cast(value))
        self._block = component
        return component

    def inside(self, name: str, block: Any = None) -> Any:
        """A signal or part of the block, or of ``block`` in it, by its variable's name, if it is no port.

        Only what makes a property inductive needs it.
        """
        return self._insides[id(block or self._block)][name]

    def state(self, name: str) -> Any:
        """Whether the state machine of the block is in that state."""
        fsm = self.inside("fsm")
        return fsm.state == fsm.encoding[name]

    def in_a_state(self) -> Any:
        """Whether the state machine of the block is in a state that it has."""
        fsm = self.inside("fsm")
        return fsm.state < len(fsm.encoding)

    def free(self, shape: Any, name: str) -> Any:
        """Any value, another one in each cycle."""
        signal = Signal(shape, name=name)
        self._inputs.append(Value.cast(signal))
        return signal

    def constant(self, shape: Any, name: str) -> Any:
        """Any value, the same in all cycles."""
        signal = self.free(shape, name)
        value = Value.cast(signal)
        self.assume((value == self.past(value)) | ~self.begun)
        return signal

    def past(self, value: Any) -> Signal:
        """The value of the cycle before; 0 in the first."""
        value = Value.cast(value)
        before = Signal(value.shape(), name="past")
        self._always.d.sync += before.eq(value)
        return before

    def assume(self, condition: Any) -> None:
        """Only what fulfils ``condition`` in every cycle is looked at."""
        self._always.d.comb += Assume(condition)

    def prove(self, condition: Any) -> None:
        """``condition`` must hold in every cycle."""
        self._always.d.comb += Assert(condition)

    def input_holds(self, *streams: Any) -> None:
        """What is offered to the block stays until it is taken."""
        for one in streams:
            self.assume(self._kept(one))

    def output_holds(self, one: Any, unless: Any = 0) -> None:
        """What the block offers must stay until it is taken, or ``unless`` was up in the cycle before."""
        self.prove(self._kept(one) | self.past(unless))

    def _kept(self, one: Any) -> Any:
        payload = Value.cast(one.payload)
        waited = self.past(one.valid & ~one.ready)
        return ~waited | (one.valid & (payload == self.past(payload)))

    def rtlil(self) -> str:
        """The module ``top`` as RTLIL."""
        return rtlil.convert(self.m, name="top", ports=self._inputs, emit_src=False)


@contextmanager
def _local_variables() -> Iterator[dict[int, dict[str, Any]]]:
    """What methods of components that return meanwhile leave in local variables: by ``id``, then by name."""
    found: dict[int, dict[str, Any]] = {}

    def note(frame: FrameType, event: str, _value: Any) -> None:
        if event == "return" and isinstance(component := frame.f_locals.get("self"), wiring.Component):
            found.setdefault(id(component), {}).update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)
