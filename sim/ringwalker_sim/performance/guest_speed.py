"""How fast the simulated disk of a guest is: ways of serving it beside each other, and the page about them.

The figures depend on the machine. What can be compared are ratios within one run.
"""

import shutil
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ringwalker.config import DeviceConfig

from ..engine.native.served import ServedEngine
from ..markdown import markdown_table
from ..vm.boot import GuestError, GuestJob
from ..vm.session import Disk, Session, run_guest
from ..vm.setup import GuestSetup
from .engine_speed import machine

__all__ = ["FIGURES", "PAGE", "VARIANTS", "Variant", "build_models", "measure_guest", "page"]

PAGE = "guest-speed.md"
"""The name of the page."""

FIGURES = "guest-speed.json"
"""The name of the figures that it is made of, beside it."""

_SMALL_BYTES = 4096
_SMALL_COUNT = 512

_COMMAND = f"""
echo 3 >/proc/sys/vm/drop_caches
mark read-begins
dd if=/dev/vda of=/dev/null bs=1M 2>/dev/null || exit
mark read-ends
dd if=/dev/vda of=/dev/null bs={_SMALL_BYTES} count={_SMALL_COUNT} iflag=direct 2>/dev/null || exit
mark small-ends
"""


@dataclass(frozen=True)
class Variant:
    """A way of serving the device: with the plain model or not, messages of QEMU in C++ or all in Python."""

    name: str
    plain: bool
    direct: bool


VARIANTS = (
    Variant("plain model, Python", True, False),
    Variant("change-driven, Python", False, False),
    Variant("change-driven, C++", False, True),
)
"""The last is what everybody gets; it is compared with the first."""

_RATIOS = {
    "boot_s": "time of a boot",
    "read_mb_s": "sequential read, bytes a second",
    "read_cpu_mb_s": "the same, a second of the device's thread",
    "small_per_s": "4 KiB reads a second, one at a time",
}


def build_models(config: DeviceConfig, status: Callable[[str], None]) -> None:
    """Build both models of ``config``, so that no guest begins on another one than its variant's.

    Errors: :class:`~..toolchain.ToolError`.
    """
    for plain in (True, False):
        ServedEngine(config, plain=plain, progress=status).close()


def _row(variant: Variant, session: Session, size: int) -> dict[str, Any]:
    begin, end, last = (session.mark(name) for name in ("read-begins", "read-ends", "small-ends"))
    first, second, third = (mark.devices[0] for mark in (begin, end, last))
    processor_s = second["processor_s"] - first["processor_s"]
    return {
        "variant": variant.name,
        "boot_s": session.result.boot_s,
        "boot_processor_s": first["processor_s"],
        "read_mb_s": size / 1e6 / (end.seconds - begin.seconds),
        "read_cpu_mb_s": size / 1e6 / processor_s,
        "read_cycles": second["cycles"] - first["cycles"],
        "read_processor_s": processor_s,
        "small_per_s": _SMALL_COUNT / (last.seconds - end.seconds),
        "small_cycles": third["cycles"] - second["cycles"],
        "small_processor_s": third["processor_s"] - second["processor_s"],
    }


def _best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The best of a variant's boots: other load of the machine makes it slower, never faster."""
    best = dict(rows[0])
    for row in rows[1:]:
        for key in _RATIOS:
            best[key] = (min if key == "boot_s" else max)(best[key], row[key])
    return best


def measure_guest(
    setup: GuestSetup,
    disk: Disk,
    folder: Path,
    *,
    size: int,
    rounds: int,
    status: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Boot a guest with each of :data:`VARIANTS` in turn, ``rounds`` times, with ``disk`` and a fresh image
    of ``size`` random bytes in ``folder``: it reads the whole disk, then 4 KiB at a time with nothing else
    in flight.

    The result has ``runs``, the ``best`` of each variant, and ``ratios`` of the last variant to the first:
    of the best, and the median of the rounds. Errors: :class:`~..vm.boot.GuestError`.
    """
    image = folder / "disk.img"
    random = folder / "random.img"
    random.write_bytes(np.random.default_rng(1).bytes(size))
    runs: list[dict[str, Any]] = []
    for turn in range(rounds):
        # The order changes, so that no variant has the better half of a machine that grows slower.
        for variant in VARIANTS if turn % 2 == 0 else reversed(VARIANTS):
            status(f"guest {len(runs) + 1} of {rounds * len(VARIANTS)}: {variant.name}")
            shutil.copyfile(random, image)
            served = replace(disk, image=image, raw=True, plain=variant.plain, direct=variant.direct)
            session = run_guest(setup, [served], GuestJob(_COMMAND), progress=status)
            if session.result.status:
                raise GuestError(f"the guest's command ended with status {session.result.status}")
            runs.append({"round": turn, **_row(variant, session, size)})
    of = {item.name: [row for row in runs if row["variant"] == item.name] for item in VARIANTS}
    best = [_best(rows) for rows in of.values()]
    pairs = [sorted(of[VARIANTS[end].name], key=lambda row: row["round"]) for end in (0, -1)]
    ratios = {
        key: {
            "best": best[-1][key] / best[0][key],
            "median": statistics.median(b[key] / a[key] for a, b in zip(*pairs, strict=True)),
        }
        for key in _RATIOS
    }
    return {
        "machine": machine(),
        "qemu": setup.qemu.name,
        "kernel": setup.files.kernel.name,
        "bytes": size,
        "rounds": rounds,
        "ratios": ratios,
        "best": best,
        "runs": runs,
    }


_TEXT = """\
# Speed of a guest's disk

<!-- Generated by `ringwalker bench-guest --docs docs`; do not edit. -->

Linux ({kernel}) in QEMU {qemu} with the 256-bit block device as its disk, on a machine with
{machine}. In each of {rounds} rounds a guest is booted with each way of serving; it reads {mib} MiB from one
end to the other (`dd bs=1M`), then {count} times 4 KiB with nothing else in flight (`dd bs=4k iflag=direct`).
The table has the best of the rounds. The figures depend on the machine and on what else it does; the
thread of the device had {share:.0%} of a core while the disk was read. The ratios are those of one run.

{rows}

The first column says what simulates the device, and what carries out the usual messages of QEMU. The last row
is what `ringwalker guest` and `ringwalker serve` do, once the change-driven model has been built. Beside the
first row it has

{ratios}

## Where the time goes

A sequential read costs {cycles:.4f} cycles a byte; the data path can do 0.03125 at 256 bits. Linux asks for
1 MiB at a time, so the server and QEMU exchange two messages in 33,000 cycles, and nearly all time of the
device's thread is the model. The rest of the real time is QEMU, which translates the code of the guest that
copies each byte. With one request at a time the exchange counts: a doorbell as a message, an interrupt
as an eventfd, and the guest's own work between them.

C++ watches the socket while the device runs. It carries out accesses of BARs and sends interrupts.
Python is asked for everything else, and for every message that is wrong in any way
(`sim/ringwalker_sim/engine/native/src/peer_messages.h`).
"""


def _share(figures: Mapping[str, Any]) -> float:
    """How much of a core the device's thread had during the reads of the last variant; the best run."""
    runs = [row for row in figures["runs"] if row["variant"] == VARIANTS[-1].name]
    return max(row["read_mb_s"] / row["read_cpu_mb_s"] for row in runs)


def page(figures: Mapping[str, Any]) -> str:
    """The page, in Markdown, made of what :func:`measure_guest` gives."""
    ratios = figures["ratios"]
    table = markdown_table(
        (
            "served",
            "boot, s",
            "of which the device's thread, s",
            "read, MB/s",
            "MB a second of the device's thread",
            "4 KiB reads a second",
        ),
        [
            (
                row["variant"],
                f"{row['boot_s']:.1f}",
                f"{row['boot_processor_s']:.2f}",
                f"{row['read_mb_s']:.1f}",
                f"{row['read_cpu_mb_s']:.1f}",
                f"{row['small_per_s']:.0f}",
            )
            for row in figures["best"]
        ],
    )
    compared = [
        (title, f"{ratios[key]['best']:.2f}", f"{ratios[key]['median']:.2f}")
        for key, title in _RATIOS.items()
    ]
    return _TEXT.format(
        kernel=figures["kernel"],
        qemu=figures["qemu"],
        machine=figures["machine"],
        rounds=figures["rounds"],
        mib=figures["bytes"] >> 20,
        count=_SMALL_COUNT,
        rows="\n".join(table),
        ratios="\n".join(markdown_table(("ratio", "of the best", "median of the rounds"), compared)),
        share=_share(figures),
        cycles=figures["best"][-1]["read_cycles"] / figures["bytes"],
    )
