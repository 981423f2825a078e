"""A table of observations of a virtio block device under valid and invalid requests.

The steps are the same on every port, so that two devices can be compared value by value.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ringwalker.spec.blk import BLK_CONFIG, SECTOR_BYTES, BlkFeature, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import CapabilityType
from ringwalker.spec.pci import HEADER, VIRTIO_CAPABILITY, CapabilityId
from ringwalker.spec.ring import DESC_F_WRITE

from ..guest.blk import BlkDevice
from ..guest.packed_queue import PackedVirtqueue
from ..guest.pci import PciDevice
from ..guest.port import Port
from ..guest.ring_queue import RingVirtqueue
from ..guest.split_queue import SplitVirtqueue
from ..guest.transport.pci_transport import PciTransport
from .broken_rings import SETTLE_CYCLES, Chain, make_chain, observe_broken_rings
from .cases import Case
from .register_observation import FEATURE_REGISTERS, legacy_accesses, registers

__all__ = ["DISK_SECTORS", "disk_content", "observe"]

DISK_SECTORS = 4096
"""The size of the disk that :func:`observe` expects, in 512-byte sectors."""

_WINDOW = ("bar", "offset", "size")
"""Fields of a virtio capability that give the place of its structure."""
_FEATURE_NAMES = {item.value: item.name for item in (*BlkFeature, *Feature)}
_BATCH = 8
"""Reads at once."""
_FEATURES = {
    "indirect": 1 << Feature.INDIRECT_DESC | 1 << Feature.EVENT_IDX,
    "in order": 1 << Feature.IN_ORDER,
}
"""Further features with which the requests are done again."""


def disk_content() -> np.ndarray:
    """The initial content of the disk, :data:`DISK_SECTORS` sectors: shape (n,), uint8."""
    return np.random.default_rng(2007).integers(0, 256, DISK_SECTORS * SECTOR_BYTES, np.uint8)


def _digest(data: Any) -> str:
    return hashlib.sha256(bytes(data)).hexdigest()[:12]


def _used(vq: RingVirtqueue) -> dict[str, int]:
    """The fields of the next used entry."""
    if isinstance(vq, PackedVirtqueue):
        at = vq._used.offset
        key, length, flags = (int(vq._rows[name][at]) for name in ("id", "len", "flags"))
        written = int(bool(flags & DESC_F_WRITE))
        return {"at": at, "id": key, "len": length, "flags": flags & ~DESC_F_WRITE, "flag WRITE": written}
    assert isinstance(vq, SplitVirtqueue)
    slot = vq._last_used & (vq.size - 1)
    return {"id": int(vq._used_id[slot]), "len": int(vq._used_len[slot]), "idx": int(vq._used_idx[0])}


def _device_event(vq: RingVirtqueue) -> dict[str, int]:
    """What the device says of the notifications that it wants."""
    if isinstance(vq, PackedVirtqueue):
        return {name: int(vq._device_event[name]) for name in ("flags", "place")}
    assert isinstance(vq, SplitVirtqueue)
    return {"flags": int(vq._used_flags[0]), "event": int(vq._avail_event[0])}


class _Observer:
    """Collects observations in ``seen``: a text or a number by the name of the observation."""

    def __init__(self, port: Port, transport: PciTransport, other_face: PciTransport | None = None):
        self.port = port
        self.memory = port.memory
        self.pci: PciDevice = transport.pci
        self.transport = transport
        self.other_face = other_face
        self.seen: dict[str, Any] = {}

    # --- configuration space --------------------------------------------------------------------------------

    async def configuration_space(self) -> None:
        """Observe header, BARs and capabilities."""
        skipped = ("command", "status", "interrupt_line", "capabilities_pointer", "cache_line_size")
        for register in HEADER:
            if register.name not in skipped and not register.name.startswith("bar"):
                self.seen[f"header {register.name}"] = await self.pci.read(register)
        for index, bar in self.pci.bars.items():
            kind = "io" if bar.io else "64-bit" if bar.is_64 else "32-bit"
            kind += " prefetchable" if bar.prefetchable else ""
            self.seen[f"bar {index}"] = f"{kind} {bar.size:#x}"
        for name in CapabilityId:
            self.seen[f"capability {name.name}"] = len(self.pci.find_capabilities(name))
        for capability in self.pci.find_capabilities(CapabilityId.VENDOR):
            values = [await self.pci.read(VIRTIO_CAPABILITY[name], capability.offset) for name in _WINDOW]
            kind = CapabilityType(await self.pci.read(VIRTIO_CAPABILITY.type, capability.offset)).name
            text = " ".join(f"{name} {value:#x}" for name, value in zip(_WINDOW, values, strict=True))
            self.seen[f"structure {kind}"] = text
        self.seen["msix vectors"] = await self.pci.msix_vectors()

    # --- registers ------------------------------------------------------------------------------------------

    async def registers(self, step: str) -> None:
        """Observe the registers of the driver's face, and of the other one if there is one."""
        self.seen |= await registers(self.transport, step)
        if self.other_face is not None:
            self.seen |= await registers(self.other_face, f"{step}, other face")

    def features(self, offered: int, accepted: int) -> None:
        """Observe the feature bits, and which of them the registers have shown."""
        for bit in range(64):
            name = _FEATURE_NAMES.get(bit, f"bit {bit}")
            self.seen[f"feature {name}"] = offered >> bit & 1
            self.seen[f"accepted feature {name}"] = accepted >> bit & 1
        for names, mask in zip(FEATURE_REGISTERS, (offered, accepted), strict=True):
            halves = {mask >> 32: "high half", mask & 0xFFFF_FFFF: "low half", 0: 0}
            for name in self.seen:
                if name.partition(": ")[2] in names:
                    self.seen[name] = halves.get(self.seen[name], "other")

    async def device_configuration(self) -> None:
        """Observe the fields of device configuration."""
        for register in BLK_CONFIG:
            if self.transport.find(BLK_CONFIG, register.name) is not None:
                self.seen[f"config {register.name}"] = await self.transport.get(register)

    # --- requests -------------------------------------------------------------------------------------------

    async def request(self, vq: RingVirtqueue, name: str, chain: Chain) -> None:
        """Do a request; observe its used entry, status, data and interrupts."""
        before = vq.interrupts
        vq.add_buf(chain.pieces, chain.readable, chain.writable, chain)
        await vq.kick()
        used = await self.until(lambda: vq.used_pending)
        self.seen[f"{name}: used"] = used
        if not used:
            return
        await self.until(lambda: vq.interrupts > before)
        for field, value in _used(vq).items():
            self.seen[f"{name}: used {field}"] = value
        self.seen[f"{name}: interrupts"] = vq.interrupts - before
        self.seen[f"{name}: status"] = int(chain.status.array[0])
        self.seen[f"{name}: data"] = _digest(chain.data.array)
        vq.get_buf()

    async def until(self, condition: Callable[[], bool]) -> bool:
        """Wait for ``condition``; whether it became true."""
        for _ in range(100):
            if condition():
                return True
            await self.port.sleep(SETTLE_CYCLES // 100)
        return condition()

    async def requests(self, vq: RingVirtqueue, how: str = "") -> None:
        """Do requests of every type, and some that must be refused; ``how`` is in front of their names."""
        kinds = BlkRequestType
        cases: dict[str, Chain] = {
            "read 1 sector": make_chain(self.memory, kinds.IN, 3, [], [512]),
            "read 8 sectors in pieces": make_chain(self.memory, kinds.IN, 8, [], [1, 511, 2048, 1024, 512]),
            "write 2 sectors": make_chain(self.memory, kinds.OUT, 20, [1024], []),
            "write 8 sectors in pieces": make_chain(self.memory, kinds.OUT, 32, [100, 412, 1536, 2048], []),
            "read back": make_chain(self.memory, kinds.IN, 20, [], [512 * 20]),
            "flush": make_chain(self.memory, kinds.FLUSH, 0, [], []),
            "get id": make_chain(self.memory, kinds.GET_ID, 0, [], [20]),
            "get id, 8 bytes": make_chain(self.memory, kinds.GET_ID, 0, [], [8]),
            "read the last sector": make_chain(self.memory, kinds.IN, DISK_SECTORS - 1, [], [512]),
            "read across the end": make_chain(self.memory, kinds.IN, DISK_SECTORS - 1, [], [1024]),
            "read after the end": make_chain(self.memory, kinds.IN, DISK_SECTORS, [], [512]),
            "read at the largest sector": make_chain(self.memory, kinds.IN, 2**64 - 1, [], [512]),
            "write across the end": make_chain(self.memory, kinds.OUT, DISK_SECTORS - 1, [1024], []),
            "read of half a sector": make_chain(self.memory, kinds.IN, 0, [], [256]),
            "write of half a sector": make_chain(self.memory, kinds.OUT, 0, [256], []),
            "unknown type": make_chain(self.memory, 99, 0, [], []),
            "unknown type with data": make_chain(self.memory, 99, 0, [], [512]),
            "read of no data": make_chain(self.memory, kinds.IN, 0, [], []),
        }
        for name, chain in cases.items():
            await self.request(vq, how + name, chain)

    async def batch(self, vq: RingVirtqueue, how: str = "") -> None:
        """Do some reads at once; they may complete in any order. Observe what the driver hears of it."""
        chains = [
            make_chain(self.memory, BlkRequestType.IN, number * 5, [], [512]) for number in range(_BATCH)
        ]
        for chain in chains:
            vq.add_buf(chain.pieces, 1, 2, chain)
        await vq.kick()
        returned: list[Chain] = []

        def all_returned() -> bool:
            while used := vq.get_buf():
                returned.append(used[0])
            return len(returned) == len(chains)

        name = f"{how}{_BATCH} reads"
        self.seen[f"{name}: all used"] = await self.until(all_returned)
        self.seen[f"{name}: data"] = _digest(b"".join(chain.data.array.tobytes() for chain in chains))
        # Interrupts in flight are served, and the device has said what it waits for.
        await self.port.sleep(SETTLE_CYCLES // 4)
        for field, value in _device_event(vq).items():
            self.seen[f"{name}: device event {field}"] = value


async def _open(port: Port, transport: PciTransport, features: int) -> tuple[BlkDevice, RingVirtqueue]:
    """A driver that accepts ``features``, and its first queue, which is ours."""
    disk = BlkDevice(port, transport.device, ring_features=features)
    await disk.open()
    vq = transport.vqs[0]
    vq.callback = None
    return disk, vq


async def _by_the_book(port: Port, pci: PciDevice, case: Case) -> dict[str, Any]:
    transport = await case.bind(pci)
    observer = _Observer(port, transport, await case.other_face(pci))
    await observer.configuration_space()
    await observer.registers("after reset")
    offered = await transport.device_features()
    disk, vq = await _open(port, transport, case.features)
    await observer.device_configuration()
    await observer.registers("running")
    if case.face == "legacy":
        observer.seen |= await legacy_accesses(pci, case.interrupt == "msix")
    await observer.requests(vq)
    await observer.batch(vq)
    await observer.registers("after requests")
    await transport._reset_device()
    await observer.registers("reset again")
    observer.features(offered, disk.features)
    await transport.unbind()
    return observer.seen


async def _with_features(port: Port, pci: PciDevice, case: Case, how: str, features: int) -> dict[str, Any]:
    """The same requests with more ``features``."""
    observer = _Observer(port, await case.bind(pci))
    _disk, vq = await _open(port, observer.transport, case.features | features)
    await observer.requests(vq, f"{how}: ")
    await observer.batch(vq, f"{how}: ")
    await observer.transport.unbind()
    return observer.seen


async def observe(port: Port, case: Case) -> dict[str, Any]:
    """Drive the virtio block device of ``port`` as ``case`` says, and collect observations.

    Its disk must have :data:`DISK_SECTORS` sectors with :func:`disk_content`. Keys are names of observations,
    values numbers or texts. Errors: :class:`DeviceError` unless there is exactly one such device.
    """
    pci = await case.find(port)
    seen = await _by_the_book(port, pci, case)
    for how, features in _FEATURES.items():
        if case.face == "modern" or not features >> 32:
            seen |= await _with_features(port, pci, case, how, features)
    return seen | await observe_broken_rings(port, pci, case)
