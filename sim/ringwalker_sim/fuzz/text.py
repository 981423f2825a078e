"""Operations as lines of text."""

from collections.abc import Callable

from ringwalker.spec.packed import DESC_F_AVAIL, DESC_F_USED
from ringwalker.spec.ring import DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE
from ringwalker.spec.tlp import RequestKind

from ..host import Fault
from . import operations as make
from .operations import UNLESS_BROKEN, Kind, Operation, Recovery
from .spaces import Space, place_of, place_text

__all__ = ["operation_text", "parse_operation"]

_FLAGS = {
    "NEXT": DESC_F_NEXT,
    "WRITE": DESC_F_WRITE,
    "INDIRECT": DESC_F_INDIRECT,
    "AVAIL": DESC_F_AVAIL,
    "USED": DESC_F_USED,
}
_SHAPE = (("traffic", 19, 3), ("attributes", 22, 3), ("poisoned", 25, 1))


def _flags_text(flags: int) -> str:
    names = [name for name, bit in _FLAGS.items() if flags & bit]
    rest = flags & ~sum(_FLAGS.values())
    return "|".join([*names, *([f"{rest:#x}"] if rest or not names else [])])


def _flags(text: str) -> int:
    value = 0
    for part in text.split("|"):
        value |= _FLAGS[part] if part in _FLAGS else int(part, 0)
    return value


def _descriptor_text(o: Operation) -> str:
    high = o.extra >> 32
    flags, other = (high & 0xFFFF, high >> 16) if o.kind is Kind.DESCRIPTOR else (high >> 16, high & 0xFFFF)
    name = o.kind.name.lower()
    return f"{name} {o.address:#x} {o.value:#x} {o.extra & 0xFFFF_FFFF} {_flags_text(flags)} {other}"


def _tlp_text(o: Operation) -> str:
    place = place_text(Space(o.space), o.address)
    first, last = o.number >> 11 & 15, o.number >> 15 & 15
    words = [f"tlp {RequestKind(o.size).name} {place} length {o.number & 0x7FF} enables {first:#x} {last:#x}"]
    words += [
        f"{name} {o.number >> at & (1 << width) - 1}"
        for name, at, width in _SHAPE
        if o.number >> at & (1 << width) - 1
    ]
    words += [f"value {o.value:#x}"] if o.value else []
    words += [f"target {o.extra:#x}"] if o.extra else []
    return " ".join(words)


def _expect_text(o: Operation, what: str) -> str:
    full = (1 << 8 * o.size) - 1
    mask = f" mask {o.extra:#x}" if o.extra != full else ""
    unless = " unless broken" if o.space & UNLESS_BROKEN else ""
    return f"expect {what} {o.size} {o.value:#x}{mask} within {o.number}{unless}"


def _reset_text(o: Operation) -> str:
    kind = Recovery(o.size)
    space = f" {Space(o.space).name.lower()}" if kind is Recovery.STATUS else ""
    return f"reset {kind.name.lower()}{space} within {o.number}"


_TEXTS: dict[Kind, Callable[[Operation], str]] = {
    Kind.WRITE: lambda o: f"write {place_text(Space(o.space), o.address)} {o.size} {o.value:#x}",
    Kind.READ: lambda o: f"read {place_text(Space(o.space), o.address)} {o.size}",
    Kind.TLP: _tlp_text,
    Kind.MEMORY: lambda o: f"memory {o.address:#x} {o.size} {o.value | o.extra << 64:#x}",
    Kind.DESCRIPTOR: _descriptor_text,
    Kind.PACKED: _descriptor_text,
    Kind.FILL: lambda o: f"fill {o.address:#x} {o.number} {o.value:#x}",
    Kind.NOTIFY: lambda o: f"notify {o.number}" + (f" {o.value:#x}" if o.value != o.number else ""),
    Kind.WAIT: lambda o: f"wait {o.number}",
    Kind.SETTLE: lambda o: f"settle {o.number}",
    Kind.FAULT: lambda o: f"fault {Fault(o.size).name} {o.number}" + (f" {o.value}" if o.value else ""),
    Kind.RESET: _reset_text,
    Kind.EXPECT_MEMORY: lambda o: _expect_text(o, f"memory {o.address:#x}"),
    Kind.EXPECT_REGISTER: lambda o: _expect_text(
        o, f"register {place_text(Space(o.space & ~UNLESS_BROKEN), o.address)}"
    ),
}


def operation_text(operation: Operation) -> str:
    """The line of an operation."""
    return _TEXTS[operation.kind](operation)


class _Words:
    """The words of a line, taken from the left."""

    def __init__(self, line: str):
        self.words = line.split()

    def word(self) -> str:
        return self.words.pop(0)

    def number(self) -> int:
        return int(self.word(), 0)

    def next_is(self, word: str) -> bool:
        """Take ``word`` if it comes next."""
        found = bool(self.words) and self.words[0] == word
        if found:
            self.words.pop(0)
        return found

    def named(self, name: str, default: int) -> int:
        """The number behind ``name`` if that comes next."""
        return self.number() if self.next_is(name) else default

    def optional(self, default: int) -> int:
        return self.number() if self.words else default


def _parse_memory(w: _Words) -> Operation:
    address, size, value = w.number(), w.number(), w.number()
    return make.memory(address, value.to_bytes(size, "little"))


def _parse_tlp(w: _Words) -> Operation:
    kind = RequestKind[w.word()]
    space, offset = place_of(w.word())
    length = w.named("length", 1)
    w.next_is("enables")
    first, last = w.number(), w.number()
    rest = [w.named(name, 0) for name, _at, _width in _SHAPE]
    shape = make.tlp_shape(length, first, last, *rest)
    value = w.named("value", 0)
    return make.tlp(kind.value, space, offset, shape, value, w.named("target", 0))


def _parse_reset(w: _Words) -> Operation:
    kind = Recovery[w.word().upper()]
    space = Space[w.word().upper()] if kind is Recovery.STATUS else Space.CONFIG
    return make.reset(kind, w.named("within", 0), space)


def _parse_expect(w: _Words) -> Operation:
    register = w.word() == "register"
    space, offset = place_of(w.word()) if register else (Space.CONFIG, w.number())
    size, value = w.number(), w.number()
    mask = w.named("mask", (1 << 8 * size) - 1)
    cycles = w.named("within", 0)
    unless = w.next_is("unless") and w.next_is("broken")
    if register:
        return make.expect_register(space, offset, size, value, cycles, mask, unless)
    return make.expect_memory(offset, size, value, cycles, mask, unless)


def _parse_notify(w: _Words) -> Operation:
    queue = w.number()
    return make.notify(queue, w.optional(queue))


_PARSERS: dict[str, Callable[[_Words], Operation]] = {
    "write": lambda w: make.write(*place_of(w.word()), w.number(), w.number()),
    "read": lambda w: make.read(*place_of(w.word()), w.number()),
    "tlp": _parse_tlp,
    "memory": _parse_memory,
    "descriptor": lambda w: make.descriptor(w.number(), w.number(), w.number(), _flags(w.word()), w.number()),
    "packed": lambda w: make.packed(w.number(), w.number(), w.number(), _flags(w.word()), w.number()),
    "fill": lambda w: make.fill(w.number(), w.number(), w.number()),
    "notify": _parse_notify,
    "wait": lambda w: make.wait(w.number()),
    "settle": lambda w: make.settle(w.number()),
    "fault": lambda w: make.fault(Fault[w.word()], w.number(), w.optional(0)),
    "reset": _parse_reset,
    "expect": _parse_expect,
}


def parse_operation(line: str) -> Operation:
    """The operation of a line. Errors: ``ValueError`` that names the line."""
    words = _Words(line)
    try:
        operation = _PARSERS[words.word()](words)
    except (KeyError, IndexError, ValueError, OverflowError) as error:
        raise ValueError(f"{line!r} is no operation: {error}") from None
    if words.words:
        raise ValueError(f"{line!r} goes on behind its end: {' '.join(words.words)}")
    return operation
