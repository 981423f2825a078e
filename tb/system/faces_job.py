"""What the guest does with a disk that has both register faces: a coroutine for any engine."""

from typing import Any

from ringwalker.spec.blk import SECTOR_BYTES, BlkRequestType
from ringwalker.spec.features import Feature
from ringwalker.spec.modern import DeviceStatus
from ringwalker_sim.guest.blk import BlkDevice, BlkRequest
from ringwalker_sim.guest.machine import Machine
from ringwalker_sim.guest.opening import open_device
from ringwalker_sim.guest.transport.legacy_header import LegacyHeader

__all__ = ["use_both_faces"]

_USES = (("legacy", "intx"), ("modern", "msix"), ("legacy", "msi"), ("modern", "msi"), ("legacy", "msix"))
"""Faces, and interrupts with them."""

_SECTORS = 8
_REST_CYCLES = 2000
_PATIENCE = 200
_BITS = DeviceStatus.SUSPEND | DeviceStatus.DRIVER_OK


async def use_both_faces(port: Any) -> dict[str, Any]:
    """Write and read sectors by both faces in turn, with interrupts of each kind; where the device can be
    suspended it is, between requests that it has and one that it has not been told of.
    """
    result: dict[str, Any] = {}
    for face, interrupt in _USES:
        opened = await open_device(Machine(port), "blk", interrupt=interrupt, face=face)
        disk = opened.driven
        data = bytes(number ^ len(face) for number in range(256)) * (_SECTORS * SECTOR_BYTES // 256)
        await disk.write(3, data)
        same = await disk.read(3, _SECTORS) == data
        result[f"{face} {interrupt}"] = [await disk.get_id(), same]
        if opened.device.config.features >> Feature.SUSPEND & 1:
            result["suspended"], result["free after"] = await _suspend(port, disk, opened.device.config)
        await opened.close()
    return result


async def _free_queue(port: Any, header: LegacyHeader, queue: int) -> int:
    """Free a queue by the legacy header; in how many cycles it is free."""
    await header.write("queue_select", queue)
    assert await header.read("queue_pfn")
    began = port.now()
    await header.write("queue_pfn", 0)
    assert not await header.read("queue_pfn")
    return port.now() - began


async def _suspend(port: Any, disk: BlkDevice, config: Any) -> tuple[list[int], int]:
    """The two bits of the status when the device rests, requests done then and later, accesses to memory
    meanwhile, the bits when it goes on, and requests done at the end; and how many cycles it takes to free a
    queue that has no requests while the device rests.
    """
    ended: list[BlkRequest] = []

    def submit(number: int) -> None:
        sg = [(buffer.address + number * SECTOR_BYTES, SECTOR_BYTES)]
        assert disk.submit(BlkRequestType.IN, number, sg, ended.append) is not None

    counts: list[int] = []
    with port.memory.allocate(_SECTORS * SECTOR_BYTES, SECTOR_BYTES) as buffer:
        for number in range(_SECTORS - 1):
            submit(number)
        await disk.kick()
        # A register is read behind the doorbell, so that the device knows of it.
        await config.num_queues()
        await port.sleep(_REST_CYCLES)
        await config.suspend_device()
        counts.append(await config.status() & _BITS)
        await port.sleep(_REST_CYCLES)
        counts.append(len(ended))
        watch = port.memory.watch(buffer.address, buffer.length)
        submit(_SECTORS - 1)
        await port.sleep(_REST_CYCLES)
        counts += [len(ended), len(watch.hits)]
        port.memory.unwatch(watch)
        took = await _free_queue(port, LegacyHeader(config.pci), await config.num_queues() - 1)
        await config.resume_device()
        counts.append(await config.status() & _BITS)
        await disk.kick()
        for _ in range(_PATIENCE):
            if len(ended) == _SECTORS:
                break
            await port.sleep(_REST_CYCLES)
        counts.append(len(ended))
    assert [request.error for request in ended] == [None] * len(ended)
    return counts, took
