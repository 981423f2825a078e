"""What a guest does with a served disk, for tests: a verified workload, and requests by hand."""

from collections.abc import Callable, Coroutine
from typing import Any

from ringwalker.config import DeviceConfig

from ..guest.blk import BlkDevice, BlkRequest, blk_driver
from ..guest.bus import VirtioBus
from ..guest.pci import enumerate_pci
from ..guest.transport.virtio_pci import VirtioPciTransport
from ..vfio_user.client_port import VfioPort
from ..vfio_user.serving import DeviceHandle
from ..workload.block_task import BlockTask, Workload
from ..workload.job import Job

__all__ = ["REQUESTS", "bind", "do_job", "submit_reads", "with_disk"]

REQUESTS = 40
"""Of :func:`do_job`."""

_TASK = BlockTask(Workload("randrw", block_size=4096, queue_depth=8, requests=REQUESTS, seed=3))


def do_job(port: VfioPort, handle: DeviceHandle, interrupt: str = "msix") -> dict[str, Any]:
    """A verified workload; its result."""
    port.disk = handle.disk
    config = handle.device.config
    assert isinstance(config, DeviceConfig)
    result = port.run(Job(_TASK, interrupt=interrupt).run(port, config))
    assert (result["requests"], result["errors"]) == (REQUESTS, 0), result["messages"]
    return result


async def bind(port: VfioPort) -> tuple[Any, BlkDevice]:
    """Transport and disk."""
    (pci,) = await enumerate_pci(port)
    transport = await VirtioPciTransport.bind(pci)
    bus = VirtioBus()
    await bus.register_virtio_driver(blk_driver(port))
    await bus.register_virtio_device(transport.device)
    return transport, transport.device.priv


def with_disk(port: VfioPort, body: Callable[[Any, BlkDevice], Coroutine[Any, Any, Any]]) -> Any:
    """Run ``body`` on the disk; nothing is taken down."""

    async def main() -> Any:
        return await body(*await bind(port))

    return port.run(main())


def submit_reads(port: VfioPort, disk: BlkDevice, count: int) -> tuple[list[BlkRequest], Any]:
    """``count`` reads of a page each, into one buffer; they are not kicked."""
    buffer = port.memory.allocate(count * 4096, 4096)
    requests = []
    for n in range(count):
        request = disk.submit(0, 8 * n, [(buffer.address + 4096 * n, 4096)], lambda _request: None)
        assert request is not None
        requests.append(request)
    return requests, buffer
