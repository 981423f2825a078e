"""Machines for :mod:`.traffic`: a port for every transport, the device on it, and what is outside of it."""

import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from ..engine.engines import Status, open_engine
from ..guest.machine import Machine
from ..guest.models.build import model_of
from ..guest.models.console import ConsoleModel
from ..guest.models.function import FunctionModel
from ..guest.models.interguest import InterGuestNet, connect_guests
from ..guest.opening import OpenDevice, open_device
from ..guest.software_port import SecondGuest, SoftwarePort
from ..memory import GuestMemory
from .pcap import Frame
from .traffic import Arrivals, Progress, Traffic, echo, promiscuous, random_frames, send_frames, summary

__all__ = ["INTER_GUEST", "Setup", "run_console", "run_inter_guest", "run_net"]

INTER_GUEST = ("pci", "memory")
"""Transports on which two guests can meet."""

_RAM_BYTES = 16 << 20
_CABLE_CYCLES = 200
_SECOND_MAC = bytes.fromhex("525700000102")
"""Where frames for the second guest go; on PCI its device has the configured address, and hears them all."""
_CONSOLE_SLICE = 4096
"""Bytes typed at once, at most."""


@dataclass(frozen=True)
class Setup:
    """What a run is made of: ``interface`` and ``transport`` as :func:`~.guest.opening.open_device` has them.

    ``host`` are parameters of the native host, ``waves`` an FST file (only with a device in
    hardware; of two guests that of the first).
    """

    config: DeviceConfig
    interface: str = "modern"
    transport: str = "pci"
    interrupt: str = "msix"
    seed: int = 1
    host: dict[str, Any] | None = None
    waves: str | Path | None = None

    def describe(self) -> dict[str, Any]:
        """The part of a result that says how it came about."""
        hardware = self.transport == "pci"
        return {
            "engine": "native" if hardware else "memory",
            "interface": self.interface,
            "transport": self.transport,
            "data_width": self.config.data_width if hardware else None,
            "clock_mhz": self.config.clock_mhz,
            "seed": self.seed,
        }


@contextmanager
def _port(setup: Setup, status: Status | None, number: int = 0) -> Iterator[Any]:
    """Guest ``number``'s port."""
    memory = GuestMemory(_RAM_BYTES)
    if setup.transport != "pci":
        yield SoftwarePort(memory)
        return
    with open_engine(
        "native",
        setup.config,
        memory,
        host=setup.host,
        waves=None if number else setup.waves,
        seed=setup.seed + number,
        status=status,
    ) as port:
        yield port


async def _open(setup: Setup, machine: Machine, model: Any) -> OpenDevice:
    return await open_device(
        machine,
        setup.config.function,
        setup.interface,
        setup.transport,
        model=model,
        interrupt=setup.interrupt,
        pipe={"seed": setup.seed},
    )


def _counter(name: str, total: int, progress: Progress | None) -> Callable[[], None]:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(name, done, total)

    return tick


def _result(setup: Setup, traffic: Sequence[Traffic], wall_s: float, ports: Sequence[Any]) -> dict[str, Any]:
    cycles = max(port.now() for port in ports)
    tlps: dict[str, int] = {}
    for port in ports:
        for kind, count in port.tlps().items():
            tlps[kind] = tlps.get(kind, 0) + count
    return {
        **setup.describe(),
        "directions": [summary(item, setup.config.clock_mhz) for item in traffic],
        "errors": sum(item.errors for item in traffic),
        "messages": [message for item in traffic for message in item.messages],
        "cycles_total": cycles,
        "wall_s": wall_s,
        "cycles_per_second": cycles / wall_s if wall_s else 0.0,
        "tlps": tlps,
    }


def run_net(
    setup: Setup,
    frames: Sequence[bytes],
    *,
    progress: Progress | None = None,
    status: Status | None = None,
) -> tuple[dict[str, Any], list[Frame]]:
    """Send ``frames``; the MAC, or the model, sends them back. The result, and what came back.

    Errors: :class:`~.guest.errors.VirtioError` when the device cannot be used.
    """
    with _port(setup, status) as port:
        machine = Machine(port)
        hardware = setup.transport == "pci"
        model = None if hardware else model_of(setup.config, port.schedule, loopback=True)
        traffic = Traffic("out and back", "frames")
        arrivals = Arrivals(port, frames, traffic, _counter("frames", len(frames), progress))
        if model is None:
            port.engine.ports.mac.loopback(True)

        async def job() -> float:
            opened = await _open(setup, machine, model)
            await promiscuous(opened)
            opened.driven.on_frame = arrivals
            begin = time.perf_counter()
            await send_frames(opened.driven, frames, traffic, arrivals, paced=True)
            await arrivals.all()
            wall = time.perf_counter() - begin
            await opened.close()
            return wall

        wall_s = port.run(job())
        return _result(setup, [traffic], wall_s, [port]), arrivals.frames


def run_inter_guest(
    setup: Setup,
    sizes: Sequence[int],
    count: int,
    *,
    progress: Progress | None = None,
    status: Status | None = None,
) -> dict[str, Any]:
    """Two guests send each other ``count`` frames: two devices on a cable, or one ring on the other.

    Errors: as :func:`run_net`, and ``ValueError`` for a transport by which guests cannot meet.
    """
    macs = (setup.config.net.address, _SECOND_MAC)
    tick = _counter("frames", 2 * count, progress)
    traffic = [Traffic("first to second", "frames"), Traffic("second to first", "frames")]
    frames = [random_frames(count, sizes, macs[1 - n], macs[n], setup.seed + n) for n in range(2)]
    with ExitStack() as stack:
        ports, run, models = _pair(setup, stack, status, macs)
        arrivals = [Arrivals(ports[1 - n], frames[n], traffic[n], tick) for n in range(2)]
        ready, done = [False, False], [False, False]

        async def meet(n: int, flags: list[bool]) -> None:
            flags[n] = True
            while not all(flags):
                await ports[n].sleep(_CABLE_CYCLES)

        async def guest(n: int) -> None:
            opened = await _open(setup, Machine(ports[n]), models[n])
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
        return _result(setup, traffic, time.perf_counter() - begin, ports)


def _pair(
    setup: Setup, stack: ExitStack, status: Status | None, macs: tuple[bytes, bytes]
) -> tuple[list[Any], Callable[..., Any], list[Any]]:
    """Two guests' ports, what runs a coroutine on each, and the models of their devices."""
    if setup.transport == "pci":
        from ..engine.native.cable import MacCable

        ports = [stack.enter_context(_port(setup, status, n)) for n in range(2)]
        return ports, MacCable(*ports, latency=_CABLE_CYCLES).run, [None, None]
    if setup.transport != "memory":
        raise ValueError(f"transport is {setup.transport!r}; guests meet on {' and '.join(INTER_GUEST)}")
    first = SoftwarePort(GuestMemory(_RAM_BYTES))
    config = setup.config
    models = [
        InterGuestNet(first.schedule, mac=mac, mtu=config.net.mtu, queue_size=config.queue_size)
        for mac in macs
    ]
    connect_guests(*models)

    def run(*guests: Coroutine[Any, Any, Any]) -> None:
        async def both() -> None:
            for task in [first.start(guest) for guest in guests]:
                await task.join()

        first.run(both())

    return [first, SecondGuest(first, GuestMemory(_RAM_BYTES))], run, models


def run_console(
    setup: Setup,
    content: bytes,
    *,
    progress: Progress | None = None,
    status: Status | None = None,
) -> tuple[dict[str, Any], bytes]:
    """Type ``content`` at a terminal whose guest echoes. The result, and what the terminal shows.

    Errors: :class:`~.guest.errors.VirtioError` when the device cannot be used.
    """
    with _port(setup, status) as port:
        config, shown = setup.config, bytearray()
        model: FunctionModel | None = None
        if setup.transport == "pci":
            port.engine.ports.uart.on_bytes = shown.extend
            enter: Callable[[bytes], Any] = port.engine.ports.uart.send
        else:
            model = model_of(config, port.schedule)
            assert isinstance(model, ConsoleModel)
            model.on_bytes = shown.extend
            enter = model.type
        traffic = Traffic("echo", "bytes")

        def tick() -> None:
            if progress is not None:
                progress("bytes", len(shown), len(content))

        async def job() -> float:
            opened = await _open(setup, Machine(port), model)
            begin = time.perf_counter()
            typing = port.start(_type(port, enter, content, shown))
            await echo(opened.driven, len(content), traffic, tick)
            await typing.join()
            wall = time.perf_counter() - begin
            # The device has all bytes; the terminal may not.
            for _ in range(1000):
                if len(shown) >= len(content):
                    break
                await port.sleep(len(content) + 100)
            await opened.close()
            return wall

        wall_s = port.run(job())
        _check_echo(bytes(shown), content, traffic)
        return _result(setup, [traffic], wall_s, [port]), bytes(shown)


async def _type(port: Any, enter: Callable[[bytes], Any], content: bytes, shown: bytearray) -> None:
    """Bring bytes in, never far ahead of what has come out."""
    for start in range(0, len(content), _CONSOLE_SLICE):
        enter(content[start : start + _CONSOLE_SLICE])
        for _ in range(10_000):
            if len(shown) >= start:
                break
            await port.sleep(1000)


def _check_echo(shown: bytes, content: bytes, traffic: Traffic) -> None:
    from .traffic import difference

    traffic.received = traffic.bytes = len(shown)
    if (message := difference(shown, content)) is not None:
        traffic.complain(message)
