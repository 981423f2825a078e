"""One function of many items, each worked out in a process: as many at once as there are cores.

The processes share nothing: each has a pipe to the one that asks, and no lock. A model that several of them
want is built by the first (:func:`.toolchain.build_once`).
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from .errors import EXIT_FAILED, RingwalkerError

__all__ = ["ItemError", "cores", "each_of"]

_SPAWN = multiprocessing.get_context("spawn")
_STOP_SECONDS = 5.0
"""How long a process may take to end a build in progress."""

Say = Callable[[str], None]


class ItemError(RingwalkerError):
    """An item failed: the message begins with its name. Of what nobody expected, a note is the traceback."""

    def __init__(self, message: str, exit_code: int = EXIT_FAILED):
        super().__init__(message)
        self.exit_code = exit_code


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def _without_interrupt() -> Iterator[None]:
    """Ctrl-C waits until the end of the block, and never comes to a process that is started in it: the one
    that started it gets it, and ends the others."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _terminated(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _follow_parent() -> None:
    """End this process when the one that started it has ended, however it did."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _serve(function: Callable[[Any, Say], Any], pipe: Connection) -> None:
    """What a process does: items come, ``(kind, ...)`` goes, until the pipe is closed."""
    # What the other end no longer wants to hear is nobody's concern.
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        signal.signal(signal.SIGTERM, _terminated)
        threading.Thread(target=_follow_parent, daemon=True).start()
        while True:
            pipe.send(_worked_out(function, pipe.recv(), lambda text: pipe.send(("says", text))))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _worked_out(function: Callable[[Any, Say], Any], item: Any, say: Say) -> tuple[Any, ...]:
    try:
        return "done", function(item, say)
    except RingwalkerError as error:
        return "failed", str(error), error.exit_code, None
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}", EXIT_FAILED, traceback.format_exc()


class _Worker:
    """A process, and the number of the item that it has."""

    def __init__(self, function: Callable[[Any, Say], Any]):
        self.pipe, other = _SPAWN.Pipe()
        with _without_interrupt():
            self.process: BaseProcess = _SPAWN.Process(target=_serve, args=(function, other), daemon=True)
            self.process.start()
        other.close()
        self.number = -1

    def give(self, number: int, item: Any) -> None:
        self.number = number
        self.pipe.send(item)

    def end(self) -> None:
        """It has nothing to do any more."""
        self.pipe.close()
        self.process.join()


def _stop(workers: Iterable[_Worker]) -> None:
    """End all processes, and the compilers that they have started."""
    workers = tuple(workers)
    with _without_interrupt():
        for worker in workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join(_STOP_SECONDS)
            worker.process.kill()
            worker.process.join()


def each_of(
    function: Callable[[Any, Say], Any],
    items: Sequence[Any],
    names: Sequence[str],
    jobs: int,
    say: Callable[[int, str], None] = lambda _done, _text: None,
) -> list[Any]:
    """``function(item, status)`` of each of ``items``, in their order, by ``jobs`` processes; a single
    job, or a single item, is done in this one.

    ``function`` and what it takes and gives can be pickled. ``say`` is called with how many items are done
    and a line of text: the name of an item that has just begun or ended, or what its ``status`` was called
    with.
    Errors: :class:`ItemError` of the first item that fails; the others end, as with any exception here.
    """
    if min(jobs, len(items)) <= 1:
        return list(_in_turn(function, items, names, say))
    results: list[Any] = [None] * len(items)
    left = iter(range(len(items)))
    workers: dict[Connection, _Worker] = {}
    done = 0

    def next_item(worker: _Worker) -> None:
        number = next(left, None)
        if number is None:
            workers.pop(worker.pipe).end()
            return
        worker.give(number, items[number])
        say(done, names[number])

    try:
        for _ in range(min(jobs, len(items))):
            worker = _Worker(function)
            workers[worker.pipe] = worker
            next_item(worker)
        while workers:
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                worker = workers[pipe]
                name = names[worker.number]
                kind, *rest = _received(worker, name)
                if kind == "says":
                    say(done, f"{name}: {rest[0]}")
                elif kind == "done":
                    done += 1
                    results[worker.number] = rest[0]
                    say(done, name)
                    next_item(worker)
                else:
                    text, code, trace = rest
                    error = ItemError(f"{name}: {text}", code)
                    if trace:
                        error.add_note(trace)
                    raise error
    finally:
        _stop(workers.values())
    return results


def _in_turn(
    function: Callable[[Any, Say], Any],
    items: Sequence[Any],
    names: Sequence[str],
    say: Callable[[int, str], None],
) -> Iterator[Any]:
    """:func:`each_of` in this process. What nobody expected keeps its own traceback."""
    for number, (item, name) in enumerate(zip(items, names, strict=True)):
        say(number, name)
        try:
            yield function(item, lambda text, number=number, name=name: say(number, f"{name}: {text}"))
        except RingwalkerError as error:
            raise ItemError(f"{name}: {error}", error.exit_code) from error
        say(number + 1, name)


def _received(worker: _Worker, name: str) -> Any:
    try:
        return worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        worker.process.join()
        code = worker.process.exitcode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else "ended"
        raise ItemError(f"{name}: its process {how}") from None
