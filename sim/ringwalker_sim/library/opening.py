"""Opens devices."""

import asyncio
from contextlib import ExitStack
from typing import Any, Generic, Literal, TypeVar, Unpack, overload

from ..cli.report import status_line
from ..engine.engines import open_engine
from ..guest.machine import Machine
from ..memory import GuestMemory
from ..workload.job import open_for
from .device import Device
from .functions import DEVICES, Console, Disk, Entropy, Network
from .options import Options, choose

__all__ = ["Opening", "open", "open_async"]

D = TypeVar("D", bound=Device)


def _opened(function: str, options: Any) -> Device:
    chosen = choose(function, options)
    config, job = chosen.config, chosen.job
    with ExitStack() as stack:
        if (disk := job.open_disk(config)) is not None:
            stack.callback(disk.close)
        with status_line("building the model") as status:
            port = stack.enter_context(
                open_engine(
                    chosen.engine if job.transport == "pci" else "software",
                    config,
                    GuestMemory(job.memory_bytes),
                    disk,
                    host=job.host,
                    waves=chosen.waves,
                    seed=job.seed,
                    status=status,
                    plain=chosen.plain,
                    at_once=True,
                )
            )
        opened = port.run(open_for(Machine(port), config, job), keep=True)
        return DEVICES.get(function, Device)(chosen, port, opened, stack.pop_all())


@overload
def open(function: Literal["blk"] = "blk", **options: Unpack[Options]) -> Disk: ...
@overload
def open(function: Literal["net"], **options: Unpack[Options]) -> Network: ...
@overload
def open(function: Literal["console"], **options: Unpack[Options]) -> Console: ...
@overload
def open(function: Literal["rng"], **options: Unpack[Options]) -> Entropy: ...
@overload
def open(function: str, **options: Unpack[Options]) -> Device: ...
def open(function: str = "blk", **options: Any) -> Device:
    """Simulate a device in this process, and open it with its guest driver.

    ``function`` is ``"blk"``, ``"net"``, ``"console"``, ``"rng"``, or ``"package.module:Name"`` of one's own.
    The options have the names of those of ``ringwalker run``, with ``_`` for ``-``, and of the keys of a TOML
    file: ``image="disk.img"``, ``link="gen3x8"``, ``engine="model"``; docs/library.md has all.
    On engine ``native`` the model is built by the first call, which takes a minute or so, and kept.

    Errors: ``RingwalkerError`` with one line that names the option and says what would do.

    >>> import ringwalker_sim as rw
    >>> with rw.open("blk", engine="model", blk={"capacity": 64}) as device:
    ...     device.sectors
    64
    >>> rw.open("blk", data_width=63)
    Traceback (most recent call last):
    ...
    ringwalker.checks.ConfigError: data_width is 63; it must be 64, 128, 256 or 512
    """
    return _opened(function, options)


class Opening(Generic[D]):
    """A device that ``async with`` opens, in a thread, and closes."""

    def __init__(self, function: str, options: Any):
        self._function = function
        self._options = options
        self._device: Any = None

    async def __aenter__(self) -> D:
        self._device = await asyncio.to_thread(_opened, self._function, self._options)
        return self._device

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is None:
            await self._device.close_aio()
        else:
            self._device.__exit__(kind, error, traceback)


@overload
def open_async(function: Literal["blk"] = "blk", **options: Unpack[Options]) -> Opening[Disk]: ...
@overload
def open_async(function: Literal["net"], **options: Unpack[Options]) -> Opening[Network]: ...
@overload
def open_async(function: Literal["console"], **options: Unpack[Options]) -> Opening[Console]: ...
@overload
def open_async(function: Literal["rng"], **options: Unpack[Options]) -> Opening[Entropy]: ...
@overload
def open_async(function: str, **options: Unpack[Options]) -> Opening[Device]: ...
def open_async(function: str = "blk", **options: Any) -> Opening[Any]:
    """:func:`open` for asyncio: the model is built while other tasks go on, and operations have ``.aio``.

    >>> import asyncio
    >>> import ringwalker_sim as rw
    >>> async def main():
    ...     async with rw.open_async("blk", engine="model") as disk:
    ...         await disk.write.aio(3, bytes(512))
    ...         return await asyncio.gather(disk.read.aio(3), disk.read.aio(4))
    >>> [len(sector) for sector in asyncio.run(main())]
    [512, 512]
    """
    return Opening(function, options)
