"""Items of streams in few words, as they stand in a box of a timing diagram."""

from collections.abc import Callable

from ringwalker.spec.tlp import RequestKind

from ...testing.inprocess import Item

__all__ = ["access", "address", "bytes_of", "dma", "field", "length", "queue", "request"]

_KINDS = {RequestKind.MEMORY_READ: "MRd", RequestKind.MEMORY_WRITE: "MWr"}
_SHORT = {kind.value: short for kind, short in _KINDS.items()}


def field(name: str, words: str = "{}") -> Callable[[Item], str]:
    """The field ``name``."""
    return lambda item: words.format(item[name])


def queue(item: Item) -> str:
    """The queue of an item."""
    return f"queue {item['queue']}"


def dma(item: Item) -> str:
    """A read of guest memory: address and length."""
    return f"{item['length']} B @{item['address']:x}"


def length(item: Item) -> str:
    """A read of guest memory: how many bytes."""
    return f"{item['length']} B"


def address(item: Item) -> str:
    """A request TLP: kind and address; the beats after the first have none of their own."""
    if not item["first"]:
        return "…"
    return f"{_SHORT[item['header_kind']]} @{item['header_address']:x}"


def request(item: Item) -> str:
    """A request TLP: kind and tag."""
    return f"{_SHORT[item['header_kind']]} tag {item['header_tag']}"


def bytes_of(item: Item) -> str:
    """A beat of bytes: how many there are."""
    return f"{item['count']} B"


def access(item: Item) -> str:
    """An access to a register: offset, and what is written."""
    return f"{item['offset']:x} ← {item['data']:x}" if item["write"] else f"{item['offset']:x}?"
