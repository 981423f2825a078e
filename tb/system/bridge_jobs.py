"""What the CPU does in the tests of the cocotb engine: coroutines that run inside the simulator."""

import hashlib
import random
from typing import Any

import numpy as np

from ringwalker.spec.pci import HEADER
from ringwalker_sim.guest.port import make_bdf
from ringwalker_sim.memory import dtype_of
from ringwalker_sim.testing.noise_tap import Shown
from ringwalker_sim.testing.traffic import DEVICE_ID, VENDOR_ID, CopyRegisters

__all__ = ["copy_disk", "copy_memory", "fail", "hang"]

ENDPOINT = make_bdf(1, 0)


def _open_window(port: Any, read_limit: int = 512) -> int:
    """The stand-ins have no base address registers: route a window of memory space to them by hand."""
    base = 0xD000_0000
    for bridge in (port.root_port, port.rc.upstream_bridge):
        bridge.mem_base, bridge.mem_limit = base, base + 0xF_FFFF
    port.endpoint.max_payload = 256
    port.endpoint.max_read_request = read_limit
    return base


def _offset(name: str) -> int:
    fields: Any = dtype_of(CopyRegisters).fields
    return int(fields[name][1])


async def copy_memory(port: Any, chunk: int, chunks: int, read_limit: int = 512) -> dict[str, Any]:
    """Let the device copy memory; check the copy, the registers and the interrupt message."""
    found = await port.config_read(ENDPOINT, HEADER.vendor_id.offset, 4)
    assert found == VENDOR_ID | DEVICE_ID << 16, hex(found)
    assert await port.config_read(ENDPOINT, HEADER.device_id.offset, 2) == DEVICE_ID
    assert await port.config_read(make_bdf(1, 1), HEADER.vendor_id.offset, 4) == 0xFFFF_FFFF
    assert await port.config_read(make_bdf(0, 9), HEADER.vendor_id.offset, 4) == 0xFFFF_FFFF
    base = _open_window(port, read_limit)
    source = port.memory.allocate(chunk * chunks, 4096)
    target = port.memory.allocate(chunk * chunks, 4096)
    source.array[:] = np.frombuffer(random.randbytes(chunk * chunks), dtype=np.uint8)
    arrived = port.event()
    address, data = port.msi_target(arrived.set)
    reads = port.memory.watch(source.address, len(source), writes=False)
    settings = {
        "source": source.address,
        "destination": target.address,
        "message_address": address,
        "message_data": data,
        "chunks": chunks,
    }
    for name, value in settings.items():
        await port.memory_write(base + _offset(name), 4, value)
    assert await port.memory_read(base + _offset("chunks"), 4) == chunks
    await port.memory_write(base + _offset("chunks") + 1, 1, 0)
    assert await port.memory_read(base + _offset("chunks"), 4) == chunks & ~0xFF00
    assert await port.memory_read(base + _offset("message_data"), 2) == data & 0xFFFF
    asserted = port.event()
    port.intx_handler(asserted.set)
    start = port.now()
    await port.memory_write(base + _offset("control"), 4, 1)
    assert not await arrived.wait(1)
    assert await arrived.wait(200_000), "no interrupt message came"
    assert bytes(target.array) == bytes(source.array)
    assert await asserted.wait(1000), "INTA was not asserted"
    assert await port.memory_read(base + _offset("errors"), 4) == 0
    assert sum(hit.length for hit in reads.hits) == chunk * chunks
    return {"cycles": port.now() - start, "bytes": chunk * chunks}


async def copy_disk(port: Any) -> dict[str, Any]:
    """Let the device copy the first half of the disk onto the second."""
    base = _open_window(port)
    half = port.disk.size // 2
    port.disk.write(0, np.frombuffer(random.randbytes(half), dtype=np.uint8))
    asserted = port.event()
    port.intx_handler(asserted.set)

    async def watchdog() -> str:
        await port.sleep(1_000_000)
        return "late"

    task = port.start(watchdog())
    await port.memory_write(base + _offset("control"), 4, 1)
    assert await asserted.wait(500_000), "INTA was not asserted"
    task.cancel()
    assert bytes(port.disk.read(half)) == bytes(port.disk.read(0, half))
    return {"digest": hashlib.sha256(port.disk.read()).hexdigest()}


async def take_noise(port: Any, beats: int) -> dict[str, Any]:
    """Let the device take beats of noise one by one; their bytes in hex, and the level of a pin."""
    base = _open_window(port)

    async def show(what: Shown) -> int:
        await port.memory_write(base + _offset("source"), 4, int(what))
        return await port.memory_read(base + _offset("errors"), 4)

    content = b""
    for _ in range(beats):
        await port.memory_write(base + _offset("control"), 4, 1)
        for word in range(2):
            await port.memory_write(base + _offset("chunks"), 4, word)
            content += (await show(Shown.NOISE)).to_bytes(4, "little")
    return {"noise": content.hex(), "level": await show(Shown.LEVEL)}


async def fail(port: Any) -> dict[str, Any]:
    """A job that ends with an exception in a task that it started."""

    async def broken() -> None:
        await port.sleep(10)
        raise LookupError("this is what went wrong")

    await port.start(broken()).join()
    return {}


async def hang(port: Any) -> dict[str, Any]:
    """A job that never ends."""
    while True:
        await port.sleep(1000)
