"""Generated Verilog in a form that every tool can take."""

import re
from importlib.resources import files

__all__ = ["KEYWORDS", "plain_name", "plain_names", "without_empty_wires"]

KEYWORDS = frozenset(files("ringwalker").joinpath("verilog_keywords.txt").read_text().split())
"""Words that are no names. Ref: IEEE 1800-2017, annex B, which has those of IEEE 1364-2005 too."""

_ESCAPED = re.compile(r"\\(\S+) ")
_EMPTY = re.compile(r"^  (?:wire|reg) \[-1:0\] [^;]*;\n", re.MULTILINE)
_PLAIN = re.compile(r"(?<![\\\w$])[A-Za-z_][\w$]*")


def plain_name(name: str) -> str:
    """What :func:`plain_names` makes of one name, keywords aside."""
    return re.sub(r"[^\w$]", "_", re.sub(r"^\$", "_", name).replace(".", "__"))


def plain_names(text: str) -> str:
    r"""The same Verilog without escaped identifiers, as yosys writes them (``\name`` and a space).

    - A dot becomes two underscores, so field ``op`` of ``i__payload`` is ``i__payload__op``, and module
      ``ringwalker.device.core`` is ``ringwalker__device__core``.
    - A name of the tool's making, which begins with ``$``, begins with ``_`` instead; Verilator leaves such
      names out of waves.
    - Escaped keywords stay.

    Errors: ``ValueError`` when two names would become one.
    """
    escaped = dict.fromkeys(_ESCAPED.findall(text))
    taken = set(_PLAIN.findall(_ESCAPED.sub(" ", text)))
    renamed: dict[str, str] = {}
    for name in escaped:
        plain = plain_name(name)
        if (plain == name and "$" not in name) or not re.match(r"[A-Za-z_]", plain):
            continue
        if plain in taken:
            raise ValueError(f"{name!r} would be called {plain}, which there is already")
        taken.add(plain)
        renamed[name] = plain
    return _ESCAPED.sub(lambda match: renamed.get(match[1], match[0]), text)


def without_empty_wires(text: str) -> str:
    """The same Verilog without declarations of wires of no bits (``[-1:0]``), which nothing refers to.

    To Verilog such a wire would have two bits.
    """
    return _EMPTY.sub("", text)
