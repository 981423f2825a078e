"""The cocotb engine from outside: builds the simulator, runs a job in it, and brings back the result."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ringwalker.config import DeviceConfig

from ...errors import EXIT_FAILED, RingwalkerError
from ...toolchain import verilator_environment
from .build import build_simulator

if TYPE_CHECKING:
    from ...workload.job import Job

__all__ = ["CocotbError", "run_cocotb", "run_simulation"]

log = logging.getLogger("ringwalker.disk")

OnProgress = Callable[[str, int, int], None]

_GRACE_S = 20.0
"""How long a simulation that was asked to stop may take to close its files."""


class CocotbError(RingwalkerError):
    """A simulation that failed. Its note is the traceback from inside, or the end of the simulator's log.

    ``exit_code`` is that of the error inside, if a person could cause it, else 1.
    """

    def __init__(self, message: str, note: str = "", exit_code: int = EXIT_FAILED):
        super().__init__(message)
        self.exit_code = exit_code
        if note:
            self.add_note(note)


def run_cocotb(
    config: DeviceConfig,
    job: "Job",
    *,
    simulator: str = "verilator",
    waves: str | Path | None = None,
    timeout_s: float | None = None,
    progress: Callable[[str], None] | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Do ``job`` on the device that ``config`` describes, under cocotb with cocotbext-pcie.

    Inside the simulator it is a :class:`~ringwalker_sim.workload.job.Job` again; what its task returns
    comes back, with counts of the engine added. Of the host it has the latencies, the limits of payload and
    read requests, and the stalls.

    ``simulator`` is one of :data:`.build.SIMULATORS`. ``waves``: an FST file to write, whole even after
    Ctrl-C, of Verilator only. ``progress`` is called with a line of text while the simulator is built,
    ``on_progress`` as the task does, a few times a second.

    Errors: :class:`CocotbError`, also when it takes more than ``timeout_s``; ``KeyboardInterrupt``, once the
    simulation has ended.
    """
    from ...verilog_cache import TOP, device_verilog

    text, ports = device_verilog(config, progress, whole=waves is not None)
    return run_simulation(
        text,
        TOP,
        config,
        job,
        initial={
            port.name: port.init
            for port in ports
            if port.direction == "input" and port.name not in ("clk", "rst")
        },
        simulator=simulator,
        waves=waves,
        timeout_s=timeout_s,
        progress=progress,
        on_progress=on_progress,
    )


def run_simulation(
    verilog: str,
    top: str,
    config: DeviceConfig,
    job: "Job",
    *,
    initial: Mapping[str, int] | None = None,
    simulator: str = "verilator",
    waves: str | Path | None = None,
    timeout_s: float | None = None,
    progress: Callable[[str], None] | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Like :func:`run_cocotb`, for any Verilog whose module ``top`` has the ports of the device.

    ``initial`` are values of inputs that nothing here drives. Without one Verilator has 0 there, and Icarus
    Verilog nothing that is known.
    """
    build_dir = build_simulator(verilog, top, simulator=simulator, waves=waves is not None, progress=progress)
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name:
        folder = Path(name)
        order = {
            "job": job.to_json(),
            "config": config.to_dict(),
            "parent": os.getpid(),
            "folder": os.getcwd(),
            "initial": dict(initial or {}),
        }
        (folder / "job.json").write_text(json.dumps(order))
        waves_file = str(Path(waves).absolute()) if waves else ""
        command = [sys.executable, "-m", "ringwalker_sim.engine.cocotb.launcher"]
        arguments = [simulator, top, str(build_dir), name, waves_file, str(job.seed)]
        process = _start([*command, *arguments])
        try:
            _wait(process, folder, timeout_s, on_progress)
        except BaseException:
            _end(process, folder)
            raise
        result = _result(folder)
        # The log of the simulator is nobody's to read.
        for line in result.get("disk_failures", ()):
            log.error("%s", line)
        return result


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    environment = verilator_environment()
    # The launcher finds what this process finds; it must not take itself for a pytest test.
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    environment.pop("PYTEST_CURRENT_TEST", None)
    # A session of its own: Ctrl-C reaches only this process, which then asks the simulation to stop.
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait(
    process: subprocess.Popen[bytes], folder: Path, timeout_s: float | None, on_progress: OnProgress | None
) -> None:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.25)
            return
        if on_progress is not None:
            with contextlib.suppress(OSError):
                on_progress(*json.loads((folder / "progress.json").read_text()))
        if deadline is not None and time.monotonic() > deadline:
            raise CocotbError(f"the cocotb simulation did not end within {timeout_s:g} s")


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Ask the simulation to stop, so that it closes its waves; after a while end its processes."""
    (folder / "stop").touch()
    deadline = time.monotonic() + _GRACE_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            process.wait(0.2)
    if process.poll() is None:
        # Its process group is its own, and has its number.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _result(folder: Path) -> dict[str, Any]:
    path = folder / "result.json"
    if path.exists():
        return json.loads(path.read_text())
    message, note = "the simulator ended without a result", ""
    with contextlib.suppress(OSError, ElementTree.ParseError):
        # The exception that ended the test, wherever in the simulation it was raised.
        failure = ElementTree.parse(folder / "results.xml").find(".//failure")
        if failure is not None:
            message, note = str(failure.get("message")).partition("\n")[0], str(failure.text)
    if not note:
        log = folder / "simulator.log"
        note = "\n".join(log.read_text(errors="replace").splitlines()[-40:]) if log.exists() else "no log"
    path = folder / "error.json"
    if path.exists():
        raise CocotbError(**json.loads(path.read_text()), note=note)
    raise CocotbError(message, note)
