"""The devices that are fuzzed, and the set-ups that make them ready for a case.

A device is ``function:ring:face``, such as ``blk:split:modern``. A set-up is words joined by ``+``: ``msix``
or ``intx``, and any of

- ``indirect``, ``event``, ``order``, ``data``: VIRTIO_F_INDIRECT_DESC, EVENT_IDX, IN_ORDER, NOTIFICATION_DATA
- ``small``, ``odd``, ``large``: rings of 4 entries, of 7 (packed only), or of 32, in place of 8
- ``all``: all queues of a block device in place of two
- ``high``, ``higher``: guest memory far up
- ``here``, ``there``: areas of queues that begin at no page, at other addresses each
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from random import Random

from ringwalker.config import DeviceConfig
from ringwalker.function.blk.settings import BlkSettings
from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import (
    LEGACY_QUEUE_SHIFT,
    legacy_device_offset,
    legacy_driver_offset,
)
from ringwalker.spec.net import NetFeature

from ..testing.devices import BOTH, SMALL, TRANSITIONAL
from .bring_up import driver_ok, enabled, interrupts, negotiated
from .good import good_requests
from .operations import Operation, fill
from .scene import Queue, Role, Scene
from .spaces import Space

__all__ = [
    "BASES",
    "COUNTED",
    "DEVICES",
    "FAR",
    "FAR_LEGACY",
    "MEMORY_BYTES",
    "Ready",
    "Target",
    "counted",
    "target",
]

MEMORY_BYTES = 1 << 20
"""Of guest memory, which begins at each of :data:`BASES`. Behind it there is nothing."""

_HIGH = {"high": 0xA5A5_A5A5_A5A0_0000, "higher": 0x5A5A_5A5A_5A50_0000}
_LEGACY_ADDRESSES = (1 << 32 + LEGACY_QUEUE_SHIFT) - 1
BASES = (0, *_HIGH.values(), *(base & _LEGACY_ADDRESSES for base in _HIGH.values()))
"""Where guest memory is seen, all of it the same: addresses have all their bits."""

_PLACES = Random(64)
FAR = tuple(_PLACES.getrandbits(64) & -MEMORY_BYTES for _ in range(48))
FAR_LEGACY = tuple(base & _LEGACY_ADDRESSES for base in FAR[:16])
"""The same for a long load: anywhere in 64 bits, and where a legacy ring can be."""

_QUEUE_BYTES = 0x4000
_BUFFERS = 0x1_8000
"""A queue has so many bytes for its areas. What good requests use is in front of the buffers of cases."""

_ROLES = {
    "blk": (Role.BLOCK,) * 4,
    "net": (Role.RECEIVE, Role.TRANSMIT, Role.CONTROL),
    "console": (Role.RECEIVE, Role.TRANSMIT),
    "rng": (Role.ENTROPY,),
}
_WORDS = {
    "indirect": Feature.INDIRECT_DESC,
    "event": Feature.EVENT_IDX,
    "order": Feature.IN_ORDER,
    "data": Feature.NOTIFICATION_DATA,
}
_FEATURES = {"net": 1 << NetFeature.CTRL_VQ | 1 << NetFeature.CTRL_RX}
_SIZES = {"small": 4, "odd": 7, "large": 32}
_USUAL_SIZE = 8
_SHIFTS = {"here": (0xA50, 0xAAA, 0xAA4), "there": (0x5A0, 0x554, 0x558)}
"""How far the three areas are behind where they are otherwise: 12 bits, aligned as split rings must be."""
_OTHER_WORDS = ("msix", "intx", "all", *_HIGH, *_SHIFTS)


@dataclass(frozen=True)
class Ready:
    """What a set-up does, from a device status of 0 on, and what it leaves behind.

    It ends with a good request on every queue, which must succeed with the right data.
    """

    operations: tuple[Operation, ...]
    scene: Scene


TIMEOUT_CYCLES = 1000
"""Of a completion, where some are lost. After one that was lost the device reads again after twice that."""


def _configs() -> dict[str, DeviceConfig]:
    found = {}
    for name in BOTH:
        found[f"{name}:split:modern"] = SMALL[name]
        found[f"{name}:packed:modern"] = BOTH[name]
        both_faces = replace(TRANSITIONAL[name], completion_timeout=TIMEOUT_CYCLES)
        for ring in ("split", "packed"):
            found[f"{name}:{ring}:transitional"] = both_faces
        found[f"{name}:split:legacy"] = both_faces
    return found


DEVICES = _configs()
"""What is built for each device. ``transitional`` is the modern face of a device that has both, ``legacy`` is
its other one. ``modern`` devices are those of other tests; they wait long for completions, and lose none."""


_COUNTED = "counted"
_FEW = {"read_tags": 8, "ring_tags": 4, "chains": 8}
_COUNTED_SETTINGS = {"blk": BlkSettings(capacity=1024)}


def counted(key: str) -> str:
    """The device on which it is counted what toggles for another one."""
    return f"{key.replace(':modern', ':transitional')}:{_COUNTED}"


def _counted_configs() -> dict[str, DeviceConfig]:
    found = {}
    for key, config in DEVICES.items():
        if not key.endswith(":modern"):
            settings = _COUNTED_SETTINGS.get(config.function, config.settings)
            found[counted(key)] = replace(config, settings=settings, **_FEW)
    return found


COUNTED = _counted_configs()
"""What is built to count what toggles: both faces and both rings, with few tags and chains at once, so that
tables and buffers have few rows, of which all come into use soon."""


class Target:
    """A device of :data:`DEVICES` or :data:`COUNTED`.
    Errors: ``ValueError`` for another, and for set-ups that there are not."""

    def __init__(self, key: str):
        config = DEVICES.get(key) or COUNTED.get(key)
        if config is None:
            raise ValueError(f"{key!r} is no device; there are {', '.join(DEVICES)}")
        self.key = key
        self.config = config
        self.function, ring, self.face = key.removesuffix(f":{_COUNTED}").split(":")
        self.packed = ring == "packed"
        self.legacy = self.face == "legacy"
        self.roles = _ROLES[self.function]
        self.extra_features = _FEATURES.get(self.function, 0)
        self._ready: dict[str, Ready] = {}

    @cached_property
    def setups(self) -> tuple[str, ...]:
        """The usual set-ups, for a campaign to choose from."""
        if self.legacy:
            return (
                "msix",
                "intx",
                "msix+indirect",
                "intx+indirect+event",
                "msix+event",
                "msix+high",
                "intx+higher",
                *(["msix+all+higher"] if self.function == "blk" else []),
            )
        words = ["indirect", "event", "order", "data"]
        found = [*words, "indirect+event", "indirect+order", "event+data", "indirect+event+order+data"]
        found += ["small", "small+indirect+event", *(["odd", "odd+event"] if self.packed else [])]
        names = [f"{'msix' if n % 3 else 'intx'}+{words}" for n, words in enumerate(found)]
        far = ["msix+high+indirect", "intx+higher", "msix+high+event+data", "msix+higher+event+order"]
        far += ["msix+here+large", "msix+there+event", "intx+there+indirect", "msix+here"]
        all_queues = ("msix+all", "msix+all+large+high") if self.function == "blk" else ()
        return ("msix", "intx", *names, *far, "msix+large", "intx+large+indirect+higher", *all_queues)

    def setup(self, name: str) -> Ready:
        """Operations that make the device ready, kept. Errors: ``ValueError``."""
        if name not in self._ready:
            self._ready[name] = self._compose(name)
        return self._ready[name]

    def _compose(self, name: str) -> Ready:
        words = name.split("+")
        for word in words:
            if word not in (*_WORDS, *_SIZES, *_OTHER_WORDS):
                raise ValueError(f"{word!r} is no word of a set-up")
        features = sum(1 << bit for word, bit in _WORDS.items() if word in words) | self.extra_features
        if not self.legacy:
            features |= 1 << Feature.VERSION_1 | 1 << Feature.RING_RESET
            features |= self.packed << Feature.RING_PACKED
        queues = self._queues(words)
        msix = "intx" not in words
        operations = [interrupts(msix), *_emptied(queues), *self._started(queues, features, msix)]
        notify_data, base = "data" in words, self._base(words)
        checks, queues = good_requests(self.function, queues, 10 if self.legacy else 12, notify_data)
        scene = Scene(
            self.function,
            Space.LEGACY if self.legacy else Space.COMMON,
            tuple(queues),
            (base + _BUFFERS, base + MEMORY_BYTES),
            (base, base + MEMORY_BYTES),
            features,
            10 if self.legacy else 12,
            losses=self.config.completion_timeout == TIMEOUT_CYCLES,
        )
        return Ready((*operations, *checks), scene)

    def _base(self, words: list[str]) -> int:
        """Where guest memory is used."""
        base = next((_HIGH[word] for word in words if word in _HIGH), 0)
        return base & _LEGACY_ADDRESSES if self.legacy else base

    def _queues(self, words: list[str]) -> list[Queue]:
        size = self.config.queue_size if self.legacy else _USUAL_SIZE
        for word, other in _SIZES.items():
            size = other if word in words and not self.legacy else size
        roles = self.roles
        if self.function == "blk" and "all" not in words:
            roles = roles[:2]
        found = []
        shift = next((_SHIFTS[word] for word in words if word in _SHIFTS), (0, 0, 0))
        align = 4 if self.packed else 2
        for number, role in enumerate(roles):
            at = self._base(words) + _QUEUE_BYTES * (number + 1)
            desc, driver, device = (
                (at, at + legacy_driver_offset(size), at + legacy_device_offset(size))
                if self.legacy
                else (at + shift[0], at + 0x1000 + shift[1] // align * align, at + 0x2000 + shift[2])
            )
            found.append(Queue(number, size, self.packed, desc, driver, device, role))
        return found

    def _started(self, queues: list[Queue], features: int, msix: bool) -> Iterator[Operation]:
        yield from negotiated(features, self.legacy, 0 if msix else None)
        for queue in queues:
            yield from enabled(queue, self.legacy, queue.number + 1 if msix else None)
        yield driver_ok(self.legacy)


def _emptied(queues: list[Queue]) -> list[Operation]:
    return [fill(queue.desc, _QUEUE_BYTES, 0) for queue in queues]


@cache
def target(key: str) -> Target:
    """The one :class:`Target` of a device."""
    return Target(key)
