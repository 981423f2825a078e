"""A long load, to count what toggles: what cases are too short for.

Stretches use everything at once: all queues, as deep as their rings are, at addresses all over 64 bits, with
features, sizes and vectors by chance. In some of them completions are lost, late or wrong. Some have chains
of which the device sees no end, and it is reset in the midst of them. One has the largest chains that there
are. One goes on until the 16-bit numbers of rings have wrapped, and queues are reset at work meanwhile. Some
are run again on a slow link. They are right requests, but for reads into memory that is not there and chains
that say nothing to a block device. They are cases as others are, so all rules are checked, and where all
reads are answered the device must be well in the end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count as numbers_from
from itertools import islice
from random import Random
from typing import Any

from ringwalker.streams import MOST_BROUGHT

from ..campaign.task import Say
from ..engine.native.coverage import read_layout
from .batch import Watch, coverage_model, found_in
from .case import Case
from .coverage import joined, packed_bits
from .executor import HOST, Executor
from .load_chains import smallest
from .load_stretch import LAP_CYCLES, Stretch
from .operations import Operation, Recovery, settle, wait
from .requests import Chain
from .rings import PackedRing, SplitRing
from .scene import Role
from .target import counted, target

__all__ = ["LOAD", "STRETCHES", "run_load", "stretches"]

LOAD = "ringwalker_sim.fuzz.load:run_load"
"""What the task of a load calls."""

STRETCHES = 48
"""Short ones. Behind them come those with endless chains and with the largest ones, and the long one."""

_LAPS = 4
_LOSING = 3
"""Of so many stretches one loses completions."""
_LARGE = 12
"""Of so many stretches one has long reads."""
_ENDLESS, _ENDLESS_LAPS = 3, 8
_WRAPPED = 1 << 16
_ROWS = 10
"""More than there are in what keeps something of a chain."""
_TOGETHER = 2
"""So many chains of a queue are made available at once."""
_SHORT_TURNS = 128
_FORCED = 32
"""Of so many laps of the long stretch one ends with a reset of a queue that is at work."""
_MOST_CYCLES = 20_000_000

_SLOW = 10
"""So many of the short ones are run again on a slow link."""
_SLOW_HOST = replace(
    HOST,
    max_payload=512,
    max_read_request=512,
    link_bytes_per_cycle=4,
    posted_header_credits=2,
    posted_data_credits=64,
    credit_return=24,
)
"""It takes larger packets than the usual one."""

_Made = tuple[list[Operation], int]
"""Operations, and how many chains they make available."""


def _offered(ring: SplitRing | PackedRing, chain: Chain) -> list[Operation]:
    """A chain, which is not yet made available."""
    before, pieces = chain
    return [*before, *ring.offer(pieces)]


def _short(key: str, chance: Random, large: bool) -> _Made:
    """Some laps, between which a queue is reset."""
    stretch = Stretch(key, chance, large=large)
    operations = list(stretch.setup())
    for lap in range(_LAPS):
        if lap and not stretch.target.legacy:
            operations += stretch.again(chance.randrange(len(stretch.queues)))
        operations += stretch.lap()
    if not stretch.target.legacy:
        operations += stretch.again(*chance.sample(range(len(stretch.queues)), len(stretch.queues)))
    operations += _turns(stretch, _SHORT_TURNS, _able(stretch))
    return [*operations, stretch.well()], stretch.chains


def _losing(key: str, chance: Random) -> _Made:
    """Laps in which reads are not answered, or wrongly; a device may have given up behind each."""
    operations: list[Operation] = []
    chains = 0
    for _ in range(_LAPS):
        stretch = Stretch(key, chance, losing=True)
        if not stretch.target.legacy:
            operations += stretch.refused()
        operations += stretch.setup()
        operations += stretch.lap()
        chains += stretch.chains
    return operations, chains


def _endless(key: str, chance: Random) -> _Made:
    """The device is reset while it is at chains that have no end, and behind it works on."""
    operations: list[Operation] = []
    chains = 0
    for _ in range(_ENDLESS_LAPS):
        stretch = Stretch(key, chance)
        operations += stretch.setup()
        for number, (queue, ring) in enumerate(zip(stretch.queues, stretch.rings, strict=True)):
            for _ in range(min(queue.size // 2, 8)):
                operations += _offered(ring, stretch.maker.endless())
                chains += 1
            operations += [*ring.publish(), stretch.notice(number)]
        operations.append(wait(chance.randint(300, 1500)))
    last = Stretch(key, chance)
    operations += [*last.setup(), *last.lap(), last.well()]
    return operations, chains + last.chains


class _Rounds:
    """A ring with the same chains of one buffer in each lap: what is written anew is what makes them
    available."""

    def __init__(self, stretch: Stretch, number: int, at: int):
        self._ring = stretch.rings[number]
        self._pieces = [smallest(self._ring.queue.role, at, stretch.chance.random() < 0.5)]
        self._first = stretch.chance.getrandbits(16)
        self._begun = False

    def go(self, count: int) -> Iterator[Operation]:
        """So many chains, of all that there is room for."""
        ring = self._ring
        if isinstance(ring, PackedRing):
            for _ in range(count):
                ring.number = self._first + ring.at
                yield from ring.offer(self._pieces)
            return
        if not self._begun:
            begin = ring.index
            for _ in range(ring.queue.size):
                yield from ring.offer(self._pieces)
            ring.index = begin
            self._begun = True
        ring.index = ring.index + count & 0xFFFF
        yield from ring.publish()


def _able(stretch: Stretch) -> list[int]:
    """Queues that are given nothing from outside."""
    return [queue.number for queue in stretch.queues if queue.role is not Role.RECEIVE]


def _turns(
    stretch: Stretch, chains: int, numbers: Sequence[int], victim: int | None = None
) -> Iterator[Operation]:
    """Rings of these queues go round until each has had so many chains. Now and then the queue ``victim`` has
    a chain that does not end, and is reset while all wait for it."""
    chance = stretch.chance
    at = stretch.buffers.take(16)
    rounds = {number: _Rounds(stretch, number, at) for number in numbers}
    left = dict.fromkeys(numbers, chains)
    for lap in numbers_from(0):
        if max(left.values(), default=0) <= 0:
            break
        for number in numbers:
            size = stretch.queues[number].size
            some = size if chance.random() < 0.8 else chance.randint(1, size)
            yield from rounds[number].go(some)
            yield stretch.notice(number)
            left[number] -= some
            stretch.chains += some
        if victim is not None and lap % _FORCED == 0:
            ring = stretch.rings[victim]
            yield from [*_offered(ring, stretch.maker.endless()), *ring.publish(), stretch.notice(victim)]
            yield wait(chance.randrange(400))
            yield from stretch.again(victim)
        yield settle(LAP_CYCLES)
    for number in numbers:
        # By itself, so that even in order its own descriptor says that it is used.
        yield from [*rounds[number].go(1), stretch.notice(number), stretch.rings[number].expect(LAP_CYCLES)]


def _largest(key: str, chance: Random) -> _Made:
    """The largest lengths that a disk ever uses, and chains as long as a ring, one after the other: each of
    the rows in which something is kept of a chain has one of each. Then chains on all queues at once of as
    many descriptors as can come with their head."""
    stretch = Stretch(key, chance, deep=True)
    largest = max(stretch.queues, key=lambda queue: queue.size)
    ring = stretch.rings[largest.number]
    operations, chains = list(stretch.setup()), 0
    for chain in (stretch.maker.whole_disk, partial(stretch.maker.full, largest.size)):
        for n in range(_ROWS):
            # Now and then another one takes up a row, so that all rows of all memories come to be used.
            for made in (chain(), *([stretch.maker.full(2)] if n % 5 == 4 else [])):
                operations += [*_offered(ring, made), *ring.publish(), stretch.notice(largest.number)]
                operations += [settle(10 * LAP_CYCLES), ring.expect(LAP_CYCLES)]
                chains += 1
    for _ in range(_ROWS):
        for ring in stretch.rings:
            for _ in range(_TOGETHER):
                operations += _offered(ring, stretch.maker.full(MOST_BROUGHT))
            operations += ring.publish()
        operations += [*(stretch.notice(queue.number) for queue in stretch.queues), settle(LAP_CYCLES)]
    return [*operations, stretch.well()], chains + _ROWS * _TOGETHER * len(stretch.queues)


def _long(key: str, chance: Random) -> _Made:
    """Rings that go round until their 16-bit numbers have wrapped."""
    stretch = Stretch(key, chance, deep=True)
    operations = list(stretch.setup())
    able = _able(stretch)
    chains = _WRAPPED + stretch.config.queue_size
    if stretch.target.function != "blk" or stretch.target.legacy:
        operations += _turns(stretch, chains, able)
    else:
        *others, victim = able
        operations += _turns(stretch, chains, others, victim)
        operations += _turns(stretch, chains, [victim])
    return [*operations, stretch.well()], stretch.chains


_Maker = Callable[[str, Random], _Made]


def _makers(key: str, short: int) -> Iterator[_Maker]:
    """What makes each stretch."""
    for number in range(short):
        losing, large = (number % of == of - 1 for of in (_LOSING, _LARGE))
        yield _losing if losing and not large else partial(_short, large=large)
    if target(key).function == "blk":
        yield from (*(_endless,) * _ENDLESS, _largest)
    yield _long


def stretches(key: str, seed: int, count: int = STRETCHES) -> Iterator[tuple[Case, int]]:
    """The cases of a load of the device ``key`` with ``count`` short stretches, each with how many chains it
    makes available."""
    for number, make in enumerate(_makers(key, count)):
        operations, chains = make(key, Random(f"{key} load {seed} {number}"))
        yield Case(key, "msix", tuple(operations), Recovery.FUNCTION), chains


def run_load(say: Say, device: str, seed: int, count: int = STRETCHES) -> dict[str, Any]:
    """Run the load of the device that counts for ``device``: ``stretches``, ``chains`` and ``cycles`` of it,
    ``findings``, and what has ``toggled``. Some of it is run again on a link that is half as fast."""
    key = counted(device)
    library = coverage_model(device, say)
    result: dict[str, Any] = {"stretches": 0, "chains": 0, "cycles": 0, "findings": []}
    usual = enumerate(stretches(key, seed, count))
    again = islice(enumerate(stretches(key, seed, count)), 0, min(count, _SLOW * _LOSING), _LOSING)
    toggled = []
    for host, link, cases in ((HOST, "", usual), (_SLOW_HOST, " (on a slow link)", again)):
        with Executor(key, host=host, library=library, most_cycles=_MOST_CYCLES, progress=say) as executor:
            watch = Watch(executor, library)
            for number, (case, chains) in cases:
                outcome = executor.run(case)
                result["stretches"] += 1
                result["chains"] += chains
                result["cycles"] += outcome.cycles
                result["findings"] += [
                    found_in(replace(item, text=item.text + link), number, [case])
                    for item in outcome.findings[:1]
                ]
            toggled.append(watch.toggled())
    return {**result, "toggled": packed_bits(joined(toggled, read_layout(library).counters))}
