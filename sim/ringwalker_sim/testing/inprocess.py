"""A component in Amaranth's own simulator. Nothing is built, so a test of a small block takes a moment.

A test derives a class from :class:`Bench` that makes the component, and writes coroutines that get one::

    class Fifo(Bench):
        @classmethod
        def component(cls):
            return StreamFifo(unsigned(8), 4)

    @simulated(Fifo)
    async def test_items_come_out_in_order(bench):
        bench.put("i", 1)
        assert await bench.get("o") == 1

Ports are named by their path (``read.requests``). What a port or a stream carries is an integer, or a dict
from field to integer where it has fields; those of a struct within are joined by underscores
(``table_address``).
"""

import random
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.sim import Simulator

from ringwalker.component import Component

__all__ = ["Bench", "Item", "simulated"]

Item = Any
"""An integer, or a dict from field to integer."""

_NOISE = 0.3
"""While a stream offers nothing, its payload changes in so many of the cycles: to one of before, or noise."""

_LIMIT = 20_000
"""A test that takes more cycles than this waits for something that does not come."""


def _fields(shape: Any, name: str = "", start: int = 0) -> Iterator[tuple[str, int, int]]:
    """The fields of a payload: name, lowest bit, width. A payload without fields is one of no name."""
    layout = shape if isinstance(shape, data.Layout) else getattr(shape, "as_shape", lambda: shape)()
    if isinstance(layout, data.StructLayout):
        for key, field in layout:
            path = f"{name}_{key}" if name else str(key)
            yield from _fields(field.shape, path, start + field.offset)
    else:
        yield name, start, Value.cast(Signal(shape)).shape().width


@dataclass(frozen=True)
class _Port:
    """A port: where it stands in the vector of all inputs, or of all outputs, and what it carries."""

    driven: bool
    start: int
    width: int
    init: int
    fields: tuple[tuple[str, int, int], ...]

    def unpacked(self, vector: int) -> Item:
        value = vector >> self.start & ((1 << self.width) - 1)
        if self.fields[0][0] == "":
            return value
        return {key: value >> start & ((1 << width) - 1) for key, start, width in self.fields}

    def packed(self, item: Item) -> int:
        """``item`` as bits. Fields that it leaves out are 0."""
        if isinstance(item, int):
            assert 0 <= item < 1 << self.width, f"{item:#x} is wider than {self.width} bits"
            return item
        value, left = 0, dict(item)
        for key, start, width in self.fields:
            part = left.pop(key, 0)
            assert 0 <= part < 1 << width, f"field {key} cannot be {part:#x}"
            value |= part << start
        assert not left, f"there is no field {sorted(left)}; there are {[key for key, *_ in self.fields]}"
        return value


class _Simulation:
    """One simulator for all tests of a bench: making it takes longer than most of them."""

    def __init__(self, component: Component):
        self.ports: dict[str, _Port] = {}
        vectors: dict[bool, list[Value]] = {True: [], False: []}
        widths = {True: 0, False: 0}
        for path, member, value in component.signature.flatten(component):
            driven, signal = member.flow is wiring.In, Value.cast(value)
            name = ".".join(str(key) for key in path)
            fields = tuple(_fields(member.shape)) or (("", 0, 0),)
            self.ports[name] = _Port(driven, widths[driven], len(signal), getattr(signal, "init", 0), fields)
            widths[driven] += len(signal)
            vectors[driven].append(signal)
        # One access from Python to a wide signal costs far less than one to each port.
        inputs, outputs = vectors[True], vectors[False]
        self.inputs, self.outputs = Signal(widths[True]), Signal(widths[False])
        top: Any = Module()
        cycles = Signal(32)
        self.inside: Any = component.elaborate(None)
        top.submodules.component = self.inside
        top.d.comb += [*self._slices(inputs), self.outputs.eq(Cat(outputs))]
        top.d.sync += cycles.eq(cycles + 1)  # A component without registers has a clock, too.
        self.simulator = Simulator(top)
        self.simulator.add_clock(1e-9)
        self.simulator.add_testbench(self._run)
        self._over = False
        self._body: Callable[[Any], Coroutine[Any, Any, None]] | None = None
        self.streams = [
            name.removesuffix(".valid")
            for name in self.ports
            if name.endswith(".valid") and f"{name.removesuffix('.valid')}.ready" in self.ports
        ]

    def _slices(self, inputs: list[Value]) -> Iterator[Any]:
        at = 0
        for signal in inputs:
            yield signal.eq(self.inputs[at : at + len(signal)])
            at += len(signal)

    def run(self, body: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        """Run ``body`` from reset on."""
        if self._body is not None:
            self.simulator.reset()
        self._body, self._over = body, False
        self.simulator.run()
        assert self._over, "the simulator ended before the test"

    async def _run(self, context: Any) -> None:
        if self._body is not None:
            await self._body(context)
            self._over = True


@cache
def _simulation(make: "type[Bench]") -> _Simulation:
    return _Simulation(make.component())


class _Stream:
    def __init__(self, bench: "Bench", name: str):
        self.name = name
        self.payload = bench.port(f"{name}.payload")
        self.valid, self.ready = f"{name}.valid", f"{name}.ready"
        self.driven = self.payload.driven
        self.stalls = 0.0
        self.items: deque[Item] = deque()
        self.before: deque[Item] = deque(maxlen=3)
        self.callback: Callable[[Item], None] | None = None
        self.waiting: int | None = None
        self.inside = False
        self.framed = {"first", "last"} <= {key for key, *_ in self.payload.fields}
        self.up, self.withdraws = False, False


class Bench(ABC):
    """The component of one test, after reset. Errors of its streams are an ``AssertionError``: ``valid`` that
    is withdrawn or waits for ``ready``, a payload that changes while it waits, ``first`` and ``last`` that
    frame no packet.

    Every stream into the component sends what was :meth:`put`; every stream out of it is taken, and kept for
    :meth:`get`. ``stall`` makes them pause. ``random`` has the same seed in every test; ``cycle`` counts.
    """

    def __init__(self) -> None:
        self._simulation = _simulation(type(self))
        self._driven = 0
        for port in self._simulation.ports.values():
            if port.driven:
                self._driven |= port.init << port.start
        self._applied = self._driven
        self._context: Any = None
        self._shown: int | None = None
        self._edge = False
        self._hooks: list[Callable[[], None]] = []
        self._streams = {name: _Stream(self, name) for name in self._simulation.streams}
        self.counts: dict[str, int] = defaultdict(int)
        self.random = random.Random(1)
        self.cycle = 0

    @classmethod
    @abstractmethod
    def component(cls) -> Component:
        """The component under test. It is made once, and reset for each test."""

    # --- streams -------------------------------------------------------------------------------------------

    def put(self, stream: str, *items: Item) -> None:
        """Send ``items`` in turn."""
        self._streams[stream].items.extend(items)

    def pending(self, stream: str) -> int:
        """How many items of those that were put were not taken yet, or of those that came were not got."""
        return len(self._streams[stream].items)

    async def get(self, stream: str, cycles: int = 2000) -> Item:
        """The next item, which comes within ``cycles``."""
        items = self._streams[stream].items
        await self.until(lambda: items, f"an item of {stream}", cycles)
        return items.popleft()

    def got(self, stream: str) -> list[Item]:
        """All items that came so far and were not got."""
        items, self._streams[stream].items = list(self._streams[stream].items), deque()
        return items

    def begin_anew(self, *streams: str) -> None:
        """A side of these streams was reset: what was put and not taken is withdrawn, packets are over."""
        for stream in (self._streams[name] for name in streams):
            stream.inside, stream.waiting = False, None
            if stream.driven:
                stream.items.clear()
                self.drive(stream.valid, 0)

    def stall(self, *streams: str, probability: float = 1.0) -> None:
        """Pause ``streams`` with this probability in each cycle from now on; no name means all of them.

        A stream out of the component takes nothing in that cycle, one into it offers nothing new.
        """
        for name in streams or self._streams:
            self._streams[name].stalls = probability

    def may_withdraw(self, stream: str) -> None:
        """What is offered on ``stream`` need not stay until it is taken: its contract says so."""
        self._streams[stream].withdraws = True

    def on(self, stream: str, call: Callable[[Item], None]) -> None:
        """Give each item to ``call``, in place of keeping it."""
        self._streams[stream].callback = call

    # --- ports ---------------------------------------------------------------------------------------------

    def port(self, name: str) -> _Port:
        """Errors: ``KeyError`` with the ports that there are."""
        if name not in self._simulation.ports:
            raise KeyError(f"{name}; there are {sorted(self._simulation.ports)}")
        return self._simulation.ports[name]

    def drive(self, name: str, item: Item) -> None:
        """Drive an input that is no stream, from this cycle on; from the next if a hook does it."""
        port = self.port(name)
        assert port.driven, f"{name} is an output"
        mask = ((1 << port.width) - 1) << port.start
        self._driven = (self._driven & ~mask) | (port.packed(item) << port.start)

    def value(self, name: str) -> Item:
        """What an output is in this cycle, or what an input is driven to."""
        port = self.port(name)
        return port.unpacked(self._inputs() if port.driven else self._vector())

    def preset(self, memory: str, row: int, value: int) -> None:
        """Put ``value`` into a memory of the component, in place of the many cycles that lead to it."""
        self._context.set(getattr(self._simulation.inside.submodules, memory).data[row], value)
        self._shown = None

    # --- time ----------------------------------------------------------------------------------------------

    def each_cycle(self, call: Callable[[], None]) -> None:
        """Call ``call`` at the end of each cycle; what it drives counts from the next one on."""
        self._hooks.append(call)

    def count(self, *names: str) -> None:
        """Count in ``counts`` the cycles in which these outputs of one bit are up."""

        def look() -> None:
            for name in names:
                self.counts[name] += self.value(name)

        self._hooks.append(look)

    async def cycles(self, count: int = 1) -> None:
        """Let so many cycles pass."""
        for _ in range(count):
            await self._tick()

    async def until(self, condition: Callable[[], object], what: str = "it", cycles: int = 2000) -> int:
        """Wait until ``condition()`` holds; gives how many cycles that took."""
        for n in range(cycles):
            if condition():
                return n
            await self._tick()
        raise AssertionError(f"still waiting for {what} after {cycles} cycles")

    def run(self, body: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        """Run ``body`` with this bench."""

        async def whole(context: Any) -> None:
            self._context = context
            self._settle()
            await self._tick()
            await body(self)

        try:
            self._simulation.run(whole)
        except BaseException:
            _simulation.cache_clear()
            raise

    def _inputs(self) -> int:
        return self._applied if self._edge else self._driven

    def _vector(self) -> int:
        if not self._edge:
            self._settle()
        shown = self._shown
        if shown is None:
            shown = self._shown = self._context.get(self._simulation.outputs)
        return shown

    def _settle(self) -> None:
        self._apply(self._driven)

    def _apply(self, inputs: int) -> None:
        if inputs != self._applied or self.cycle == 0:
            self._context.set(self._simulation.inputs, inputs)
            self._applied, self._shown = inputs, None

    async def _tick(self) -> None:
        assert self.cycle < _LIMIT, f"the test goes on after {_LIMIT} cycles"
        self._vector()
        self._edge = True
        for stream in self._streams.values():
            self._step(stream)
        for hook in self._hooks:
            hook()
        await self._context.tick()
        self._shown = None
        self.cycle += 1
        for stream in self._streams.values():
            if not stream.driven:
                self._take_or_stall(stream)
        self._edge = False
        self._settle()

    def _take_or_stall(self, stream: _Stream) -> None:
        """Decide on ``ready`` for the cycle that begins, which ``valid`` must not depend on."""
        up = self.random.random() >= stream.stalls
        if up != stream.up:
            stream.up = up
            valid = self.value(stream.valid)
            ready = 1 << self.port(stream.ready).start
            self._driven ^= ready
            self._apply(self._applied ^ ready)
            assert self.value(stream.valid) == valid, f"valid of {stream.name} waits for ready"

    def _step(self, stream: _Stream) -> None:
        """What happened on a stream in the cycle that ends."""
        valid, ready = self.value(stream.valid), self.value(stream.ready)
        vector = self._inputs() if stream.driven else self._vector()
        beat = vector >> stream.payload.start & ((1 << stream.payload.width) - 1)
        if stream.driven:
            if valid and ready:
                stream.before.append(stream.items.popleft())
                valid = 0
            if not valid:
                offers = bool(stream.items) and self.random.random() >= stream.stalls
                self.drive(stream.valid, int(offers))
                if offers:
                    self.drive(f"{stream.name}.payload", stream.items[0])
                elif self.random.random() < _NOISE:
                    noise = self.random.choice(
                        (*stream.before, self.random.getrandbits(stream.payload.width))
                    )
                    self.drive(f"{stream.name}.payload", noise)
            return
        if stream.waiting is not None:
            assert valid, f"valid of {stream.name} was withdrawn before ready"
            assert beat == stream.waiting, f"{stream.name} changed while waiting for ready"
        stream.waiting = beat if valid and not ready and not stream.withdraws else None
        if valid and ready:
            item = stream.payload.unpacked(vector)
            if stream.framed:
                assert item["first"] == (not stream.inside), f"{stream.name}: first is wrong: {item}"
                stream.inside = not item["last"]
            if stream.callback:
                stream.callback(item)
            else:
                stream.items.append(item)


_B = TypeVar("_B", bound=Bench)


def simulated(make: type[_B]) -> Callable[[Callable[[_B], Coroutine[Any, Any, None]]], Callable[[], None]]:
    """Turn a coroutine of a bench into a test function."""

    def decorate(body: Callable[[_B], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        def test() -> None:
            make().run(body)

        test.__name__, test.__doc__, test.__module__ = body.__name__, body.__doc__, body.__module__
        return test

    return decorate
