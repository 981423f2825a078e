"""Serves devices over vfio-user from this process, one thread each."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.pci.endpoint import EdgeConfig
from ringwalker.verilog import PortInfo

from ..captures.captures import NO_CAPTURES, Captures, finish_captures
from ..disk_image import DiskError, DiskImage
from ..engine.native.served import ServedEngine
from ..errors import noted
from ..function.simulation import simulation_of
from ..host import HostParameters
from ..timeline.output import write_timeline
from ..waves.story import story_behind
from .bridge import EngineBridge
from .listener import check_path
from .recorder import WaveRecorder, Waves
from .server import Server

__all__ = ["DeviceHandle", "ServedDevice", "serve_devices"]

log = logging.getLogger("ringwalker.vfio_user")

_JOIN_SECONDS = 30.0


@dataclass(frozen=True)
class ServedDevice:
    """A device to serve: its configuration, and its unix socket.

    ``image`` is the disk of a block device, None for a blank one in memory; with ``read_only`` it is not
    written, and with ``raw`` it may look like anything (:class:`~..disk_image.DiskImage`). ``waves`` is an
    FST file for the whole run, or the part of the run to record; ``timeline`` the file of a timeline
    (:mod:`..timeline.file`), and ``captures`` those of captures. ``host`` has the parameters of the
    simulated root complex; the default accepts the device's largest payloads and read requests. ``seed`` is
    for random choices of the host. ``plain`` asks for the plain model, ``at_once`` for it until there is the
    other (:class:`~..engine.native.engine.NativeEngine`). Without ``direct`` every message of the peer is
    carried out in Python.

    ``design`` is Verilog that is the device in place of ours, with its ports, as ``component`` of the engine,
    and ``name`` what it is called; with ``runs_on`` its clock never stops.
    """

    config: EdgeConfig
    image: str | Path | None
    socket: str | Path
    read_only: bool = False
    waves: Waves | str | Path | None = None
    host: HostParameters | None = None
    seed: int = 1
    raw: bool = False
    plain: bool | None = None
    direct: bool = True
    at_once: bool = False
    design: tuple[str, list[PortInfo]] | None = None
    name: str | None = None
    runs_on: bool = False
    timeline: str | Path | None = None
    captures: Captures = NO_CAPTURES

    @property
    def function(self) -> str:
        """What the device is for, or what the design is called."""
        return self.config.function if isinstance(self.config, DeviceConfig) else self.name or "design"

    @property
    def parameters(self) -> HostParameters:
        """``host``, or the default."""
        config = self.config
        return self.host or HostParameters(
            max_payload=config.max_payload, max_read_request=config.max_read_request
        )


@dataclass
class DeviceHandle:
    """A served device on ``socket``. ``error`` is None, or the exception that ended it; ``unwritten`` has a
    line, once it has been closed, for waves, a timeline or a capture that could not be written.
    """

    device: ServedDevice
    bridge: EngineBridge
    server: Server
    disk: DiskImage | None
    error: BaseException | None = None
    started: float = field(default_factory=time.monotonic)
    thread: threading.Thread | None = None
    unwritten: list[str] = field(default_factory=list)
    _clock: int | None = None
    _clock_lock: threading.Lock = field(default_factory=threading.Lock)
    _used_s: float = 0.0

    @property
    def socket(self) -> Path:
        """The socket's path."""
        return self.server.path

    @property
    def running(self) -> bool:
        """Whether the device is being served."""
        return self.thread is not None and self.thread.is_alive()

    def stats(self) -> dict[str, Any]:
        """The bridge's counters (:meth:`EngineBridge.stats`), ``seconds`` since the start, and
        ``processor_s``, the processor time of the device's thread.
        """
        seconds = time.monotonic() - self.started
        return {**self.bridge.stats(), "seconds": seconds, "processor_s": self._processor_s()}

    def _processor_s(self) -> float:
        with self._clock_lock:
            if self._clock is not None:
                self._used_s = time.clock_gettime(self._clock)
        return self._used_s

    def stop(self) -> None:
        """Stop serving the device. Returns at once; may be called again."""
        self.server.stop()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the device is no longer served; False after ``timeout_s``."""
        if self.thread is not None:
            self.thread.join(timeout_s)
        return not self.running

    def _serve(self, once: bool) -> None:
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        try:
            self.server.serve(once)
        except BaseException as error:
            self.error = error
            log.exception("%s: the device ended", self.socket)
        finally:
            self._processor_s()
            with self._clock_lock:
                self._clock = None  # It ends with the thread.
            self.server.close()


def _open_disk(device: ServedDevice) -> DiskImage | None:
    if device.image is None:
        return None
    config = device.config
    open_disk = simulation_of(config.function).open_disk if isinstance(config, DeviceConfig) else None
    if open_disk is None or not isinstance(config, DeviceConfig):
        raise DiskError(f"{device.image}: function {device.function} has no disk")
    return open_disk(config, device.image, device.read_only, device.raw)


def _open_engine(
    device: ServedDevice,
    disk: DiskImage | None,
    unwritten: list[str],
    stack: ExitStack,
    progress: Callable[[str], None] | None,
) -> EngineBridge:
    """Open all of a device but its socket; ``stack`` closes it."""
    waves = device.waves if isinstance(device.waves, Waves | None) else Waves(device.waves)
    whole = waves is not None and waves.last is None
    finish = stack.enter_context(ExitStack())
    told = finish.enter_context(story_behind(waves.path if waves else None, unwritten))
    engine = stack.enter_context(
        ServedEngine(
            device.config,
            disk=disk,
            host=device.parameters,
            waves=waves.opening if waves else None,
            seed=device.seed,
            component=device.design,
            plain=device.plain,
            at_once=device.at_once,
            timeline=device.timeline is not None or whole,
            captures=device.captures,
            progress=progress,
        )
    )
    stack.callback(finish_captures, engine, unwritten)
    if device.timeline is not None:
        stack.callback(write_timeline, engine, device.timeline, unwritten)
    bridge = EngineBridge(engine, Path(device.socket).name, device.direct, device.runs_on)
    if waves:
        recorder = WaveRecorder(waves, engine)
        bridge.on_time, bridge.on_trouble = recorder.tick, recorder.trouble
        told += [engine] if whole else []
        finish.enter_context(noted(unwritten))
        finish.callback(recorder.finish)
    return bridge


def _open_all(
    devices: Sequence[ServedDevice],
    stack: ExitStack,
    progress: Callable[[str], None] | None,
    built: Callable[[], None],
) -> list[DeviceHandle]:
    """Open all of the devices but their threads.

    Sockets appear when every device can answer at once, since building a model takes minutes. What a person
    can put right is found before that.
    """
    for device in devices:
        check_path(device.socket)
    disks: list[DiskImage | None] = []
    for device in devices:
        disks.append(disk := _open_disk(device))
        if disk is not None:
            stack.callback(disk.close)
    opened = []
    for device, disk in zip(devices, disks, strict=True):
        unwritten: list[str] = []
        opened.append((_open_engine(device, disk, unwritten, stack, progress), unwritten))
    built()
    handles = []
    for device, disk, (bridge, unwritten) in zip(devices, disks, opened, strict=True):
        server = Server(device.socket, bridge)
        stack.callback(server.close)
        handles.append(DeviceHandle(device, bridge, server, disk, unwritten=unwritten))
    return handles


@contextmanager
def serve_devices(
    devices: Sequence[ServedDevice],
    *,
    once: bool = False,
    progress: Callable[[str], None] | None = None,
    built: Callable[[], None] = lambda: None,
) -> Iterator[list[DeviceHandle]]:
    """Serve ``devices`` for the time of a ``with`` block; a handle for each, in order.

    The sockets appear when every device can answer, just before the block begins. At its end the servers are
    stopped, the sockets removed, images flushed and unlocked, waves completed. With ``once`` a device ends
    when its first peer has gone. ``progress`` is called with lines of text while the model is built, and
    ``built`` when that is over, before the sockets appear. An exception that ends a device is logged, and in
    ``error`` of its handle.

    Errors: :class:`~.listener.SocketError`, :class:`~ringwalker_sim.memory.DiskError`,
    :class:`~ringwalker_sim.toolchain.ToolError`, ``EngineError``, ``OSError``; then nothing is left behind.
    """
    with ExitStack() as stack:
        handles = _open_all(devices, stack, progress, built)
        for handle in handles:
            handle.thread = threading.Thread(
                target=handle._serve, args=(once,), name=f"serve {handle.socket}", daemon=True
            )
        stack.callback(_stop, handles)
        for handle in handles:
            assert handle.thread is not None
            handle.thread.start()
            log.info("%s: waiting for a peer", handle.socket)
        yield handles


def _stop(handles: Sequence[DeviceHandle]) -> None:
    for handle in handles:
        handle.stop()
    for handle in handles:
        while not handle.join(_JOIN_SECONDS):
            # Its memory must not be unmapped while it runs.
            log.warning("%s: the device has not ended yet", handle.socket)
        log.info("%s: ended", handle.socket)
