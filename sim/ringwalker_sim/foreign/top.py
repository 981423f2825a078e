"""What Verilator says of a design: its text without directives, and the ports of its top."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RingwalkerError
from ..toolchain import run_program, verilator_bin, verilator_environment

__all__ = ["DesignError", "Top", "TopPort", "read_top"]

_FLAGS = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "--no-timing")
_ERROR = re.compile(r"^%Error(?:-\w+)?: (.*)$", re.MULTILINE)
_RANGE = re.compile(r"(-?\d+):(-?\d+)")
_MODULE = re.compile(r"^\s*module\s+(\w+)", re.MULTILINE)


class DesignError(RingwalkerError):
    """Verilator does not take the design; the message is what it says first."""


@dataclass(frozen=True)
class TopPort:
    """A port of the top: ``direction`` is ``"input"``, ``"output"`` or ``"inout"``; ``width`` in bits."""

    name: str
    direction: str
    width: int


@dataclass(frozen=True)
class Top:
    """A design: the module that is its top, its ports by name, and all of its Verilog."""

    module: str
    ports: dict[str, TopPort]
    text: str

    @property
    def modules(self) -> set[str]:
        """The names of all its modules."""
        return set(_MODULE.findall(self.text))


def _verilator(arguments: Sequence[str], folder: Path) -> str:
    command = [str(verilator_bin() / "verilator_bin"), *arguments]
    try:
        done = run_program(command, folder, verilator_environment())
    except OSError as error:
        raise DesignError(f"Verilator: {error.strerror}") from None
    if done.returncode:
        said = _ERROR.search(done.stderr)
        raise DesignError(f"Verilator: {said[1] if said else f'exit code {done.returncode}'}")
    return done.stdout


def _preprocessed(files: Sequence[Path], include: Sequence[Path]) -> str:
    folders = [*include, *dict.fromkeys(file.absolute().parent for file in files)]
    arguments = ["-E", *_FLAGS, *(f"+incdir+{folder.absolute()}" for folder in folders)]
    # An error names a file as the person named it.
    return _verilator([*arguments, *map(str, files)], Path.cwd())


def _width(types: Mapping[str, Any], name: str, address: str) -> int:
    """Bits of a type. Errors: :class:`DesignError` for one that is no vector."""
    kind = types[address]
    if kind["type"] == "BASICDTYPE":
        span = _RANGE.fullmatch(kind.get("range", "0:0"))
        if span and kind.get("name") in ("logic", "bit", "reg", "integer", "int"):
            return abs(int(span[1]) - int(span[2])) + 1
    if kind["type"] in ("REFDTYPE", "ENUMDTYPE") and kind.get("refDTypep", kind.get("dtypep")) != address:
        return _width(types, name, kind.get("refDTypep", kind["dtypep"]))
    raise DesignError(f"port {name} is no plain vector; give the design a top with plain ports")


def _objects(tree: Any) -> Any:
    """All objects of a tree of JSON."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    for item in tree if isinstance(tree, list) else ():
        yield from _objects(item)


def _ports(tree: Any) -> dict[str, TopPort]:
    found = list(_objects(tree))
    types = {item["addr"]: item for item in found if item.get("type", "").endswith("DTYPE")}
    rows = [item for item in found if item.get("type") == "VAR" and item.get("isPrimaryIO")]
    return {
        row["verilogName" if "verilogName" in row else "name"]: TopPort(
            row["name"], row["direction"].lower(), _width(types, row["name"], row["dtypep"])
        )
        for row in rows
    }


def read_top(
    files: Sequence[str | Path],
    module: str | None = None,
    parameters: Mapping[str, int | str] | None = None,
    include: Sequence[str | Path] = (),
) -> Top:
    """The design in ``files``, whose top is ``module`` (None: named as the first file) with ``parameters``;
    files that it includes are looked for beside its own, and in ``include``. Errors: :class:`DesignError`.
    """
    paths = [Path(file) for file in files]
    for path in paths:
        if not path.is_file():
            raise DesignError(f"{path}: no such file")
    module = module or paths[0].stem
    text = _preprocessed(paths, [Path(folder) for folder in include])
    values = {
        name: f'"{value}"' if isinstance(value, str) else value for name, value in (parameters or {}).items()
    }
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name:
        folder = Path(name)
        (folder / "design.v").write_text(text)
        chosen = [f"-G{key}={value}" for key, value in values.items()]
        arguments = ["--json-only", *_FLAGS, "--top-module", module, "--prefix", "top", "--Mdir", "."]
        _verilator([*arguments, *chosen, "design.v"], folder)
        tree = json.loads((folder / "top.tree.json").read_text())
    return Top(module, _ports(tree), text)
