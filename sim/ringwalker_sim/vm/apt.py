"""Unpacks Debian packages into a folder, from the archive in this machine's apt sources. Nothing is
installed.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..toolchain import ToolError

__all__ = ["PrivateApt", "debian_archive"]

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_RELEASES = ("bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable", "oldstable")
"""Origins of a Debian archive in apt's sources."""
_TIMEOUT_S = 900
_ARCHITECTURE = "amd64"


def _run(command: Sequence[str], what: str, environment: dict[str, str], folder: Path | None = None) -> str:
    """Standard output of ``command``. Errors: :class:`ToolError` with its last line of output."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            text=True,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"{what} took more than {_TIMEOUT_S} s; is there a network?") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("E:", "Err"))] or lines[-1:] or ["no message"]
        raise ToolError(f"{what} failed: {errors[0]}")
    return done.stdout


def debian_archive() -> str:
    """The address of the Debian archive in this machine's apt sources.

    Errors: :class:`ToolError` where there is no apt, another architecture, or no Debian among the sources.
    """
    for program in ("apt-get", "apt-cache", "dpkg", "dpkg-deb"):
        if shutil.which(program) is None:
            raise ToolError(
                f"{program} is not here: fetching needs Debian's package tools. Install QEMU 10.1 or newer "
                "yourself (--qemu) and name a kernel (--kernel)"
            )
    environment = {**os.environ, "LC_ALL": "C"}
    machine = _run(["dpkg", "--print-architecture"], "dpkg", environment).strip()
    if machine != _ARCHITECTURE:
        raise ToolError(f"this machine is {machine}; packages can be fetched for {_ARCHITECTURE} only")
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    command = ["apt-get", "indextargets", "--no-release-info", "--format", form, "Created-By: Packages"]
    for line in _run(command, "apt-get indextargets", environment).splitlines():
        address, release, component = line.split("|")
        if component == "main" and release in _RELEASES:
            return address
    raise ToolError(
        "apt's sources name no Debian archive (deb ... main); fetching needs one. Install QEMU 10.1 or newer "
        "yourself (--qemu) and name a kernel (--kernel)"
    )


class PrivateApt:
    """A private apt in ``folder`` with ``suites`` of ``archive`` and without installed packages.

    Settings of the machine, such as a proxy, apply. Errors: :class:`ToolError` from all methods.
    """

    def __init__(self, folder: Path, archive: str, suites: Sequence[str]):
        if not _KEYRING.exists():
            raise ToolError(f"{_KEYRING} is missing; install debian-archive-keyring")
        self.folder = folder
        for name in ("state/lists/partial", "cache/archives/partial", "etc/parts", "etc/preferences.d"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        lines = [f"deb [signed-by={_KEYRING}] {archive} {suite} main\n" for suite in suites]
        (folder / "etc/sources.list").write_text("".join(lines))
        settings = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": folder / "etc/sources.list",
            "Dir::Etc::sourceparts": folder / "etc/parts",
            "Dir::Etc::preferences": folder / "etc/preferences",
            "Dir::Etc::preferencesparts": folder / "etc/preferences.d",
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            "APT::Install-Recommends": "false",
            "Acquire::Retries": 2,
            "Acquire::http::Timeout": 30,
            "Acquire::https::Timeout": 30,
            "Debug::NoLocking": 1,
        }
        text = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        (folder / "apt.conf").write_text(text)
        self._environment = {**os.environ, "LC_ALL": "C", "APT_CONFIG": str(folder / "apt.conf")}

    def _apt(self, *arguments: str) -> str:
        what = " ".join(("apt-get", *arguments[:1]))
        return _run(["apt-get", "-qy", *arguments], what, self._environment, self.folder)

    def update(self) -> None:
        """Download the package lists."""
        self._apt("update")

    def dependency(self, package: str) -> str:
        """The first package that ``package`` depends on: the present version behind a meta-package."""
        text = _run(["apt-cache", "depends", package], "apt-cache depends", self._environment)
        for line in text.splitlines():
            if line.strip().startswith("Depends:"):
                return line.partition(":")[2].strip()
        raise ToolError(f"the package {package} depends on nothing, where a version was expected")

    def unpack(self, packages: Sequence[str], target: Path, *, whole: bool = False, suite: str = "") -> None:
        """Download ``packages``, with their dependencies if ``whole``, and unpack them into ``target``."""
        archives = self.folder / "cache/archives"
        if whole:
            chosen = ("-t", suite) if suite else ()
            self._apt("install", "--download-only", *chosen, *packages)
        else:
            archives = self.folder / "single"
            archives.mkdir(exist_ok=True)
            _run(["apt-get", "-q", "download", *packages], "apt-get download", self._environment, archives)
        target.mkdir(parents=True, exist_ok=True)
        for package in sorted(archives.glob("*.deb")):
            _run(
                ["dpkg-deb", "-x", str(package), str(target)], f"unpacking {package.name}", self._environment
            )
            package.unlink()
