"""Mutants are tried: every layer on every mutant, what comes out is written as it comes."""

import json
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock
from typing import Any

from ringwalker.outputs import write_file

from ..toolchain import ToolError, content_hash
from .layers import LAYERS, Layer, build_command
from .mutant import DEVICES, Mutant
from .planting import planted_environment, right_text

__all__ = ["CAUGHT", "MISSED", "UNSEEN", "Results", "try_mutants"]

CAUGHT, MISSED, UNSEEN = "caught", "missed", "-"
"""Verdicts: the layer fails; it passes; it cannot see the block."""

_SECONDS, _BUILD_SECONDS = 1800, 600


_running: set[int] = set()
"""Groups of processes of layers."""


class Results:
    """What came out so far, in a file: of each mutant the verdict of each layer, what it found, seconds."""

    def __init__(self, path: Path):
        self._path = path
        self._lock = Lock()
        self.found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, mutant: Mutant, layer: Layer) -> dict[str, Any] | None:
        """What ``layer`` said of ``mutant`` as it is now; None if it has not been asked."""
        kept = self.found.get(mutant.name, {}).get(layer.name)
        return kept if kept is not None and kept["of"] == _key(mutant) else None

    def put(self, mutant: Mutant, layer: Layer, result: dict[str, Any]) -> None:
        """Keep it, in the file, too. Errors: ``OutputError``."""
        with self._lock:
            self.found.setdefault(mutant.name, {})[layer.name] = {**result, "of": _key(mutant)}
            write_file(self._path, json.dumps(self.found, indent=1, sort_keys=True) + "\n")


def _key(mutant: Mutant) -> str:
    """Names the fault: the text around it may change."""
    change = mutant.change
    return content_hash([mutant.module, change.old, change.new, DEVICES[mutant.device].to_toml()])


def _limit(seconds: int) -> None:
    """Each process that begins here ends after so many seconds of processor time."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


def _run(
    command: Sequence[str], folder: Path, environment: dict[str, str], seconds: int
) -> tuple[int, str, bool]:
    """Exit code, output, and whether it had to be ended. All that it started ends with it."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _limit(seconds),
        )
        _running.add(process.pid)
        try:
            code = process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            code = -signal.SIGXCPU
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _running.discard(process.pid)
        output.seek(0)
        return code, output.read(), code in (-signal.SIGXCPU, -signal.SIGKILL)


def _finding(layer: Layer, output: str) -> str:
    found = [next(filter(None, match.groups())) for match in layer.finding.finditer(output)]
    last = [line for line in output.splitlines() if line.strip()][-1:]
    return " ".join((found or last or ["nothing was said"])[0].split())[:160]


def _try(mutant: Mutant, right: bool, layer: Layer, root: Path, folder: Path) -> dict[str, Any]:
    environment = planted_environment(None if right else mutant)
    command = layer.command(mutant, root, folder)
    if isinstance(command, str):
        return {"verdict": UNSEEN, "found": command, "seconds": 0.0}
    begin = time.perf_counter()
    code, output, endless = _run(command, root if layer.root else folder, environment, layer.cpu_seconds)
    seconds = round(time.perf_counter() - begin, 1)
    if code == 0:
        return {"verdict": MISSED, "found": "", "seconds": seconds}
    found = "it does not end" if endless else _finding(layer, output)
    return {"verdict": CAUGHT, "found": found, "seconds": seconds}


def _build(mutant: Mutant, right: bool, root: Path) -> None:
    command = build_command(mutant)
    code, output, _endless = _run(
        command, root, planted_environment(None if right else mutant), _BUILD_SECONDS
    )
    if code:
        line = (output.strip().splitlines() or ["nothing was said"])[-1]
        raise ToolError(f"{mutant.name}: the device cannot be built: {line}")


def try_mutants(
    mutants: Iterable[Mutant],
    results: Results,
    root: Path,
    *,
    layers: Sequence[Layer] = LAYERS,
    right: bool = False,
    jobs: int = 1,
    progress: Callable[[Mutant, Layer, dict[str, Any]], None] = lambda *_: None,
) -> None:
    """Ask every layer about every mutant that it has not been asked about, ``jobs`` mutants at a time.

    With ``right`` the fault is left out: then every layer must pass. Errors: :class:`ToolError` for a device
    that cannot be built, ``ParameterError`` for a mutant that does not fit the text any more.
    """

    stopped = Event()

    def one(mutant: Mutant) -> None:
        mutant.change.applied(right_text(mutant), mutant.path.name)
        wanted = [layer for layer in layers if results.get(mutant, layer) is None]
        if not wanted:
            return
        if any(layer.model for layer in wanted):
            _build(mutant, right, root)
        with tempfile.TemporaryDirectory(prefix="ringwalker-mutant-") as folder:
            for layer in wanted:
                result = _try(mutant, right, layer, root, Path(folder))
                if stopped.is_set():
                    return
                results.put(mutant, layer, result)
                progress(mutant, layer, result)

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(one, mutant) for mutant in mutants]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            stopped.set()
            for group in tuple(_running):
                with suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            raise
