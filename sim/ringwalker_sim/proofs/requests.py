"""Tags, queues and vectors: nothing is used twice, lost, or told before its time."""

from typing import Any

from amaranth.hdl import Cat, Mux, Signal

from ringwalker.config import DeviceConfig
from ringwalker.spec.tlp import CompletionStatus
from ringwalker.tlp.tags import TagRange

from ..mutants.change import Change
from .bench import Bench
from .property import statement

__all__ = ["PROPERTIES"]

_TAGS = TagRange(0, 2)
_TIMEOUT = 4


def _taken(one: Any) -> Any:
    return one.valid & one.ready


def _reader(b: Bench, cls: Any) -> tuple[Any, Any, Any, Any]:
    """A reader whose host may send anything; a tag; a request leaves with it; a completion has it."""
    it = b.block(cls(64, _TAGS, 8, _TIMEOUT))
    b.input_holds(it.port.requests)
    request, completion = it.port.requests.p, it.completions.p
    b.assume((request.length != 0) & (request.length + request.address[:2] <= 8))
    # Beats come as packets, each of one tag.
    inside, before = Signal(), Signal(1)
    with b.m.If(it.completions.valid):
        b.m.d.sync += [inside.eq(~completion.last), before.eq(completion.header.tag)]
    b.assume((completion.header.tag < 2) & (completion.first == ~inside))
    b.assume(~inside | (completion.header.tag == before))
    tag = b.constant(1, "tag")
    sends = _taken(it.requests) & (it.requests.p.header.tag == tag)
    answers = it.completions.valid & (completion.header.tag == tag)
    return it, tag, sends, answers


@statement(
    "dma.reader",
    "DmaReader",
    "64 bits, 2 tags, a time-out of 4 cycles; any completions of these tags, any flush, any abort",
    16,
    Change(
        "a slot is reused while it is in use",
        "has_room = (highest == self._last_slot) & (self._in_use != self._last_slot + 1)",
        "has_room = highest == self._last_slot",
    ),
    inductive=False,
)
def tags_are_not_reused_in_flight(b: Bench, cls: Any) -> None:
    """Between two requests with a tag a beat of a completion of it comes, or the time-out passes twice."""
    it, _tag, sends, answers = _reader(b, cls)
    flying, late, wait = Signal(), Signal(), Signal(range(_TIMEOUT + 2))
    b.m.d.sync += [
        flying.eq((flying | sends) & ~answers & ~(late & (wait >= _TIMEOUT - 1))),
        late.eq((late | it.timed_out) & ~sends),
        wait.eq(Mux(late & (wait != _TIMEOUT), wait + late, Mux(late, wait, 0))),
    ]
    b.prove(~sends | ~flying)


@statement(
    "dma.reader",
    "DmaReader",
    "64 bits, 2 tags, reads of 8 bytes, a host that answers in two completions",
    16,
    Change(
        "a read ends with its first completion",
        "completions.finish, completions.slot),",
        "completions.finish | completions.begun, completions.slot),",
    ),
    inductive=False,
)
def tags_are_kept_until_all_is_there(b: Bench, cls: Any) -> None:
    """A tag is not used again between the first and the last completion of a read, unless it times out."""
    it, tag, sends, answers = _reader(b, cls)
    request, header = it.port.requests.p, it.completions.p.header
    left = Signal(2)
    b.assume((request.length == 8) & (request.address[:2] == 0))
    b.assume(~it.completions.valid | (header.tag == tag) & (left != 0))
    b.assume((header.status == CompletionStatus.SUCCESS) & header.has_data & ~header.poisoned)
    b.assume((header.length == 1) & (header.byte_count == left << 2))
    b.assume(it.completions.p.last)
    with b.m.If(it.timed_out):
        b.m.d.sync += left.eq(0)
    with b.m.Elif(sends):
        b.m.d.sync += left.eq(2)
    with b.m.Elif(answers):
        b.m.d.sync += left.eq(left - 1)
    b.prove(~sends | (left == 0))


@statement(
    "dma.reader",
    "DmaReader",
    "64 bits, 2 tags, a time-out of 4 cycles; any completions of these tags, any flush, any abort",
    16,
    Change(
        "a request that waits for the link can be answered",
        "self._outstanding & ~only(self._unsent, self._unsent_slot)",
        "self._outstanding",
    ),
    inductive=False,
)
def what_has_not_left_has_no_answer(b: Bench, cls: Any) -> None:
    """Until its first request leaves the reader waits for no answer, and no completion is one."""
    it, _tag, _sends, _answers = _reader(b, cls)
    left = Signal()
    b.m.d.sync += left.eq(left | _taken(it.requests))
    b.prove(left | it.answered)
    b.prove(left | ~(it.unsupported | it.aborted))


_LATE = Change(
    "a doorbell in the cycle of the visit is lost",
    "pending.eq((pending & ~taken & ~cleared) | rung)",
    "pending.eq((pending | rung) & ~taken & ~cleared)",
)


def _scheduler(b: Bench, cls: Any) -> tuple[Any, Any, Any, Any]:
    """A scheduler; a queue; a visit to it is taken; a visit to it is owed."""
    it = b.block(cls(4))
    queue, owed = b.constant(2, "queue"), Signal()
    visited = _taken(it.visits) & (it.visits.payload.queue == queue)
    cleared = it.clear.en & (it.clear.index == queue)
    rung = it.doorbells.valid & (it.doorbells.payload.queue == queue)
    b.m.d.sync += owed.eq(rung | (owed & ~visited & ~cleared))
    b.prove(~it.visits.valid | (it.visits.payload.queue < 4))
    b.prove(b.inside("pending").bit_select(queue, 1) == owed)
    return it, queue, visited, owed


@statement("queue.scheduler", "Scheduler", "4 queues", 2, _LATE, mutant_depth=6)
def doorbells_are_not_lost(b: Bench, cls: Any) -> None:
    """After a doorbell its queue is pending until a later visit to it is taken, or it is cleared."""
    it, _queue, _visited, owed = _scheduler(b, cls)
    b.prove(~owed | it.waiting)


@statement(
    "queue.scheduler",
    "Scheduler",
    "4 queues, nothing is cleared",
    3,
    Change(
        "the lowest queue always goes first",
        "pending.word_select(group, size) & unseen",
        "pending.word_select(group, size)",
    ),
    mutant_depth=12,
)
def scheduler_starves_no_queue(b: Bench, cls: Any) -> None:
    """Between a doorbell and its visit at most as many others are taken as there are queues."""
    it, queue, visited, owed = _scheduler(b, cls)
    b.assume(~it.clear.en)
    others = Signal(4)
    b.m.d.sync += others.eq(Mux(owed & ~visited, others + _taken(it.visits), 0))
    b.prove(others <= 4)
    # What makes it inductive: a pass goes up; who comes before the queue in this one and the next.
    unseen, offered = b.inside("unseen"), it.visits.valid
    b.prove((unseen & ~(unseen >> 1) & 0b0111) == 0)
    mine = offered & (it.visits.payload.queue == queue)
    below = Cat(unseen[n] & (queue > n) for n in range(4))
    seen = ~unseen.bit_select(queue, 1)
    above = Cat(unseen[n] & (queue < n) for n in range(4))
    rest = Mux(seen, _ones(above) + queue, _ones(below))
    b.prove(~owed | (others + Mux(mine, 0, rest + offered) <= 4))


def _ones(bits: Any) -> Any:
    return sum((bits[n] for n in range(1, len(bits))), bits[0])


def _msix(b: Bench, cls: Any) -> tuple[Any, Any]:
    """A table of two vectors, one of which is chosen."""
    it = b.block(cls(DeviceConfig(function="blk", queues=1)))
    b.input_holds(it.registers.requests, it.vectors)
    return it, b.constant(1, "vector")


@statement(
    "pci.msix",
    "MsixTable",
    "2 vectors",
    4,
    Change(
        "the function's mask is ignored",
        "masked = ~self.enable | self.function_mask |",
        "masked = ~self.enable |",
    ),
    mutant_depth=10,
)
def masked_functions_are_silent(b: Bench, cls: Any) -> None:
    """No message begins while MSI-X is off or the function is masked."""
    it, _vector = _msix(b, cls)
    rises = it.messages.valid & ~b.past(it.messages.valid)
    b.prove(~rises | b.past(it.enable & ~it.function_mask))


@statement(
    "pci.msix",
    "MsixTable",
    "2 vectors",
    4,
    Change(
        "what the scan finds is not sent",
        "self.messages.valid.eq(~masked),",
        "self.messages.valid.eq(~masked & ~scanning),",
    ),
    mutant_depth=16,
)
def masked_vectors_stay_pending(b: Bench, cls: Any) -> None:
    """A pending bit goes only with a message, or when all are cleared or forgotten."""
    it, vector = _msix(b, cls)
    pending = b.inside("pending").bit_select(vector, 1)
    falls = b.past(pending) & ~pending
    cleared = b.past(b.inside("clears")) | b.past(it.forget)
    rises = it.messages.valid & ~b.past(it.messages.valid)
    b.prove(~falls | cleared | rises)


@statement(
    "pci.msix",
    "MsixTable",
    "2 vectors",
    3,
    Change(
        "a vector is dropped while it is masked",
        "self.messages.valid.eq(~masked),",
        "self.messages.valid.eq(~masked & self.vectors.valid),",
    ),
    mutant_depth=12,
)
def vectors_are_sent_or_pending(b: Bench, cls: Any) -> None:
    """Two cycles after a vector was taken a message is offered, or it is pending, unless all is cleared."""
    it, vector = _msix(b, cls)
    pending = b.inside("pending").bit_select(vector, 1)
    taken = b.past(_taken(it.vectors) & (it.vectors.payload == vector))
    due = b.past(taken)
    quiet = b.past(it.clear | it.forget | b.inside("clears")) | b.past(b.past(it.clear | it.forget))
    b.prove(~due | quiet | pending | it.messages.valid)


def _used_writer(b: Bench, cls: Any) -> tuple[Any, Any, Any]:
    """A used writer; a beat of an element is accepted, and the write of an index."""
    it = b.block(cls(64, 1))
    b.input_holds(it.completed)
    beat = it.writes.payload
    accepted = _taken(it.writes)
    index = beat.header.first_be == 0b1100
    return it, accepted & ~index, accepted & index


@statement(
    "queue.split.used_writer",
    "UsedWriter",
    "64 bits, 1 queue",
    3,
    Change(
        "the index is written before the end of the elements",
        'with m.If(self.writes.ready & self.writes.payload.last):\n                    m.next = "INDEX"',
        'with m.If(self.writes.ready):\n                    m.next = "INDEX"',
    ),
    mutant_depth=24,
)
def used_index_follows_its_elements(b: Bench, cls: Any) -> None:
    """The used index is written only after the last beat of all elements that were begun, at least one."""
    it, element, index = _used_writer(b, cls)
    inside, fresh = Signal(), Signal()
    with b.m.If(element):
        b.m.d.sync += [inside.eq(~it.writes.payload.last), fresh.eq(1)]
    with b.m.If(index):
        b.m.d.sync += fresh.eq(0)
    b.prove(~index | (fresh & ~inside))
    # What makes it inductive: what each state of the writer means.
    b.prove(~(b.state("INDEX") | b.state("ELEMENT_END")) | (fresh & ~inside))
    b.prove(~b.state("BATCH") | ~inside)


@statement(
    "queue.split.used_writer",
    "UsedWriter",
    "64 bits, 1 queue",
    3,
    Change(
        "it is reported before it is accepted",
        "                    with m.If(self.writes.ready):\n                        m.d.comb += free.eq(1)",
        "                    with m.If(1):\n                        m.d.comb += free.eq(1)",
    ),
    mutant_depth=24,
)
def used_index_is_reported_after_its_write(b: Bench, cls: Any) -> None:
    """A used index is reported, so that an interrupt may follow, only after its write was accepted."""
    it, _element, index = _used_writer(b, cls)
    rises = it.used.valid & b.past(~it.used.valid | it.used.ready)
    same = it.used.payload.idx == b.past(it.writes.payload.data[16:32])
    b.prove(~rises | (b.past(index) & same))


PROPERTIES = (
    tags_are_not_reused_in_flight,
    tags_are_kept_until_all_is_there,
    what_has_not_left_has_no_answer,
    doorbells_are_not_lost,
    scheduler_starves_no_queue,
    masked_functions_are_silent,
    masked_vectors_stay_pending,
    vectors_are_sent_or_pending,
    used_index_follows_its_elements,
    used_index_is_reported_after_its_write,
)
