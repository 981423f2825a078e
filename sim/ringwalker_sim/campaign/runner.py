"""Runs tasks, in this process or on a cluster, and keeps what comes of them."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ..errors import ParameterError, RingwalkerError
from .folder import CampaignFolder
from .task import Result, Say, Task, TaskError, carry_out

__all__ = ["INSTALL", "NoClusterError", "Runner", "has_cluster", "open_runner"]

INSTALL = "pip install 'ringwalker[cluster]'"
"""What brings Dask."""

Progress = Callable[[int, str], None]
"""Takes how many tasks are done, and what is being done."""


class NoClusterError(RingwalkerError):
    """More than this process is asked for, and Dask is not there."""


class Runner(ABC):
    """Has tasks carried out. ``dashboard`` is the link of a page about them, or empty."""

    dashboard = ""

    @abstractmethod
    def results(self, tasks: Sequence[Task], say: Say) -> Generator[Result]:
        """The results of ``tasks`` as they come. What is in flight when the generator is closed is given up.
        Errors: those of the cluster."""

    def run(
        self,
        tasks: Sequence[Task],
        folder: CampaignFolder | None = None,
        *,
        progress: Progress = lambda _done, _text: None,
        each: Callable[[Task, Result], None] = lambda _task, _result: None,
        stop_at_failure: bool = False,
    ) -> list[Result]:
        """The results of ``tasks``, in their order. Those that ``folder`` has are taken from there, all
        others are added to it as they come, and then ``each`` is called with them.

        It may be called again with other tasks and the same folder. Errors: :class:`ParameterError` for two
        tasks with one key; :class:`TaskError` of the first task that fails with ``stop_at_failure``;
        those of the folder and of the cluster.
        """
        by_key = {task.key: task for task in tasks}
        if len(by_key) < len(tasks):
            keys = [task.key for task in tasks]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ParameterError(f"two tasks have the key {twice!r}")
        found: dict[str, Result] = {}
        for task in tasks:
            if folder and (result := folder.done(task)) is not None:
                found[task.key] = result
        left = [task for task in tasks if task.key not in found]
        progress(len(found), "starting")
        coming = self.results(left, lambda text: progress(len(found), text))
        try:
            for result in coming:
                found[result.key] = result
                if folder:
                    folder.add(by_key[result.key], result)
                progress(len(found), result.key)
                each(by_key[result.key], result)
                if result.error and stop_at_failure:
                    raise TaskError(result)
        finally:
            coming.close()
        return [found[task.key] for task in tasks]


class _InProcess(Runner):
    """One task after another, in this process."""

    def __init__(self):
        self._prepared: dict[str, dict[str, Any]] = {}

    def results(self, tasks: Sequence[Task], say: Say) -> Generator[Result]:
        prepared = self._prepared
        here = socket.gethostname()
        for task in tasks:
            for call in task.prepare:
                if call.words not in prepared:
                    prepared[call.words] = carry_out(call, say)
                if prepared[call.words].get("error"):
                    yield Result(task.key, **{**prepared[call.words], "where": here})
                    break
            else:
                say(task.key)
                found = carry_out(task, lambda text, task=task: say(f"{task.key}: {text}"))
                yield Result(task.key, **found, where=here)


def has_cluster() -> bool:
    """Whether Dask is installed."""
    return find_spec("distributed") is not None


@contextmanager
def open_runner(workers: int = 1, scheduler: str = "") -> Generator[Runner]:
    """A runner: this process, with one of ``workers``; so many processes of this machine; or the workers of
    the Dask ``scheduler`` at this address. All that was started ends with the block.

    Errors: :class:`NoClusterError`, :class:`~.cluster.ClusterError`.
    """
    if workers <= 1 and not scheduler:
        yield _InProcess()
        return
    if not has_cluster():
        asked = f"a scheduler ({scheduler})" if scheduler else f"{workers} workers"
        raise NoClusterError(f"{asked}: Dask is needed, which is not installed: {INSTALL}")
    from .cluster import connected, local_cluster

    with connected(scheduler) if scheduler else local_cluster(workers) as runner:
        yield runner
