"""What a statement of generated C++ reads and writes. Whatever is not known here is refused."""

import re
from dataclasses import dataclass, field

__all__ = ["NotUnderstood", "Statement", "parse_statements"]


class NotUnderstood(Exception):
    """The generated code has something that is not known; the message says what."""


@dataclass(slots=True)
class Statement:
    """A statement of the clocked code.

    Variables of the model have their plain names, variables of a function the names of ``text``.
    """

    text: str
    reads: set[str] = field(default_factory=set)
    """All variables that it may read."""
    exposed: set[str] = field(default_factory=set)
    """Those of ``reads`` that it may read before it has written them."""
    writes: set[str] = field(default_factory=set)
    """All variables that it may write."""
    whole: set[str] = field(default_factory=set)
    """Those of ``writes`` of which nothing is left of what they were, whatever the conditions."""
    stores: list[tuple[int, str]] = field(default_factory=list)
    """Where in ``text`` an element of an array has just been written, and of which."""
    weight: int = 1
    """About how many instructions it is."""
    target: str | None = None
    """What it writes whole and always, if it is nothing but one assignment."""


_TOKEN = re.compile(
    r"\s+|/\*.*?\*/|//[^\n]*"
    r"|(?P<name>vlSelfRef\.\w+|[A-Za-z_]\w*)"
    r"|(?P<number>0x[0-9a-fA-F]+\w*|\d+\w*)"
    r"|(?P<sign><<=|>>=|==|!=|<=|>=|<<|>>|&&|\|\||\+\+|--|->|::|[-+*/%&|^]=|[-+*/%&|^~!<>=?:;,(){}\[\].])",
    re.DOTALL,
)
_MEMBER = "vlSelfRef."
_CASTS = frozenset(("CData", "SData", "IData", "QData"))
_TYPE = re.compile(r"(?:CData|SData|IData|QData|VlWide)$")
_CONSTANT = re.compile(r"V\w+__ConstPool__\w+$")
_BY_VALUE = re.compile(r"VL_[A-Z0-9]+_[IQ][IQW]*$|VL_REDXOR_\d+$|VL_(?:UN)?LIKELY$")
"""Functions that only give a value."""
_OUTPUT = re.compile(
    r"VL_(?:(?P<first>ASSIGN_W|ADD_W|SUB_W|AND_W|OR_W|XOR_W|NOT_W|ZERO_W|MUL_W)"
    r"|(?P<second>EXTENDS?_W[WIQ])|(?P<third>SHIFT[LR]S?_WW[IQW]))$"
)
"""Functions that write all of a wide variable, which is their argument 1, 2 or 3, from 0 on."""
_REFUSED = frozenset(("=", "++", "--", "{", "}", ".", "->", "::", ";"))
_OPERATORS = frozenset("+-*&|^~!<>?") | {"==", "!=", "<=", ">=", "<<", ">>", "&&", "||"}


class _Parser:
    """One pass over the tokens of a function's body."""

    def __init__(self, text: str, own: frozenset[str], arrays: frozenset[str]):
        self._text = text
        self._own = set(own)
        self._arrays = arrays
        self._tokens: list[tuple[str, int, int]] = []
        position = 0
        for match in _TOKEN.finditer(text):
            begin, end = match.span()
            if begin != position:
                break
            position = end
            if match.lastgroup is not None:
                self._tokens.append((match[0], begin, end))
        if position != len(text):
            raise NotUnderstood(f"the text {text[position : position + 40]!r}")
        self._at = 0
        self._now = Statement("")

    def statements(self) -> list[Statement]:
        """All of them, in order."""
        found = []
        while self._at < len(self._tokens):
            start, first = self._tokens[self._at][1], self._peek()
            self._now = Statement("")
            covered: set[str] = set()
            self._statement(covered)
            self._now.whole = covered
            if first.startswith(_MEMBER):
                self._now.target = next(iter(covered), None)
            self._now.text = self._text[start : self._tokens[self._at - 1][2]]
            self._now.stores = [(at - start, name) for at, name in self._now.stores]
            found.append(self._now)
        return found

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][0]

    def _expect(self, wanted: str) -> None:
        if self._peek() != wanted:
            self._refuse(f"{self._peek()!r} where {wanted!r} is due")
        self._at += 1

    def _refuse(self, what: str) -> None:
        start = self._tokens[min(self._at, len(self._tokens) - 1)][1]
        near = " ".join(self._text[max(0, start - 60) : start + 40].split())
        raise NotUnderstood(f"{what}, in '{near}'")

    # --- statements ----------------------------------------------------------------------------------------

    def _statement(self, covered: set[str]) -> None:
        """One statement. ``covered`` are the variables written whole before it, and then with it."""
        token = self._peek()
        if token == "if":
            self._if(covered)
        elif token == "{":
            self._block(covered)
        elif _TYPE.match(token):
            self._declaration()
        elif token.startswith("VL_"):
            self._call(covered)
        else:
            self._assignment(covered)

    def _block(self, covered: set[str]) -> None:
        self._expect("{")
        while self._peek() != "}":
            self._statement(covered)
        self._expect("}")

    def _if(self, covered: set[str]) -> None:
        self._expect("if")
        self._expect("(")
        self._expression(covered, ")")
        self._expect(")")
        self._now.weight += 1
        one, other = set(covered), set(covered)
        self._statement(one)
        if self._peek() == "else":
            self._at += 1
            self._statement(other)
        covered |= one & other

    def _declaration(self) -> None:
        """A variable of a block; nobody outside of the statement sees it."""
        if self._next() == "VlWide":
            self._expect("<")
            self._at += 1
            self._expect(">")
        self._own.add(self._next())
        self._expect(";")

    def _call(self, covered: set[str]) -> None:
        name = self._next()
        match = _OUTPUT.match(name)
        if match is None:
            self._refuse(f"the function {name}")
        assert match is not None
        assert match.lastgroup is not None
        self._expect("(")
        position = ("first", "second", "third").index(match.lastgroup) + 1
        for _ in range(position):
            self._expression(covered, ",")
            self._expect(",")
        target = self._variable(self._next())
        if self._peek() == "[":
            self._refuse(f"{name} into an element")
        while self._peek() == ",":
            self._at += 1
            self._expression(covered, ",)")
        self._expect(")")
        self._expect(";")
        self._wrote(target, True, covered)

    def _assignment(self, covered: set[str]) -> None:
        target = self._variable(self._next())
        whole = self._peek() != "["
        while self._peek() == "[":
            self._at += 1
            self._expression(covered, "]")
            self._expect("]")
        self._expect("=")
        self._expression(covered, ";")
        self._expect(";")
        self._wrote(target, whole, covered)

    def _wrote(self, name: str, whole: bool, covered: set[str]) -> None:
        self._now.writes.add(name)
        self._now.weight += 1
        if whole:
            covered.add(name)
        if name in self._arrays:
            self._now.stores.append((self._tokens[self._at - 1][2], name))

    # --- expressions ---------------------------------------------------------------------------------------

    def _variable(self, token: str) -> str:
        if token.startswith(_MEMBER):
            return token[len(_MEMBER) :]
        if token not in self._own:
            self._refuse(f"the name {token}")
        return token

    def _expression(self, covered: set[str], ends: str) -> None:
        """Up to one of ``ends`` outside of all brackets, which is left."""
        depth = 0
        now = self._now
        while True:
            token = self._peek()
            if depth == 0 and token and token in ends:
                return
            self._at += 1
            if token in "([" and token:
                depth += 1
            elif token in ")]" and token:
                depth -= 1
                if depth < 0:
                    self._refuse(f"{token!r}")
            elif token in _OPERATORS:
                now.weight += 1
            elif not token or token in _REFUSED or (token.endswith("=") and len(token) > 1):
                self._refuse(f"{token!r} inside an expression")
            elif token[0].isalpha() or token[0] == "_":
                if token in _CASTS or _CONSTANT.match(token):
                    continue
                if token.startswith("VL_"):
                    if not _BY_VALUE.match(token):
                        self._refuse(f"the function {token} inside an expression")
                    now.weight += 1
                    continue
                name = self._variable(token)
                now.reads.add(name)
                if name not in covered:
                    now.exposed.add(name)


def parse_statements(text: str, own: frozenset[str], arrays: frozenset[str]) -> list[Statement]:
    """The statements of a function's body.

    ``own`` are the names of its variables, ``arrays`` those variables of the model that are arrays. Errors:
    :class:`NotUnderstood`.
    """
    return _Parser(text, own, arrays).statements()
