"""The source files of a module and of all that it imports.

To find the imports in a file takes longer than to read it, so they are kept, by the content of the file.
"""

import ast
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from .toolchain import cache_dir, content_hash

__all__ = ["source_closure"]

_FILE = "imports.json"
_MOST = 3000
"""Of how many files the imports are kept; with more of them it begins anew."""

_Imports = dict[str, list[str]]


def _named(text: str, package: str) -> Iterator[str]:
    """The modules, or names in modules, that the source ``text`` of a module of ``package`` imports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (parent, node.module) if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _read(path: Path) -> _Imports:
    """The imports that are kept. A file that was cut has none."""
    try:
        kept = json.loads(path.read_text())
        return {str(key): [str(name) for name in names] for key, names in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _keep(path: Path, new: _Imports) -> None:
    kept = {**_read(path), **new}
    written = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        written.write_text(json.dumps(kept if len(kept) <= _MOST else new))
        written.replace(path)


class _Known:
    """The imports of sources: what is kept in the file at ``path``, and new ones."""

    def __init__(self, path: Path):
        self._path = path
        self._kept = _read(path)
        self._new: _Imports = {}

    def of(self, text: str, package: str) -> list[str]:
        """What the source ``text`` of a module of ``package`` imports, also inside functions."""
        key = content_hash([package, text])
        if key not in self._kept:
            self._kept[key] = self._new[key] = sorted(set(_named(text, package)))
        return self._kept[key]

    def keep(self) -> None:
        """Keep the new ones, beside what others have kept meanwhile."""
        if self._new:
            _keep(self._path, self._new)
            self._new = {}


@cache
def _known(path: Path) -> _Known:
    return _Known(path)


@cache
def _imports(name: str) -> tuple[Path | None, frozenset[str]]:
    """The source file of a module, and the modules that it names in imports, also inside functions."""
    module = sys.modules.get(name)
    try:
        spec = module.__spec__ if module else importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None, frozenset()
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None, frozenset()
    path = Path(spec.origin)
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    return path, frozenset(_known(cache_dir() / _FILE).of(path.read_text(), package))


def source_closure(module: str) -> list[Path]:
    """The source files of ``module`` and of all that it imports from its own and this project's packages."""
    roots = {"ringwalker", "ringwalker_sim", module.partition(".")[0]}
    pending, seen, paths = [module, "ringwalker.verilog"], set(), set()
    while pending:
        name = pending.pop()
        if name in seen or name.partition(".")[0] not in roots:
            continue
        seen.add(name)
        path, found = _imports(name)
        if path is not None:
            paths.add(path)
        pending.extend(found)
        # A package's own file runs before any of its modules.
        if "." in name:
            pending.append(name.rpartition(".")[0])
    _known(cache_dir() / _FILE).keep()
    return sorted(paths)
