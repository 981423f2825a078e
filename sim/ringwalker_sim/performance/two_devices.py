"""How many requests a second devices do that are simulated at once, each by a process of its own."""

import multiprocessing
import os
from collections.abc import Sequence
from typing import Any

from ..errors import DataError
from ..processes import cores
from .cases import Case

__all__ = ["two_devices"]

_SPAWN = multiprocessing.get_context("spawn")
_PATIENCE_S = 600.0
"""How long the others wait for a process that opens its device."""


def _simulate(case: Case, core: int | None, barrier: Any, results: Any) -> None:
    """What a process does: simulate ``case``, from when all others begin too."""
    from .measure import speed

    if core is not None:
        os.sched_setaffinity(0, {core})
    results.send(speed(case, begins=lambda: barrier.wait(_PATIENCE_S)))


def _rate(case: Case, places: Sequence[int | None]) -> float:
    """Requests a second on the clock, of a process at each of ``places``: a core, or any."""
    barrier = _SPAWN.Barrier(len(places))
    pipes = [_SPAWN.Pipe(duplex=False) for _place in places]
    processes = [
        _SPAWN.Process(target=_simulate, args=(case, place, barrier, sender), daemon=True)
        for place, (_receiver, sender) in zip(places, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    for _receiver, sender in pipes:
        sender.close()
    try:
        rows = [receiver.recv() for receiver, _sender in pipes]
    except EOFError:
        raise DataError("a device that was to be simulated beside others failed") from None
    finally:
        barrier.abort()
        for process in processes:
            process.join()
    return len(rows) * case.requests / max(row["wall_s"] for row in rows)


def two_devices(case: Case, runs: int) -> dict[str, float | int] | None:
    """``case`` alone, and on two devices at once: requests a second ``alone``, of ``both`` together, and of
    both when each keeps to a core of its own (``pinned``). The best of ``runs`` each, in turn.

    Only on a machine with nothing else to do it says anything. None where there is a single core. Errors:
    :class:`~ringwalker_sim.errors.DataError`.
    """
    if cores() < 2:
        return None
    first, second, *_others = sorted(os.sched_getaffinity(0))
    places: dict[str, Sequence[int | None]] = {
        "alone": (None,),
        "both": (None, None),
        "pinned": (first, second),
    }
    best = dict.fromkeys(places, 0.0)
    for _ in range(runs):
        for name, where in places.items():
            best[name] = max(best[name], _rate(case, where))
    return {"requests": case.requests, **best}
