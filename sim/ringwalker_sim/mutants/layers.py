"""Who may notice a mutant: the layers, each a command that works on the mutated hardware unchanged."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .mutant import DEVICES, Mutant
from .proving import concerned

__all__ = ["LAYERS", "Layer", "build_command"]

_CLI = (sys.executable, "-m", "ringwalker_sim.cli.main")

_JOBS: dict[str, tuple[str, ...]] = {
    "blk": ("blk", "--requests", "200", "--queue-depth", "8", "--workload", "randrw", "--block-size", "2k"),
    "net": ("net", "--frames", "200"),
    "console": ("console",),
    "rng": ("rng", "--bytes", "20k"),
}
"""What ``ringwalker run`` does with each function."""

_CASES = 600


@dataclass(frozen=True)
class Layer:
    """``command``: the words for a mutant in a folder of its own, which is the working folder; or why it
    cannot see the mutant. ``root``: it works in the root of the checkout instead. ``finding``: finds in what
    it prints what it noticed, the first match of which counts. ``model``: it needs the device's model.
    ``cpu_seconds``: a process that takes longer does not end, and the layer fails; on the right hardware
    none takes half of that."""

    name: str
    says: str
    command: Callable[[Mutant, Path, Path], list[str] | str]
    finding: re.Pattern[str]
    root: bool = False
    model: bool = True
    cpu_seconds: int = 15


def _device_file(mutant: Mutant, folder: Path) -> str:
    """The configuration of its device, as a file in ``folder``."""
    file = folder / "device.toml"
    file.write_text(DEVICES[mutant.device].to_toml())
    return str(file)


def _bench(mutant: Mutant, root: Path, _folder: Path) -> list[str] | str:
    benches = mutant.with_benches(root)
    if not benches:
        return "the module has no test file of its own"
    options = ("-q", "-x", "-m", "not slow and not campaign", "-p", "no:cacheprovider")
    return [sys.executable, "-m", "pytest", *options, *benches]


def _system(mutant: Mutant, _root: Path, folder: Path) -> list[str]:
    device = DEVICES[mutant.device]
    interrupt = ("--interrupt", "msi") if device.pci.msi else ()
    return [*_CLI, "run", *_JOBS[device.function], "--config", _device_file(mutant, folder), *interrupt]


def _conform(mutant: Mutant, _root: Path, folder: Path) -> list[str]:
    return [*_CLI, "conform", "--config", _device_file(mutant, folder)]


def _fuzz(mutant: Mutant, _root: Path, _folder: Path) -> list[str]:
    return [sys.executable, "-m", "ringwalker_sim.mutants.fuzzing", mutant.device, str(_CASES)]


def _proof(mutant: Mutant, _root: Path, folder: Path) -> list[str] | str:
    names = concerned(mutant)
    if not names:
        return "nothing is stated of a block with this module"
    return [sys.executable, "-m", "ringwalker_sim.mutants.proving", str(folder / "proofs"), *names]


def build_command(mutant: Mutant) -> list[str]:
    """Builds its device. A mutant that cannot be built is none."""
    return [sys.executable, "-m", "ringwalker_sim.mutants.building", mutant.device]


LAYERS: tuple[Layer, ...] = (
    Layer(
        "module bench",
        "the tests of the module in the default run",
        _bench,
        re.compile(r"^FAILED \S*?(\w+\.py::[^\s\[]+)", re.MULTILINE),
        root=True,
        model=False,
        cpu_seconds=90,
    ),
    Layer(
        "system test",
        "`ringwalker run`, native engine, with the function's driver: a few hundred requests or frames",
        _system,
        re.compile(r"^ringwalker: (.+)$|^│ ?(FAIL.*)$", re.MULTILINE),
    ),
    Layer(
        "conform",
        "`ringwalker conform`, native engine, all checks",
        _conform,
        re.compile(r"^FAIL .*: (\w+) \(|^ringwalker: (.+)$", re.MULTILINE),
    ),
    Layer(
        "fuzz",
        f"{_CASES} hostile cases of `ringwalker fuzz`, on a host that answers every read",
        _fuzz,
        re.compile(r"^found: (.+)$", re.MULTILINE),
        cpu_seconds=30,
    ),
    Layer(
        "proof",
        "the properties of [proofs.md](proofs.md) of blocks that are made with the module",
        _proof,
        re.compile(r"^does not hold: (\S+)", re.MULTILINE),
        model=False,
        cpu_seconds=30,
    ),
)
