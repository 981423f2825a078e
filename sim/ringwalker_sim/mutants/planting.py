"""A mutant is planted: every Python process of a command imports the changed module in place of the right
one.

What is built of it is kept apart: the cache of such a process is a folder of its own, and every name in it
comes from the changed text as well.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from ringwalker.outputs import make_folder, write_file

from ..toolchain import cache_dir, content_hash
from .mutant import Mutant

__all__ = ["MUTANTS_CACHE", "PLANTED", "planted_environment", "right_text"]

PLANTED = "RINGWALKER_PLANTED"
"""Variable of the environment: the name of a module, ``=``, and the file that takes its place."""

MUTANTS_CACHE = "mutants"
"""The folder in the cache for all that comes of mutants."""

_SITE = Path(__file__).parent / "site"


def right_text(mutant: Mutant) -> str:
    """The source of the module of ``mutant`` as it is."""
    return mutant.path.read_text()


def planted_environment(mutant: Mutant | None, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a command that works on ``mutant``; on the right hardware if it is None.

    Its cache is ``mutants`` in the present one. Errors: ``ParameterError`` for a mutant that does not fit
    the text any more; ``OutputError`` where its file cannot be written.
    """
    cache = cache_dir() / MUTANTS_CACHE
    environment = {**given, "RINGWALKER_CACHE": str(cache)}
    environment.setdefault("RINGWALKER_MODEL", "quick")
    # Objects that a mutant shares with the right model are compiled once.
    environment.setdefault("CCACHE_DIR", str(cache_dir() / "ccache"))
    if mutant is None:
        return environment
    text = mutant.change.applied(right_text(mutant), mutant.path.name)
    # Its folder is named by its content, so nothing that was compiled of another is taken for it.
    file = make_folder(cache / "sources" / content_hash([text])) / mutant.path.name
    if not file.exists():
        write_file(file, text)
    environment["PYTHONPATH"] = os.pathsep.join([str(_SITE), *filter(None, [given.get("PYTHONPATH")])])
    environment[PLANTED] = f"ringwalker.{mutant.module}={file}"
    return environment
