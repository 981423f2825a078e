"""A table of observations of a virtio block device under valid and invalid requests.

The steps are the same on every port, so that two devices can be compared value by value.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ringwalker.spec.blk import BLK_CONFIG, SECTOR_BYTES, BlkFeature, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.ids import OASIS_DEVICE_BASE, VENDOR_OASIS, DeviceType
from ringwalker.spec.modern import COMMON, ISR, CapabilityType
from ringwalker.spec.pci import HEADER, VIRTIO_CAPABILITY, CapabilityId

from ..guest.blk import BlkDevice
from ..guest.errors import DeviceError
from ..guest.pci import PciDevice, enumerate_pci
from ..guest.port import Port
from ..guest.split_queue import SplitVirtqueue
from ..guest.transport.virtio_pci import VirtioPciTransport
from .broken_rings import SETTLE_CYCLES, Chain, make_chain, observe_broken_rings

__all__ = ["DISK_SECTORS", "disk_content", "observe"]

DISK_SECTORS = 4096
"""The size of the disk that :func:`observe` expects, in 512-byte sectors."""

_ADDRESSES = ("queue_desc", "queue_driver", "queue_device")
_WINDOW = ("bar", "offset", "size")
"""Fields of a virtio capability that give the place of its structure."""
_QUEUES = (0, 31)
"""The index of the queue, and the index of a queue that does not exist."""


def disk_content() -> np.ndarray:
    """The initial content of the disk, :data:`DISK_SECTORS` sectors: shape (n,), uint8."""
    return np.random.default_rng(2007).integers(0, 256, DISK_SECTORS * SECTOR_BYTES, np.uint8)


def _digest(data: Any) -> str:
    return hashlib.sha256(bytes(data)).hexdigest()[:12]


class _Observer:
    """Collects observations in ``seen``: a text or a number by the name of the observation."""

    def __init__(self, port: Port, transport: VirtioPciTransport):
        self.port = port
        self.memory = port.memory
        self.pci: PciDevice = transport.pci
        self.transport = transport
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
        """Observe the common configuration, for queue 0 and for a queue that does not exist."""
        self.seen[f"{step}: isr_status"] = await self.transport.structures.read(
            CapabilityType.ISR, ISR.isr_status
        )
        structure = self.transport.structures.places[CapabilityType.COMMON]
        for queue in _QUEUES:
            await self.transport.write_common("queue_select", queue)
            place = step if queue == 0 else f"{step}, no such queue"
            for register in COMMON:
                mine = register.name.startswith("queue_")
                if register.offset + register.size > structure.size or (queue and not mine):
                    continue
                value: Any = await self.transport.read_common(register.name)
                if register.name in _ADDRESSES and queue == 0:
                    value = "set" if value else 0
                self.seen[f"{place}: {register.name}"] = value
        await self.transport.write_common("queue_select", 0)

    async def offered(self) -> None:
        """Observe the offered feature bits by name."""
        offered = await self.transport.device_features()
        names = {item.value: item.name for item in (*BlkFeature, *Feature)}
        for bit in range(64):
            self.seen[f"feature {names.get(bit, f'bit {bit}')}"] = offered >> bit & 1

    async def device_configuration(self) -> None:
        """Observe the fields of device configuration."""
        for register in BLK_CONFIG:
            if self.transport.find(BLK_CONFIG, register.name) is not None:
                self.seen[f"config {register.name}"] = await self.transport.get(register)

    # --- requests -------------------------------------------------------------------------------------------

    async def request(self, vq: SplitVirtqueue, name: str, chain: Chain) -> None:
        """Do a request; observe its used element, status, data and interrupts."""
        before = vq.interrupts
        vq.add_buf(chain.pieces, chain.readable, chain.writable, chain)
        await vq.kick()
        slot = vq._last_used & (vq.size - 1)
        used = await self.until(lambda: vq.used_pending)
        self.seen[f"{name}: used"] = used
        if not used:
            return
        await self.until(lambda: vq.interrupts > before)
        self.seen[f"{name}: used id"] = int(vq._used_id[slot])
        self.seen[f"{name}: used len"] = int(vq._used_len[slot])
        self.seen[f"{name}: used idx"] = int(vq._used_idx[0])
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

    async def requests(self, vq: SplitVirtqueue) -> None:
        """Do requests of every type, and some that must be refused."""
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
            await self.request(vq, name, chain)

    async def batch(self, vq: SplitVirtqueue) -> None:
        """Do sixteen reads at once; they may complete in any order."""
        chains = [make_chain(self.memory, BlkRequestType.IN, number * 5, [], [512]) for number in range(16)]
        first = vq._last_used
        for chain in chains:
            vq.add_buf(chain.pieces, 1, 2, chain)
        await vq.kick()
        await self.until(lambda: (int(vq._used_idx[0]) - first) & 0xFFFF == len(chains))
        ids = [int(vq._used_id[(first + number) & (vq.size - 1)]) for number in range(len(chains))]
        self.seen["16 reads: used idx"] = int(vq._used_idx[0])
        self.seen["16 reads: distinct ids"] = len(set(ids))
        self.seen["16 reads: data"] = _digest(b"".join(chain.data.array.tobytes() for chain in chains))
        while vq.get_buf():
            pass
        # Interrupts in flight are served before the registers are read.
        await self.port.sleep(SETTLE_CYCLES // 4)


async def _by_the_book(port: Port, pci: PciDevice, interrupt: str) -> dict[str, Any]:
    observer = _Observer(port, await VirtioPciTransport.bind(pci, interrupt))
    transport = observer.transport
    await observer.configuration_space()
    await observer.registers("after reset")
    await observer.offered()
    disk = BlkDevice(port, transport.device)
    await disk.open()
    observer.seen["negotiated"] = f"{disk.features:#x}"
    await observer.device_configuration()
    await observer.registers("running")
    vq = transport.vqs[0]
    assert isinstance(vq, SplitVirtqueue)
    vq.callback = None
    await observer.requests(vq)
    await observer.batch(vq)
    await observer.registers("after requests")
    await transport._reset_device()
    await observer.registers("reset again")
    await transport.unbind()
    return observer.seen


async def observe(port: Port, interrupt: str = "msix") -> dict[str, Any]:
    """Drive the modern virtio block device of ``port``, and collect observations.

    Its disk must have :data:`DISK_SECTORS` sectors with :func:`disk_content`. Keys are names of observations,
    values numbers or texts. Errors: :class:`DeviceError` unless there is exactly one such device.
    """
    wanted = (VENDOR_OASIS, OASIS_DEVICE_BASE + DeviceType.BLK)
    found = [item for item in await enumerate_pci(port) if (item.id.vendor, item.id.device) == wanted]
    if len(found) != 1:
        raise DeviceError(f"there are {len(found)} virtio block devices on the bus; it must be one")
    seen = await _by_the_book(port, found[0], interrupt)
    return seen | await observe_broken_rings(port, found[0], interrupt)
