"""Makes cases: number N of a campaign follows from its seed, N, and the cases that were kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from ringwalker.spec.features import Feature
from ringwalker.spec.ring import DESC_F_INDIRECT

from .case import Case
from .edges import edge_chains
from .hostile import any_operation, ring_write, touches_function
from .mutate import mutated, spoiled
from .operations import Kind, Operation, Recovery, memory, notify, settle, wait
from .requests import Buffers, Chain, hostile_chain, right_chain
from .rings import PackedRing, SplitRing, ring_of
from .scene import Queue, Role, Scene

__all__ = ["CaseMaker", "Parent", "generated", "recovery_of"]

Parent = tuple[int, int]
"""A case that was kept: its number, and how many were kept when it was made."""

_MOST_PIECES = 5
_MOST_BYTES = 4096
"""Of a buffer for whose data another queue has to wait."""

_CYCLES = 60_000
"""In which a right request ends, whatever was in the rings of other queues."""


def _notice(scene: Scene, queue: Queue, place: int) -> Operation:
    """A right notification, by what was negotiated."""
    with_data = scene.has(Feature.NOTIFICATION_DATA)
    return notify(queue.number, queue.number | place << 16 if with_data else None)


def _fill(
    chance: Random, scene: Scene, buffers: Buffers, queue: Queue, make: Callable[..., Chain], most: int
) -> tuple[list[Operation], Operation, SplitRing | PackedRing]:
    """Chains on a queue: their operations with the notification apart, and the ring behind them."""
    ring = ring_of(queue, chance.getrandbits(16))
    operations: list[Operation] = []
    room = queue.size
    for _ in range(chance.randint(1, most)):
        pieces_most = min(_MOST_PIECES, max(3, queue.size - 1))
        before, pieces = make(chance, buffers, scene, queue, pieces_most)
        nested = scene.has(Feature.INDIRECT_DESC) and chance.random() < 0.35
        need = 1 if nested else len(pieces)
        if not pieces or need > room:
            break
        room -= need
        operations += before
        operations += ring.offer(pieces, buffers.table(len(pieces)) if nested else None)
        if chance.random() < 0.3:
            operations += ring.publish()
    operations += ring.publish()
    return operations, _notice(scene, queue, ring.place), ring


def _damage(chance: Random, scene: Scene, operations: list[Operation]) -> list[Operation]:
    """Some of the operations are spoiled, some are new."""
    result = list(operations)
    for _ in range(chance.choice((0, 1, 1, 2, 3, 5))):
        at = chance.randrange(len(result))
        if chance.random() < 0.7:
            result[at] = spoiled(chance, result[at])
        else:
            result[at:at] = any_operation(chance, scene)
    return result


def _aftermath(chance: Random, scene: Scene, victim: Queue) -> list[Operation]:
    """What happens while the device is at work."""
    operations: list[Operation] = []
    for _ in range(chance.choice((1, 2, 3, 5, 8, 12))):
        way = chance.random()
        if way < 0.35:
            operations.append(wait(chance.choice((1, 3, 7, 15, 30, 60, 120, 250))))
        elif way < 0.6:
            operations += ring_write(chance, scene, victim)
        else:
            operations += any_operation(chance, scene)
    return operations


def _rings(chance: Random, scene: Scene) -> list[Operation]:
    """Damage in one or several queues, and whatever comes into the way."""
    buffers = Buffers(scene, chance)
    operations: list[Operation] = []
    for queue in chance.sample(scene.queues, chance.randint(1, min(2, len(scene.queues)))):
        make = hostile_chain if chance.random() < 0.7 else right_chain
        offered, notice, _ring = _fill(chance, scene, buffers, queue, make, 4)
        if offered:
            operations += _damage(chance, scene, offered)
        operations.append(notice)
    return [*operations, *_aftermath(chance, scene, chance.choice(scene.queues))]


def _registers(chance: Random, scene: Scene) -> list[Operation]:
    """Accesses of all kinds, with a request or two in flight."""
    operations: list[Operation] = []
    if chance.random() < 0.6:
        queue = chance.choice(scene.queues)
        offered, notice, _ring = _fill(chance, scene, Buffers(scene, chance), queue, right_chain, 2)
        operations = [*offered, notice]
    for _ in range(chance.randint(3, 25)):
        operations += any_operation(chance, scene)
    return operations


def _neighbours(chance: Random, scene: Scene) -> list[Operation]:
    """One queue is damaged; what is right on another one comes to its end, unless the device gives up."""
    able = [queue for queue in scene.queues if queue.role is not Role.RECEIVE]
    if len(scene.queues) < 2 or not able:
        return _rings(chance, scene)
    good = chance.choice(able)
    bad = chance.choice([queue for queue in scene.queues if queue is not good])
    buffers = Buffers(scene, chance)
    spoilt, bad_notice, _ring = _fill(chance, scene, buffers, bad, hostile_chain, 3)
    apart = [spoiled(chance, item) if chance.random() < 0.3 and not _leads(item) else item for item in spoilt]
    apart = [_kept_apart(scene, item) for item in apart]
    right, good_notice, ring = _fill(chance, scene, buffers, good, right_chain, 1)
    notices = [good_notice, bad_notice]
    chance.shuffle(notices)
    later = [memory(bad.driver + 2, chance.randbytes(2))] if chance.random() < 0.5 else []
    return [*apart, *right, *notices, *later, ring.expect(_CYCLES)]


def _edges(chance: Random, scene: Scene) -> list[Operation]:
    """Chains, heads and tables at the edges of a ring, and whatever comes into the way."""
    queue = chance.choice(scene.queues)
    operations, ring = edge_chains(chance, scene, Buffers(scene, chance), queue)
    operations.append(_notice(scene, queue, ring.place))
    if chance.random() < 0.5:
        return [*operations, wait(chance.choice((60, 150, 300)))]
    return [*operations, *_aftermath(chance, scene, queue)]


def _laps(chance: Random, scene: Scene) -> list[Operation]:
    """Right requests one after the other, over the end of the ring, and then anything."""
    able = [queue for queue in scene.queues if queue.role is not Role.RECEIVE]
    queue = chance.choice(able)
    ring, buffers = ring_of(queue, chance.getrandbits(16)), Buffers(scene, chance)
    operations: list[Operation] = []
    offered = 0
    while offered <= queue.size:
        before, pieces = right_chain(chance, buffers, scene, queue, max(3, queue.size - 1))
        operations += [*before, *ring.offer(pieces), *ring.publish()]
        operations += [_notice(scene, queue, ring.place), ring.expect(_CYCLES)]
        offered += len(pieces)
    return [*operations, *(any_operation(chance, scene) if chance.random() < 0.5 else [])]


def _leads(operation: Operation) -> bool:
    """Whether it is a descriptor of a table: that of another place may have buffers of any length."""
    flags_at = {Kind.DESCRIPTOR: 32, Kind.PACKED: 48}.get(operation.kind)
    return flags_at is not None and bool(operation.extra >> flags_at & DESC_F_INDIRECT)


def _kept_apart(scene: Scene, operation: Operation) -> Operation:
    """The operation, of which no descriptor leads to where rings are, or is so long that others wait for its
    data: a good one must stay so, and has its turn in time."""
    if operation.kind not in (Kind.DESCRIPTOR, Kind.PACKED):
        return operation
    begin, length, address = scene.buffers[0], operation.extra & 0xFFFF_FFFF, operation.value
    if scene.memory[0] <= address < begin:
        address += begin - scene.memory[0]
    return replace(operation, value=address, extra=operation.extra - length + min(length, _MOST_BYTES))


_WAYS: tuple[Callable[[Random, Scene], list[Operation]], ...] = (
    *(_rings, _rings, _rings, _rings, _rings),
    *(_registers, _registers),
    *(_neighbours, _neighbours),
    *(_edges, _edges, _laps),
)


def generated(chance: Random, scene: Scene) -> list[Operation]:
    """Operations of a new case."""
    operations = chance.choice(_WAYS)(chance, scene)
    if chance.random() < 0.3:
        operations.append(settle(800))
    return operations


def recovery_of(chance: Random, operations: Sequence[Operation]) -> Recovery:
    """A reset that cures what the operations did."""
    way = chance.random()
    if way < 0.03:
        return Recovery.HARDWARE
    if way < 0.06 or touches_function(operations):
        return Recovery.FUNCTION
    return Recovery.STATUS


class CaseMaker:
    """The cases of the campaign with ``seed`` on ``device``, with ``scenes`` by the names of its set-ups, as
    cases of the device ``where``, which has the same.

    ``kept`` are the cases worth changing, in the order in which they were found. Each is made again from its
    own number and those that were kept before it, so two numbers say all of a case.
    """

    def __init__(
        self, device: str, where: str, scenes: Mapping[str, Scene], seed: int, kept: Sequence[Parent] = ()
    ):
        self._device = device
        self._where = where
        self._scenes = dict(scenes)
        self._names = tuple(self._scenes)
        self._seed = seed
        self._kept = tuple(kept)
        self._made: dict[Parent, Case] = {}

    def case(self, number: int) -> Case:
        """Case ``number``, from 0 up."""
        return self._case(number, len(self._kept))

    def _parent(self, chance: Random, count: int) -> Case:
        parent = self._kept[chance.randrange(count)]
        found = self._made.get(parent)
        if found is None:
            found = self._made[parent] = self._case(*parent)
        return found

    def _case(self, number: int, count: int) -> Case:
        chance = Random(f"{self._device} {self._seed} {number}")
        if count == 0 or chance.random() < 0.4:
            setup = chance.choice(self._names)
            operations = generated(chance, self._scenes[setup])
        else:
            parent, other = self._parent(chance, count), self._parent(chance, count)
            setup = parent.setup
            operations = mutated(chance, self._scenes[setup], parent.operations, other.operations)
        return Case(self._where, setup, tuple(operations), recovery_of(chance, operations))
