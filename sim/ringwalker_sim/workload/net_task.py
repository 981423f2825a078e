"""What guests do with network devices: frames out and back through one, or between two."""

import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from ..captures.captures import NO_CAPTURES, Captures, finish_captures
from ..engine.engines import Status, open_engine
from ..errors import ParameterError, noted
from ..golden.interguest import InterGuestNet, connect_guests
from ..guest.machine import Machine
from ..guest.opening import OpenDevice, open_device
from ..guest.software_port import SecondGuest, SoftwarePort
from ..memory import GuestMemory
from .figures import Traffic, packets, result_of_traffic
from .frame_traffic import Arrivals, promiscuous, random_frames, send_frames
from .job import DeviceTask, Job, Progress, Task, model_behind, open_for
from .pcap import write_frames

__all__ = ["EXCHANGE_TRANSPORTS", "ExchangeTask", "NetTask", "run_exchange"]

EXCHANGE_TRANSPORTS = ("pci", "memory")
"""Transports on which two guests can meet."""

_CABLE_CYCLES = 200
_SECOND_MAC = bytes.fromhex("525700000102")
"""Where frames for the second guest go; on PCI its device has the configured address, and gets them all."""


def _counter(total: int, progress: Progress | None) -> Callable[[], None]:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("frames", done, total)

    return tick


@dataclass(frozen=True)
class NetTask(DeviceTask):
    """Sends ``frames``; the MAC, or the model, sends them back. ``capture``: a file for what comes back."""

    frames: tuple[bytes, ...]
    capture: str | None = None

    def again(self, folder: Path) -> "NetTask":
        """See :meth:`Task.again`."""
        return self if self.capture is None else replace(self, capture=str(folder / "capture.pcap"))

    async def work(
        self, opened: OpenDevice, config: DeviceConfig, progress: Progress | None
    ) -> dict[str, Any]:
        """Send and compare; the result is that of :func:`~.figures.result_of_traffic`."""
        port: Any = opened.machine.port
        if (model := model_behind(opened)) is None:
            port.engine.ports.mac.loopback(True)
        else:
            model.loopback = True
        traffic = Traffic("out and back", "frames")
        arrivals = Arrivals(port, self.frames, traffic, _counter(len(self.frames), progress))
        await promiscuous(opened)
        opened.driven.on_frame = arrivals
        begin = time.perf_counter()
        await send_frames(opened.driven, self.frames, traffic, arrivals, paced=True)
        await arrivals.all()
        wall_s = time.perf_counter() - begin
        unwritten: list[str] = []
        if self.capture is not None:
            with noted(unwritten):
                write_frames(self.capture, arrivals.frames)
        result = result_of_traffic([traffic], [port], config.clock_mhz, wall_s)
        return {**result, "unwritten": unwritten}


@dataclass(frozen=True)
class ExchangeTask(Task):
    """Two guests send each other ``count`` frames whose lengths are chosen from ``sizes``, in bytes."""

    sizes: tuple[int, ...]
    count: int

    async def run(
        self, port: Any, config: DeviceConfig, job: Job, progress: Progress | None
    ) -> dict[str, Any]:
        """Errors: always :class:`ParameterError`; see :func:`run_exchange`."""
        raise ParameterError("an exchange is between two guests; one port is not enough for it")


@contextmanager
def _port(
    config: DeviceConfig, job: Job, number: int, waves: Any, captures: Captures, status: Status | None
) -> Iterator[Any]:
    """The port of guest ``number``, 0 or 1; waves and captures are those of the first."""
    with open_engine(
        "native",
        config,
        GuestMemory(job.memory_bytes),
        host=job.host,
        waves=None if number else waves,
        captures=NO_CAPTURES if number else captures,
        seed=job.seed + number,
        status=status,
    ) as port:
        yield port


def run_exchange(
    config: DeviceConfig,
    job: Job,
    *,
    waves: str | Path | None = None,
    captures: Captures = NO_CAPTURES,
    progress: Progress | None = None,
    status: Status | None = None,
) -> dict[str, Any]:
    """Do an :class:`ExchangeTask`: two devices on a cable, or one ring on the other.

    Errors: those of drivers and engines, and :class:`ParameterError` for a transport by which guests cannot
    meet.
    """
    task = job.task
    assert isinstance(task, ExchangeTask)
    macs = (config.settings.address, _SECOND_MAC)
    tick = _counter(2 * task.count, progress)
    traffic = [Traffic("first to second", "frames"), Traffic("second to first", "frames")]
    frames = [random_frames(task.count, task.sizes, macs[1 - n], macs[n], job.seed + n) for n in range(2)]
    with ExitStack() as stack:
        ports, run, models = _pair(config, job, stack, waves, captures, status, macs)
        arrivals = [Arrivals(ports[1 - n], frames[n], traffic[n], tick) for n in range(2)]
        ready, done = [False, False], [False, False]

        async def meet(n: int, flags: list[bool]) -> None:
            flags[n] = True
            while not all(flags):
                await ports[n].sleep(_CABLE_CYCLES)

        async def guest(n: int) -> None:
            machine = Machine(ports[n])
            if models is None:
                opened = await open_for(machine, config, job)
            else:
                opened = await open_device(
                    machine, config.function, job.interface, job.transport, model=models[n]
                )
            opened.driven.on_frame = arrivals[1 - n]
            await promiscuous(opened)
            await meet(n, ready)
            await send_frames(opened.driven, frames[n], traffic[n], arrivals[n], paced=False)
            await arrivals[1 - n].all()
            # The other one may still send.
            await meet(n, done)
            await opened.close()

        begin = time.perf_counter()
        run(guest(0), guest(1))
        result = result_of_traffic(traffic, ports, config.clock_mhz, time.perf_counter() - begin)
        unwritten: list[str] = []
        if models is None:
            finish_captures(ports[0].engine, unwritten)
        return {**result, "tlps": packets(ports), "unwritten": unwritten}


_Pair = tuple[Sequence[Any], Callable[..., Any], list[InterGuestNet] | None]


def _pair(
    config: DeviceConfig,
    job: Job,
    stack: ExitStack,
    waves: Any,
    captures: Captures,
    status: Status | None,
    macs: tuple[bytes, bytes],
) -> _Pair:
    """Two guests' ports, what runs a coroutine on each, and their devices if those are models."""
    if job.transport == "pci":
        from ..engine.native.cable import MacCable

        ports = [stack.enter_context(_port(config, job, n, waves, captures, status)) for n in range(2)]
        return ports, MacCable(*ports, latency=_CABLE_CYCLES).run, None
    if job.transport not in EXCHANGE_TRANSPORTS:
        raise ParameterError(
            f"transport is {job.transport!r}; guests meet on {' and '.join(EXCHANGE_TRANSPORTS)}"
        )
    first = SoftwarePort(GuestMemory(job.memory_bytes))
    models = [
        InterGuestNet(first.schedule, mac=mac, mtu=config.settings.mtu, queue_size=config.queue_size)
        for mac in macs
    ]
    connect_guests(*models)

    def run(*guests: Coroutine[Any, Any, Any]) -> None:
        async def both() -> None:
            for task in [first.start(guest) for guest in guests]:
                await task.join()

        first.run(both())

    return [first, SecondGuest(first, GuestMemory(job.memory_bytes))], run, models
