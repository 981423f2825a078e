"""Python runs this before all else, in every process whose PYTHONPATH has this folder: it plants a mutant.

``RINGWALKER_PLANTED`` is the name of a module and the file that is imported in its place. It has no import
of this project, so nothing of the project is there before.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

VARIABLE = "RINGWALKER_PLANTED"


class Planted(importlib.abc.MetaPathFinder):
    """Finds one module in another file; its ``__file__`` and its spec are of that file, so who reads the
    source of the module, as caches do, reads what runs."""

    def __init__(self, name: str, path: str):
        self.name = name
        self.path = path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See :class:`importlib.abc.MetaPathFinder`."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path)


if VARIABLE in os.environ:
    _name, _, _path = os.environ[VARIABLE].partition("=")
    sys.meta_path.insert(0, Planted(_name, _path))
