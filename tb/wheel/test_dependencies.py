"""Commands and library need nothing but the dependencies of the package: what extras bring is loaded late."""

import importlib.metadata
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOAD = """
import contextlib, io, sys
sys.modules.update(dict.fromkeys({blocked!r}))
import ringwalker_sim as rw
with rw.open("blk", engine="model") as disk:
    assert disk.read(0) == bytes(512)
from ringwalker_sim.cli.main import COMMANDS, main
for command in COMMANDS:
    name = command.__name__.rpartition(".")[2].replace("_", "-")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([name, "--help"])
"""


def closure(requirements: Iterable[str]) -> set[str]:
    """The names of all that is installed for requirements."""
    left = [Requirement(text) for text in requirements]
    done: set[tuple[str, str]] = set()
    while left:
        item = left.pop()
        for extra in ("", *item.extras):
            key = (canonicalize_name(item.name), extra)
            if key not in done:
                done.add(key)
                more = [Requirement(text) for text in importlib.metadata.requires(item.name) or ()]
                left += [one for one in more if one.marker is None or one.marker.evaluate({"extra": extra})]
    return {name for name, _extra in done}


def test_nothing_of_an_extra_is_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = closure(project["dependencies"]) | {"ringwalker", "pip", "setuptools"}
    blocked = sorted(
        module
        for module, names in importlib.metadata.packages_distributions().items()
        if not {canonicalize_name(name) for name in names} & needed and module.isidentifier()
    )
    assert {"hypothesis", "matplotlib", "nbclient"} <= set(blocked)
    command = [sys.executable, "-c", LOAD.format(blocked=blocked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
