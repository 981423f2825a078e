"""What a mutant is, and the devices in which it is looked for."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig, Identity, PciOptions

from .change import Change

__all__ = ["BLOCKS", "DEVICES", "Mutant", "planted"]

_OASIS = Identity(preset="oasis")


def _device(function: str, **options: Any) -> DeviceConfig:
    queues: dict[str, Any] = {"queues": 2} if function == "blk" else {}
    return DeviceConfig(function=function, data_width=64, queue_size=16, identity=_OASIS, **queues, **options)


DEVICES: dict[str, DeviceConfig] = {
    "split": _device("blk"),
    "packed": _device("blk", ring="packed"),
    "legacy": _device("blk", face="legacy"),
    "net": _device("net"),
    "console": _device("console"),
    "rng": _device("rng"),
    "msi": _device("rng", pci=PciOptions(msi=2, tags=10, aer=True)),
}
"""One narrow device a mutant, for all that simulates a whole one, by a short name."""

BLOCKS: dict[str, tuple[str, ...]] = {
    "queue/split": ("queue.split",),
    "queue/packed": ("queue.packed",),
    "queue/chain": ("queue.chain",),
    "queue": ("queue", "buffers", "merge"),
    "dma": ("dma",),
    "transport": ("transport",),
    "pci": ("pci",),
    "tlp": ("tlp",),
    "function/blk": ("function.blk",),
    "function/net": ("function.net",),
    "function/console": ("function.console",),
    "function/entropy": ("function.entropy",),
    "function": ("function",),
}
"""The blocks of the table, each with the beginnings of names of its modules; the first that fits counts."""


@dataclass(frozen=True)
class Mutant:
    """A fault in ``module`` of ``ringwalker``: ``change`` is made in its text.

    ``device``: the one of :data:`DEVICES` in which it is looked for. ``benches``: files of tests of the
    module, from the root of the checkout.
    """

    name: str
    module: str
    change: Change
    device: str
    benches: tuple[str, ...] = field(default=())

    @property
    def path(self) -> Path:
        """The source of the module as it is."""
        spec = importlib.util.find_spec(f"ringwalker.{self.module}")
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin)

    @property
    def block(self) -> str:
        """The block that the module belongs to."""
        return next(
            block
            for block, starts in BLOCKS.items()
            if any(self.module == start or self.module.startswith(f"{start}.") for start in starts)
        )

    def with_benches(self, root: Path) -> tuple[str, ...]:
        """Its test files: those that are named, or those that mirror the module and begin with its name."""
        *folders, name = self.module.split(".")
        folder = Path("tb", *folders)
        found = (root / folder).glob(f"test_{name}*.py")
        mirrored = sorted(
            path.name for path in found if path.stem == f"test_{name}" or f"_{name}_" in path.stem
        )
        return self.benches or tuple(str(folder / file) for file in mirrored)


def planted(
    module: str, device: str = "split", benches: Sequence[str] = (), **changes: Change
) -> tuple[Mutant, ...]:
    """The mutants of one module, each with the name of its argument."""
    return tuple(Mutant(name, module, change, device, tuple(benches)) for name, change in changes.items())
