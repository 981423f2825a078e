"""The common configuration structure in Python, a byte at a time, to compare the hardware with.

Ref: virtio 1.4, 2.1, 2.2, 4.1.4.3.
"""

import random
from collections import deque

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON, NO_VECTOR, NOTIFY_CONFIG_DATA, DeviceStatus
from ringwalker.spec.registers import Access, Register
from ringwalker.spec.ring import descriptor_area_bytes, device_area_bytes, driver_area_bytes

__all__ = ["CommonModel"]

_OFFERED_BY_DRIVER = (
    DeviceStatus.ACKNOWLEDGE | DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK
)
_STARTED = DeviceStatus.DRIVER | DeviceStatus.FEATURES_OK | DeviceStatus.DRIVER_OK
_ALIGNMENTS = {"desc": 16, "driver": 2, "device": 4}
_AREA_BYTES = {"desc": descriptor_area_bytes, "driver": driver_area_bytes, "device": device_area_bytes}


def _foreign_bits() -> int:
    """A word of feature bits that no device offers: most drivers accept none of them."""
    return 1 << random.randrange(32) if random.random() < 0.1 else 0


class CommonModel:
    """State as the driver and the device see it; ``rows`` is the queue table.

    ``coverage`` collects names of events that happened, ``changes`` counts notifications of
    DEVICE_NEEDS_RESET, ``waiting`` holds the queues whose reset was asked for.
    """

    def __init__(self, queues: int, queue_size: int, vectors: int, device_features: int, generation: int = 0):
        self.queues = queues
        self.queue_size = queue_size
        self.vectors = vectors
        self.device_features = device_features
        self.generation = generation
        self.coverage: set[str] = set()
        self.changes = 0
        self.reset()

    def _reset_row(self) -> dict[str, int]:
        fields = dict.fromkeys(("desc", "driver", "device", "enable", "reserved"), 0)
        return fields | {"size": self.queue_size, "vector": NO_VECTOR}

    def reset(self) -> None:
        """A device reset is done."""
        self.rows = [self._reset_row() for _ in range(self.queues)]
        self.device_feature_select = self.driver_feature_select = self.queue_select = 0
        self.driver_features = 0
        self.foreign = [0, 0, 0]  # words 2 and 3, and all others together
        self.config_vector = NO_VECTOR
        self.bits = DeviceStatus(0)
        self.resetting = False
        self.failed = False
        self.waiting: deque[int] = deque()

    def queue_reset_done(self) -> int:
        """The oldest queue reset is done; gives the queue."""
        queue = self.waiting.popleft()
        self.rows[queue] = self._reset_row()
        return queue

    def needs_reset(self) -> None:
        """The device failed."""
        if self.bits & _STARTED and not self.bits & DeviceStatus.DEVICE_NEEDS_RESET:
            self.coverage.add("needs reset")
            self.changes += self.driver_ok
            self.bits |= DeviceStatus.DEVICE_NEEDS_RESET

    @property
    def status(self) -> int:
        """device_status as it is read."""
        return int(self.bits) or (int(DeviceStatus.DEVICE_NEEDS_RESET) if self.resetting else 0)

    @property
    def driver_ok(self) -> bool:
        """Whether the device may run queues."""
        ok = self.bits & DeviceStatus.DRIVER_OK and not self.bits & DeviceStatus.DEVICE_NEEDS_RESET
        return bool(ok) and not self.resetting

    def _value(self, register: Register) -> int:
        name = register.name
        row = self.rows[self.queue_select] if self.queue_select < self.queues else None
        if name.startswith("queue_") and name != "queue_select":
            if row is None:
                return 0
            if name == "queue_notify_off":
                return self.queue_select
            if name == "queue_notif_config_data":
                named = self.driver_features >> Feature.NOTIF_CONFIG_DATA & 1
                return self.queue_select | NOTIFY_CONFIG_DATA if named else 0
            key = {"queue_msix_vector": "vector", "queue_reset": "reserved"}.get(name, name[len("queue_") :])
            return row.get(key, 0)
        if name in ("device_feature", "driver_feature"):
            select = getattr(self, f"{name}_select")
            return getattr(self, f"{name}s") >> 32 * select & 0xFFFF_FFFF if select < 2 else 0
        named = {
            "config_msix_vector": self.config_vector,
            "num_queues": self.queues,
            "device_status": self.status,
            "config_generation": self.generation,
        }
        return named[name] if name in named else getattr(self, name, 0)

    def read(self, offset: int) -> int:
        """The dword at ``offset``."""
        return sum(
            (self._value(register) >> 8 * n & 0xFF) << 8 * (register.offset + n - offset)
            for register in COMMON
            for n in range(register.size)
            if offset <= register.offset + n < offset + 4
        )

    def write(self, offset: int, data: int, strobe: int) -> None:
        """Write the bytes of ``strobe`` of the dword at ``offset``."""
        if self.resetting:
            return
        changes = []
        for register in COMMON:
            value, touched = self._value(register), False
            for n in range(register.size):
                lane = register.offset + n - offset
                if 0 <= lane < 4 and strobe >> lane & 1:
                    if not touched:
                        value = self._hidden(register, value)
                    touched = True
                    value = value & ~(0xFF << 8 * n) | (data >> 8 * lane & 0xFF) << 8 * n
            if touched and register.access is Access.RW:
                changes.append((register, value))
        for register, value in changes:
            self._write(register, value)
        if self.failed and not self.resetting:
            self.needs_reset()

    def _write(self, register: Register, value: int) -> None:
        if register.name == "device_status":
            self._write_status(value)
        elif register.name.startswith("queue_") and register.name != "queue_select":
            if self.queue_select < self.queues:
                self._write_queue(register.name, value)
        else:
            self._write_device(register.name, value)

    def _hidden(self, register: Register, shown: int) -> int:
        """What a register holds that is read as ``shown``."""
        select = self.driver_feature_select
        return self.foreign[select - 2] if register.name == "driver_feature" and 2 <= select < 4 else shown

    def _vector(self, value: int) -> int:
        return value if value < self.vectors else NO_VECTOR

    def _write_device(self, name: str, value: int) -> None:
        if name == "config_msix_vector":
            self.config_vector = self._vector(value)
        elif name == "driver_feature":
            select = self.driver_feature_select
            if self.bits & DeviceStatus.FEATURES_OK:
                return
            if select < 2:
                other = self.driver_features & (0xFFFF_FFFF << 32 * (1 - select))
                self.driver_features = other | value << 32 * select
            elif select < 4:
                self.foreign[select - 2] = value
            else:
                self.foreign[2] |= value
        else:
            setattr(self, name, value)

    def _write_status(self, value: int) -> None:
        if value == 0:
            self.resetting = True
            self.coverage.add("device reset")
            return
        features = self.driver_features
        known = not features & ~self.device_features and not any(self.foreign)
        if not known or not features >> Feature.VERSION_1 & 1:
            if value & DeviceStatus.FEATURES_OK and any(self.foreign):
                self.coverage.add("foreign features")
            value &= ~DeviceStatus.FEATURES_OK
        if not (self.bits | value) & DeviceStatus.FEATURES_OK:
            value &= ~DeviceStatus.DRIVER_OK
        self.bits |= DeviceStatus(value & int(_OFFERED_BY_DRIVER | DeviceStatus.FAILED))
        if self.driver_ok:
            self.coverage.add("driver ok")

    def _write_queue(self, name: str, value: int) -> None:
        row = self.rows[self.queue_select]
        if name == "queue_msix_vector":
            row["vector"] = self._vector(value)
        elif name == "queue_reset":
            negotiated = self.driver_features >> Feature.RING_RESET & 1
            agreed = negotiated and self.bits & DeviceStatus.FEATURES_OK
            if value == 1 and agreed and row["enable"] and not row["reserved"]:
                row["reserved"] = 1
                self.waiting.append(self.queue_select)
                self.coverage.add("queue reset")
        elif row["enable"]:
            return
        elif name == "queue_enable":
            if value == 1 and self._beyond(row):
                self.failed = True
                self.coverage.add("beyond")
            elif value == 1:
                row["enable"] = 1
                self.coverage.add("enable")
        elif name == "queue_size":
            if 0 < value <= self.queue_size and value & (value - 1) == 0:
                row["size"] = value
        else:
            key = name[len("queue_") :]
            row[key] = value & ~(_ALIGNMENTS[key] - 1)

    def _beyond(self, row: dict[str, int]) -> bool:
        return any(row[name] + length(row["size"]) > 1 << 64 for name, length in _AREA_BYTES.items())

    def typical_writes(self) -> list[tuple[int, int, int]]:
        """A negotiation as drivers do it, or the enabling and reset of a queue, as :meth:`random_write`."""
        if random.random() < 0.5:
            steps = [("queue_select", random.randrange(self.queues)), ("queue_enable", 1), ("queue_reset", 1)]
            steps = steps[: random.randrange(2, 4)]
            if random.random() < 0.1:
                area = random.choice(list(_AREA_BYTES))
                steps.insert(1, (f"queue_{area}", (1 << 64) - random.randrange(1, 1024)))
        else:
            low, high = self.device_features & 0xFFFF_FFFF, self.device_features >> 32
            words = [(3, _foreign_bits()), (2, _foreign_bits()), (1, high), (0, low & random.getrandbits(32))]
            steps = [("device_status", 1), ("device_status", 3)]
            for word, value in words:
                steps += [("driver_feature_select", word), ("driver_feature", value)]
            steps += [("device_status", 11), ("device_status", 15)]
        return [access for name, value in steps for access in self.accesses(name, value)]

    @staticmethod
    def accesses(name: str, value: int) -> list[tuple[int, int, int]]:
        """The writes of register ``name``, as :meth:`random_write`; of one of 64 bits both halves."""
        register, result = COMMON[name], []
        for start in range(0, register.size, 4):
            size, offset = min(4, register.size - start), register.offset + start
            part, lane = value >> 8 * start & (1 << 8 * size) - 1, offset % 4
            result.append((offset - lane, part << 8 * lane, (1 << size) - 1 << lane))
        return result

    def random_write(self) -> tuple[int, int, int]:
        """Offset, data and strobe of a write that a driver might do, or a stranger one."""
        if random.random() < 0.2:
            return 4 * random.randrange(17), random.getrandbits(32), random.getrandbits(4)
        register = random.choice([r for r in COMMON if random.random() < 0.3 or r.access is Access.RW])
        half = random.randrange(2) if register.width == 64 else 0
        offset = register.offset + 4 * half
        size = min(register.size, 4)
        interesting = {
            "queue_select": range(self.queues + 1),
            "queue_size": [1 << n for n in range(8)],
            "queue_enable": [1],
            "queue_reset": [1],
            **{f"queue_{name}": [0xFFFF_FFFF, 0, *range(0xFFFF_FC00, 1 << 32, 64)] for name in _AREA_BYTES},
            "device_feature_select": range(3),
            "driver_feature_select": [*range(5), 0x8000_0000],
            "device_status": [1, 3, 3, 8, 11, 11, 12, 15, 15, 15] * 4 + [0, 128],
            "driver_feature": [self.device_features >> 32 & 0xFFFF_FFFF, self.device_features & 0xFFFF_FFFF],
            "queue_msix_vector": [*range(self.vectors + 1), NO_VECTOR],
            "config_msix_vector": [*range(self.vectors + 1), NO_VECTOR],
        }
        value = random.getrandbits(8 * size)
        if register.name in interesting and random.random() < 0.9:
            value = random.choice(list(interesting[register.name]))
            if register.name == "driver_feature":
                select = self.driver_feature_select
                value = self.device_features >> 32 * select & 0xFFFF_FFFF if select < 2 else _foreign_bits()
        lane = offset % 4
        return offset - lane, value << 8 * lane & 0xFFFF_FFFF, (1 << size) - 1 << lane
