"""The differences between this project's block device and QEMU's, their reasons, and a check of the list.

``python -m ringwalker_sim.vm.comparison docs/qemu-comparison.md`` writes the page.
"""

import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig
from ringwalker.outputs import write_file

from ..disk_image import DiskImage
from ..engine.engines import open_engine
from ..memory import GuestMemory
from .cases import Case
from .differences import DIFFERENCES, WORDS, Difference
from .machine import OwnDisk
from .observation import disk_content, observe
from .qemu import Qemu
from .qtest import qtest_machine
from .session import LINUX_CONFIG

__all__ = ["Comparison", "compare", "document", "judge"]


@dataclass
class Comparison:
    """The result of a comparison: the number of observations that agree, and two lists.

    ``unexplained``: differences that are not in :data:`~.differences.DIFFERENCES`. ``missing``: entries of it
    that did not show.
    """

    agreeing: int
    unexplained: list[str]
    missing: list[str]


def judge(
    theirs: Mapping[str, Any],
    ours: Mapping[str, Any],
    words: frozenset[str],
    differences: Iterable[Difference] = DIFFERENCES,
) -> Comparison:
    """Compare two tables of :func:`~.observation.observe` QEMU's and ours, of a case with these ``words``."""
    expected = [
        (pattern, values)
        for item in differences
        if words.issuperset(item.only)
        for pattern, values in item.values.items()
    ]
    unused = {pattern for pattern, _values in expected}
    agreeing, unexplained = 0, []
    for key in {**theirs, **ours}:
        pair = str(theirs.get(key, "nothing")), str(ours.get(key, "nothing"))
        if pair[0] == pair[1]:
            agreeing += 1
            continue
        matching = [pattern for pattern, values in expected if fnmatchcase(key, pattern) and values == pair]
        unused -= set(matching)
        if not matching:
            unexplained.append(f"{key}: QEMU {pair[0]}, here {pair[1]}")
    return Comparison(agreeing, unexplained, sorted(unused))


def compare(qemu: Qemu, case: Case, config: DeviceConfig = LINUX_CONFIG) -> Comparison:
    """Drive QEMU's virtio-blk-pci and this project's device of ``config`` with the same requests, as ``case``
    says.

    All observations are compared. The final contents of the two disks are compared too.
    Errors: those of the engines and of QEMU.
    """
    with tempfile.TemporaryDirectory(prefix="ringwalker-") as name:
        paths = [Path(name) / item for item in ("theirs.img", "ours.img")]
        for path in paths:
            disk_content().tofile(path)
        rings = ["in_order"]
        if config.ring != "split":
            rings.append("packed")
        own = OwnDisk(
            paths[0], queues=config.queues, queue_size=config.queue_size, face=config.face, options=rings
        )
        with qtest_machine(qemu, [own]) as port:
            theirs = port.run(observe(port, case))
            memory = GuestMemory(port.memory.size, port.memory.base)
        with DiskImage(paths[1]) as disk, open_engine("native", config, memory, disk) as port:
            ours = port.run(observe(port, case))
        result = judge(theirs, ours, case.words | {"one queue" if config.queues == 1 else "more queues"})
        if paths[0].read_bytes() != paths[1].read_bytes():
            result.unexplained.append("the final contents of the two disks differ")
        return result


_INTRODUCTION = """\
# This device beside QEMU's virtio-blk-pci

The guest driver of this project drives QEMU's own block device through QEMU's test socket, and this
project's device on the native engine, with the same valid and invalid requests. The comparison covers
registers after every step, features, device configuration, used entries, statuses, data, interrupts and the
final contents of the disks, on split and on packed rings, with indirect descriptors and event indexes, in
order, with MSI-X and with INTx; on modern devices, on legacy ones, and on transitional ones through either
face, where the other face is looked at too. In each case 480 to 750 observations agree. This page lists every
difference: a test fails for one that is not listed, and for an entry that no longer shows. The page is made
from the table in `sim/ringwalker_sim/vm/differences.py`.
"""


def document(differences: Sequence[Difference] = DIFFERENCES) -> str:
    """The page for the docs, in Markdown."""
    parts = [_INTRODUCTION]
    for item in differences:
        only = f" Only {' and '.join(WORDS[word] for word in item.only)}." if item.only else ""
        parts.append(f"## {item.title}\n\n{item.why}{only}\n\n| | QEMU | Ringwalker |\n|---|---|---|")
        rows = "".join(f"| {key} | {theirs} | {ours} |\n" for key, (theirs, ours) in item.values.items())
        parts[-1] += "\n" + rows
    return "\n".join(parts)


if __name__ == "__main__":
    write_file(sys.argv[1], document())
