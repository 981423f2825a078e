"""A case: what is done to a device that has been set up, with a text form."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .operations import Operation, Recovery
from .text import operation_text, parse_operation

__all__ = ["Case"]


@dataclass(frozen=True)
class Case:
    """Operations on a device that a set-up has made ready, and the reset behind them.

    ``device`` is a key of :data:`.target.DEVICES`, such as ``blk:split:modern``; ``setup`` one of the
    set-ups of its :class:`~.target.Target`.
    """

    device: str
    setup: str
    operations: tuple[Operation, ...]
    recovery: Recovery = Recovery.STATUS

    def text(self) -> str:
        """Lines that :meth:`parse` reads."""
        head = [f"device {self.device}", f"setup {self.setup}", f"recovery {self.recovery.name.lower()}"]
        return "\n".join([*head, *map(operation_text, self.operations), ""])

    @classmethod
    def parse(cls, text: str) -> "Case":
        """The case of lines; what is empty or behind ``#`` does not count. Errors: ``ValueError``."""
        lines = [line for row in text.splitlines() if (line := row.partition("#")[0].strip())]
        head = dict(line.split() for line in lines[:3])
        if set(head) != {"device", "setup", "recovery"}:
            raise ValueError("a case begins with lines of device, setup and recovery")
        operations = tuple(parse_operation(line) for line in lines[3:])
        return cls(head["device"], head["setup"], operations, Recovery[head["recovery"].upper()])

    def with_operations(self, operations: Iterable[Operation]) -> "Case":
        """The same case with others."""
        return replace(self, operations=tuple(operations))
