"""What a property is, and how a faulty block is made of a right one."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..mutants.change import Change
from .bench import Bench

__all__ = ["Property", "block_class", "statement"]


@dataclass(frozen=True)
class Property:
    """Something that always holds of a block.

    ``module`` and ``block``: the module of ``ringwalker`` and the class in it. ``where``: the parameters for
    which it is proved. ``depth``: cycles. With ``inductive`` it holds in the first ``depth`` cycles, and
    after any ``depth`` cycles in which it held; else it was looked at for ``depth`` cycles. ``build`` puts
    the block into a bench and says what is to be proved. ``mutant``: a fault with which it does not hold, as
    is seen within ``depth`` cycles, or ``mutant_depth``. ``reduced``: constants that are smaller in the
    proof.
    """

    name: str
    module: str
    block: str
    says: str
    where: str
    depth: int
    build: Callable[[Bench, Any], None]
    mutant: Change
    inductive: bool = True
    mutant_depth: int = 0
    reduced: tuple[Change, ...] = ()

    @property
    def method(self) -> str:
        """How it is proved, in a few words."""
        return f"induction, {self.depth}" if self.inductive else f"first {self.depth} cycles"

    def rtlil(self, faulty: bool = False) -> str:
        """The bench as RTLIL, with the block as it is or with its fault."""
        bench = Bench()
        changes = (*self.reduced, *((self.mutant,) if faulty else ()))
        self.build(bench, block_class(self.module, self.block, changes))
        return bench.rtlil()


def block_class(module: str, block: str, changes: tuple[Change, ...] = ()) -> Any:
    """A class of ``ringwalker``; with ``changes``, that of the changed module, which nobody else sees."""
    right = importlib.import_module(f"ringwalker.{module}")
    if not changes:
        return getattr(right, block)
    path = Path(str(right.__file__))
    text = path.read_text()
    for change in changes:
        text = change.applied(text, path.name)
    changed = ModuleType(right.__name__)
    changed.__package__, changed.__file__ = right.__package__, right.__file__
    exec(compile(text, str(path), "exec"), vars(changed))
    return getattr(changed, block)


def statement(
    module: str, block: str, where: str, depth: int, mutant: Change, **options: Any
) -> Callable[[Callable[[Bench, Any], None]], Property]:
    """Makes a :class:`Property` of a function: its name is the function's, its sentence the docstring."""

    def make(build: Callable[[Bench, Any], None]) -> Property:
        says = " ".join((build.__doc__ or "").split())
        return Property(build.__name__, module, block, says, where, depth, build, mutant, **options)

    return make
