"""Finds a QEMU of a version that is new enough."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..toolchain import ToolError
from .fetch import fetched_qemu

__all__ = ["VFIO_USER_MINIMUM", "Qemu", "find_qemu"]

VFIO_USER_MINIMUM = (10, 1)
"""The first version with the device ``vfio-user-pci``."""

_PROGRAM = "qemu-system-x86_64"
_VARIABLE = "RINGWALKER_QEMU"
_FIX = f"give one with --qemu or {_VARIABLE}, or let --fetch bring one into the cache"


@dataclass(frozen=True)
class Qemu:
    """A QEMU: ``command`` starts it, with ``environment`` added to the variables. ``origin`` says where it
    was found.
    """

    command: tuple[str, ...]
    version: tuple[int, ...]
    origin: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The version as text, such as ``11.1.3``."""
        return ".".join(str(number) for number in self.version)

    def variables(self) -> dict[str, str]:
        """The environment variables to start it with."""
        return {**os.environ, **self.environment}


def _version(command: tuple[str, ...], environment: Mapping[str, str], origin: str) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [*command, "--version"],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "it did not print its version in 30 s"
        raise ToolError(f"{origin}: {command[0]} cannot be used: {reason}; {_FIX}") from None
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", done.stdout)
    if done.returncode or not found:
        text = (done.stderr or done.stdout).strip().partition("\n")[0] or "no output"
        raise ToolError(f"{origin}: {command[0]} prints no QEMU version: {text[:200]}; {_FIX}")
    return tuple(int(number) for number in found.groups())


def _candidate(explicit: str | Path | None) -> tuple[tuple[str, ...], Mapping[str, str], str] | None:
    """Command, environment and origin of the first QEMU found."""
    if explicit is not None:
        return (str(explicit),), {}, "--qemu"
    if os.environ.get(_VARIABLE):
        return (os.environ[_VARIABLE],), {}, _VARIABLE
    fetched = fetched_qemu()
    if fetched is not None:
        return *fetched, "the cache"
    on_path = shutil.which(_PROGRAM)
    return None if on_path is None else ((on_path,), {}, "PATH")


def find_qemu(explicit: str | Path | None = None, minimum: tuple[int, ...] = VFIO_USER_MINIMUM) -> Qemu:
    """The QEMU named by ``explicit``, else by RINGWALKER_QEMU, else the one in the cache, else that on PATH.

    Errors: :class:`ToolError` when there is none, it does not run, or it is older than ``minimum``.
    """
    chosen = _candidate(explicit)
    if chosen is None:
        raise ToolError(f"there is no QEMU ({_PROGRAM}); {_FIX}")
    command, environment, origin = chosen
    version = _version(command, environment, origin)
    if version < minimum:
        wanted, found = (".".join(map(str, item)) for item in (minimum, version))
        raise ToolError(
            f"QEMU {found} ({command[0]}, from {origin}) is too old: {wanted} or newer is needed, "
            f"since vfio-user came with 10.1; {_FIX}"
        )
    return Qemu(command, version, origin, environment)
