"""What runs on a worker of a cluster."""

import os
import signal
import socket
from collections.abc import Mapping
from typing import Any

from distributed import WorkerPlugin, get_worker

from ..toolchain import stop_programs
from .task import Call, carry_out

__all__ = ["EndAtOnce", "work"]


def _end(_number: int, _frame: Any) -> None:
    stop_programs()
    os._exit(128 + signal.SIGTERM)


class EndAtOnce(WorkerPlugin):
    """Lets SIGTERM end a worker and the compilers that it has started, whatever its task is doing."""

    name = "ringwalker-end-at-once"

    def setup(self, worker: Any) -> None:
        """Called in the main thread of the worker."""
        signal.signal(signal.SIGTERM, _end)


def work(topic: str, key: str, function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Make a call: fields of :class:`~.task.Result`. What it says goes to the subscribers of ``topic``."""
    worker = get_worker()
    found = carry_out(Call(function, arguments), lambda text: worker.log_event(topic, f"{key}: {text}"))
    return {**found, "where": socket.gethostname()}
