"""Ring walkers side by side: queues that must not wait for each other have walkers of their own."""

from collections.abc import Collection, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

from amaranth.hdl import Const, Module, Signal, unsigned
from amaranth.lib.wiring import In, Out, connect, flipped

from ..component import Component
from ..config import DeviceConfig
from ..interfaces import ChainPort, QueueClear, QueueRead, QueueRestore
from ..streams import QUEUE_BITS, Doorbell, completion_beat, request_beat, stream_of
from ..tlp.arbiter import PacketArbiter
from ..tlp.tags import TAGS, allocate_tags
from .formats import FORMATS
from .ring.ring_format import RingFormat
from .walker import PAYLOAD, RingWalker, walker_readers, walker_tables

__all__ = ["STILL_CYCLES", "Lanes"]

STILL_CYCLES = 64
"""Cycles without a sign of work after which a lane that holds chains counts as waiting for the outside world:
more than any stage of a walker works by itself."""

_SHARED_INPUTS = ("abort", "features", "msix_enable", "extended_tags", "max_payload", "max_read_request")
_PULSES = ("fail", "unsupported", "aborted", "timed_out")


_FEW_READS = 4
"""Reads of payload in flight in a lane whose chains have none as a rule."""


def _fitting(
    config: DeviceConfig, ring: RingFormat, lanes: int, write_only: Collection[int]
) -> list[dict[str, int]]:
    """How many tags each reader of each lane gets: what it wants, but of payload what is left over."""
    wanted = {kind.name: kind.tags for kind in walker_readers(config, ring)}
    others = sum(wanted.values()) - wanted[PAYLOAD]
    reading = [lane for lane in range(lanes) if lane not in write_only]
    few = min(config.read_tags, _FEW_READS)
    left = TAGS - lanes * others - (lanes - len(reading)) * few
    most = max(1, min(config.read_tags, left // max(1, len(reading))))
    return [wanted | {PAYLOAD: most if lane in reading else few} for lane in range(lanes)]


PACED_QUEUES = 4
"""A walker of so many queues has several that are busy at once, and not one beside another for control."""


class Lanes(Component):
    """One :class:`RingWalker` for each set of queues in ``lanes``, which together have every queue once.

    Parameters: ``write_only``, numbers of lanes that get few tags for payload, so that the others can have
    more; ``ring``, the format of the rings. ``tags`` says how many each reader of each lane has;
    ``tables`` are the ports that read the queue table.

    Members (W is ``config.data_width``): those of :class:`RingWalker` for all lanes together, but

    - ``function0``, ``function1``, ... Out(ChainPort(W)), one a lane, instead of ``function``;
    - Out(QueueRead()) by the names of ``tables``, ``lane0_index_table`` for instance;
    - ``halt_all`` In 1, ``halt_queue`` In: ``halt``, ``stop`` and ``flush`` are for every lane, or only for
      that of this queue; ``restore`` is for the other queues of that lane;
    - ``hold`` In 1: requests that are not on their way from a lane to ``reads`` and ``posted`` wait, if there
      are several lanes;
    - ``active`` In 1: the function works on something that its chains do not show;
    - ``halted``, ``departed``, ``answered`` Out 1: what is to halt is idle, has departed, is answered;
    - ``passed`` Out 1: nothing is on its way from a lane to ``reads``, ``posted`` and ``interrupts``;
    - ``idle`` Out 1: every lane is;
    - ``still`` Out 1: every lane is idle, or holds chains that nothing has been done with for
      ``STILL_CYCLES`` cycles;
    - ``unexpected`` Out 1, a pulse: a completion came that no reader of any lane waits for;
    - ``unclaimed`` Out 1: with that pulse, the tag is nobody's;
    - no ``reading`` and ``moves``.

    Chains of one lane are answered in order, those of different lanes independently.

    Latency: what a walker sends leaves in the same cycle if there is one lane, else a cycle later.

    Errors: ``ValueError`` when a queue is in no lane or in two, or when there are not tags enough.
    """

    def __init__(
        self,
        config: DeviceConfig,
        lanes: Sequence[Sequence[int]],
        write_only: Collection[int] = (),
        ring: RingFormat = FORMATS["split"],
    ):
        if sorted(queue for lane in lanes for queue in lane) != list(range(config.queues)) or not all(lanes):
            raise ValueError(f"lanes are {lanes!r}; each queue from 0 to {config.queues - 1} must be in one")
        self._config = config
        self._lanes = [tuple(lane) for lane in lanes]
        self._format = ring
        self._shared = (*_SHARED_INPUTS, *(("timeout_step",) if config.pci.timeout_ranges else ()))
        self.tags = _fitting(config, ring, len(lanes), write_only)
        names = walker_tables(ring)
        self._tables = [{name: f"lane{n}_{name}" for name in names} for n in range(len(lanes))]
        self.tables = [port for ports in self._tables for port in ports.values()]
        width = config.data_width
        sizes = {"features": 64, "max_payload": 13, "max_read_request": 13}
        super().__init__(
            {
                "doorbells": In(stream_of(Doorbell)),
                **{name: Out(QueueRead()) for name in self.tables},
                "clear": In(QueueClear()),
                "restore": In(QueueRestore()),
                "halt": In(1),
                "halt_all": In(1),
                "halt_queue": In(QUEUE_BITS),
                "stop": In(1),
                "flush": In(1),
                "hold": In(1),
                "active": In(1),
                "halted": Out(1),
                "departed": Out(1),
                "answered": Out(1),
                "passed": Out(1),
                "reads": Out(stream_of(request_beat(width))),
                "posted": Out(stream_of(request_beat(width))),
                "completions": In(stream_of(completion_beat(width))),
                **{f"function{n}": Out(ChainPort(width)) for n in range(len(lanes))},
                "interrupts": Out(stream_of(16)),
                **{name: In(sizes.get(name, 1)) for name in self._shared},
                **{
                    name: Out(1) for name in (*_PULSES, "unexpected", "unclaimed", "idle", "still", "waiting")
                },
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        ranges = iter(allocate_tags([count for tags in self.tags for count in tags.values()]))
        walkers = []
        for n, (tags, tables) in enumerate(zip(self.tags, self._tables, strict=True)):
            given = {name: next(ranges) for name in tags}
            walker = RingWalker(self._config, given, self._format, paced=len(self._lanes[n]) >= PACED_QUEUES)
            m.submodules[f"lane{n}"] = walker
            walkers.append(walker)
            for name, port in tables.items():
                connect(m, getattr(walker, name), flipped(getattr(self, port)))
            connect(m, walker.function, flipped(getattr(self, f"function{n}")))
            m.d.comb += [getattr(walker, name).eq(getattr(self, name)) for name in self._shared]
            for name in ("clear", "restore"):
                source, sink = getattr(self, name), getattr(walker, name)
                m.d.comb += [getattr(sink, key).eq(getattr(source, key)) for key in sink.signature.members]
        shared = (*self._requests(m, walkers), *self._notifications(m, walkers))
        states: dict[str, list[Any]] = {"idle": [], "departed": [], "answered": []}
        for n, (lane, walker) in enumerate(zip(self._lanes, walkers, strict=True)):
            concerned = Signal(name=f"concerned_{n}")
            m.d.comb += concerned.eq(
                self.halt_all | reduce(or_, (self.halt_queue == queue for queue in lane))
            )
            for name in ("halt", "stop", "flush"):
                m.d.comb += getattr(walker, name).eq(getattr(self, name) & concerned)
            mine = reduce(or_, (self.restore.index == queue for queue in lane))
            others = self.restore.index != self.halt_queue
            m.d.comb += walker.restore.en.eq(self.restore.en & concerned & mine & others)
            for name, values in states.items():
                values.append(getattr(walker, name) | ~concerned)
        m.d.comb += [
            self.passed.eq(reduce(and_, (block.idle for block in shared), Const(1))),
            *(
                getattr(self, name).eq(reduce(or_, (getattr(walker, name) for walker in walkers)))
                for name in (*_PULSES, "waiting")
            ),
            # All lanes get all completions: one that is in none of them is no lane's.
            self.unexpected.eq(reduce(or_, (walker.unexpected for walker in walkers)) | self.unclaimed),
            self.unclaimed.eq(reduce(and_, (walker.unclaimed for walker in walkers))),
            self.idle.eq(reduce(and_, (walker.idle for walker in walkers)) & self.passed),
            self.halted.eq(reduce(and_, states["idle"])),
            self.departed.eq(reduce(and_, states["departed"])),
            self.answered.eq(reduce(and_, states["answered"])),
            self.still.eq(reduce(and_, (self._still(m, walker) for walker in walkers)) & self.passed),
        ]
        return m

    def _requests(self, m: Any, walkers: list[RingWalker]) -> list[PacketArbiter]:
        """Reads and posted requests of all lanes, and the host's answers to the lane that has the tag."""
        shape = request_beat(self._config.data_width)
        arbiters = []
        for name in ("reads", "posted"):
            if len(walkers) == 1:
                connect(m, getattr(walkers[0], name), flipped(getattr(self, name)))
                continue
            arbiter = PacketArbiter(shape, len(walkers))
            arbiters.append(arbiter)
            m.submodules[f"{name}_arbiter"] = arbiter
            for n, walker in enumerate(walkers):
                source, sink = getattr(walker, name), getattr(arbiter, f"i{n}")
                waits = self.hold & source.p.first
                m.d.comb += [
                    sink.p.eq(source.p),
                    sink.valid.eq(source.valid & ~waits),
                    source.ready.eq(sink.ready & ~waits),
                ]
            connect(m, arbiter.o, flipped(getattr(self, name)))
        # Each lane drops what is not for its own tags.
        m.d.comb += self.completions.ready.eq(1)
        for walker in walkers:
            m.d.comb += [
                walker.completions.valid.eq(self.completions.valid),
                walker.completions.p.eq(self.completions.p),
            ]
        return arbiters

    def _notifications(self, m: Any, walkers: list[RingWalker]) -> list[PacketArbiter]:
        """Doorbells go to the lane of their queue; vectors of all lanes leave in turn."""
        ready = []
        for lane, walker in zip(self._lanes, walkers, strict=True):
            mine = reduce(or_, (self.doorbells.p.queue == queue for queue in lane))
            m.d.comb += [
                walker.doorbells.p.eq(self.doorbells.p),
                walker.doorbells.valid.eq(self.doorbells.valid & mine),
            ]
            ready.append(walker.doorbells.ready | ~mine)
        m.d.comb += self.doorbells.ready.eq(reduce(and_, ready))
        if len(walkers) == 1:
            connect(m, walkers[0].interrupts, flipped(self.interrupts))
            return []
        m.submodules.vectors = vectors = PacketArbiter(unsigned(16), len(walkers))
        connect(m, vectors.o, flipped(self.interrupts))
        for n, walker in enumerate(walkers):
            connect(m, walker.interrupts, getattr(vectors, f"i{n}"))
        return [vectors]

    def _still(self, m: Any, walker: RingWalker) -> Any:
        """Whether nothing will happen in a lane before its function does something."""
        function = walker.function
        streams = (function.chains, function.readable, function.replies, walker.reads, walker.posted)
        moves = reduce(or_, (item.valid & item.ready for item in streams)) | walker.completions.valid
        count = Signal(range(STILL_CYCLES + 1))
        pending = (
            self.active | walker.waiting | walker.reads.valid | walker.posted.valid | walker.interrupts.valid
        )
        with m.If(moves | pending | walker.reading | walker.moves):
            m.d.sync += count.eq(0)
        with m.Elif(count != STILL_CYCLES):
            m.d.sync += count.eq(count + 1)
        return walker.idle | (count == STILL_CYCLES)
