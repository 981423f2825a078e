"""A small ext4 image to work on when none is given."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ringwalker.outputs import make_folder, writing

from ..toolchain import ToolError

__all__ = ["default_image", "find_program", "make_file_system"]

_SIZE = 16 << 20
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")


def find_program(name: str) -> str:
    """The path of a program of e2fsprogs, which often is not on a user's PATH. Errors: :class:`ToolError`."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_FOLDERS))
    found = shutil.which(name, path=path)
    if found is None:
        raise ToolError(f"{name} is not installed; install e2fsprogs (apt install e2fsprogs) or give --image")
    return found


def _content(folder: Path) -> Path:
    """The repository's docs in a checkout; else what the installed package says about itself."""
    docs = Path(__file__).parents[3] / "docs"
    if (docs / "architecture.md").is_file():
        return docs
    (folder / "README.md").write_text(_readme())
    return folder


def _readme() -> str:
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        return str(metadata("ringwalker").json.get("description", ""))
    except PackageNotFoundError:
        return "Ringwalker\n"


def make_file_system(path: Path, size: int, content: Path | None = None, label: str = "ringwalker") -> Path:
    """Make an ext4 file system of ``size`` bytes at ``path``, in place of what is there, with all that is in
    the folder ``content``.

    Errors: :class:`ToolError` when mke2fs is missing or fails; ``OutputError``.
    """
    program = find_program("mke2fs")
    make_folder(path.parent)
    with writing(path), tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        temporary = Path(file.name)
        try:
            file.truncate(size)
            command = [program, "-q", "-F", "-t", "ext4", "-L", label, "-E", "root_owner=0:0"]
            command += ["-d", str(content)] if content is not None else []
            done = subprocess.run([*command, file.name], capture_output=True, text=True, check=False)
            if done.returncode:
                reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
                raise ToolError(f"mke2fs failed: {reason[0]}")
            # Another run may still be using the old one; it keeps it.
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def default_image(path: Path, size: int = _SIZE) -> Path:
    """Make an ext4 image of ``size`` bytes at ``path``, in place of what is there.

    Errors: :class:`ToolError` when mke2fs is missing or fails; ``OutputError``.
    """
    with tempfile.TemporaryDirectory() as name:
        return make_file_system(path, size, _content(Path(name)))
