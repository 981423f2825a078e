"""A runner of tasks on Dask: a cluster of processes of this machine, or the workers of any scheduler."""

import asyncio
import logging
import os
import signal
import socket
import uuid
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from dask import config as dask_config
from distributed import Client, LocalCluster
from distributed.comm.addressing import get_address_host, get_address_host_port, normalize_address
from distributed.core import rpc

from ..errors import RingwalkerError
from .flights import ClusterError, Flights, LostClusterError, Prepared
from .runner import Runner
from .task import Call, Result, Say, Task
from .work import EndAtOnce, work

__all__ = ["ClusterError", "connected", "local_cluster"]

_HERE = "127.0.0.1"
_DASHBOARD_PORT = 8787
_CONNECT_SECONDS = 5
_END_SECONDS = 2

_SETTINGS = {
    "logging": dict.fromkeys(("distributed", "bokeh", "tornado", "asyncio"), "critical"),
    "distributed.scheduler.allowed-failures": 0,
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.admin.system-monitor.gil.enabled": False,
}
"""Of a cluster here: a worker that dies is this module's matter, and nothing is logged."""


class _Cluster(Runner):
    """The workers of the scheduler that ``client`` is connected to."""

    def __init__(self, client: Client):
        self._client = client
        self.dashboard = client.dashboard_link or ""
        self._topic = f"ringwalker-{uuid.uuid4().hex[:12]}"
        self._prepared: Prepared = {}

    def results(self, tasks: Sequence[Task], say: Say) -> Generator[Result]:
        self._client.subscribe_topic(self._topic, lambda event: say(event[1]))
        flights = Flights(tasks, self._machines, self._submit, say, self._prepared)
        try:
            yield from flights.results()
        except OSError as error:
            raise LostClusterError(f"the scheduler does not answer: {error}") from None
        finally:
            with suppress(Exception):  # The scheduler may be gone.
                self._client.cancel(flights.give_up(), force=True)
                self._client.unsubscribe_topic(self._topic)

    def _machines(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        workers: Any = self._client.nthreads()
        for address, threads in workers.items():
            host = get_address_host(address)
            found[host] = found.get(host, 0) + threads
        return found

    def _submit(self, call: Call, key: str, hosts: Sequence[str]) -> Any:
        name = call.key if isinstance(call, Task) else "preparing"
        where = {"workers": list(hosts), "allow_other_workers": isinstance(call, Task)} if hosts else {}
        arguments = (self._topic, name, call.function, dict(call.arguments))
        return self._client.submit(work, *arguments, key=key, pure=False, **where)


@contextmanager
def _without_signals() -> Iterator[None]:
    """Ctrl-C and the end of the terminal never come to what is started in the block: whoever started it gets
    them, and ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def local_cluster(workers: int) -> Generator[Runner]:
    """A runner on so many processes of this machine, which answer on the loopback interface only and end with
    the block, and with this process."""
    with dask_config.set(_SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The port of the dashboard may be in use; then it has another.
        with _without_signals():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host=_HERE,
                dashboard_address=f"{_HERE}:{_DASHBOARD_PORT}",
                worker_dashboard_address=None,
                silence_logs=logging.CRITICAL,
                memory_limit=0,
                plugins=(EndAtOnce(),),
            )
            client = Client(cluster, set_as_default=False)
        try:
            yield _Cluster(client)
        finally:
            for worker in cluster.workers.values():
                worker.auto_restart = False
                if worker.pid:
                    with suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                client.close(timeout=_END_SECONDS)
                cluster.close(timeout=_END_SECONDS)


async def _probe(address: str) -> None:
    async with rpc(address, timeout=_CONNECT_SECONDS) as scheduler:
        found: Any = await asyncio.wait_for(scheduler.identity(n_workers=0), _CONNECT_SECONDS)
    if found.get("type") != "Scheduler":
        raise ClusterError(f"a {found.get('type')} answers there")


def _check_scheduler(address: str) -> None:
    """See that a scheduler answers at ``address``: a client that finds none says more than one line."""
    try:
        address = normalize_address(address)
        socket.create_connection(get_address_host_port(address, strict=True), _CONNECT_SECONDS).close()
        asyncio.run(_probe(address))
    except TimeoutError:
        reason = "no scheduler of Dask answers there"
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, RingwalkerError) as error:
        reason = str(error)
    else:
        return
    raise ClusterError(f"scheduler {address}: {reason}")


@contextmanager
def connected(address: str) -> Generator[Runner]:
    """A runner on the workers of the scheduler at ``address``, ``HOST:PORT``.

    Errors: :class:`ClusterError`.
    """
    with dask_config.set({"logging": _SETTINGS["logging"]}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _check_scheduler(address)
        with _without_signals():
            client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        try:
            yield _Cluster(client)
        finally:
            with suppress(TimeoutError, OSError):
                client.close(timeout=_END_SECONDS)
