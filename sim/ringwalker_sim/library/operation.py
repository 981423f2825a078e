"""What can be done with a device, written once and called in three ways: now, by asyncio, by the guest."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from ..errors import EXIT_FAILED, RingwalkerError
from ..guest.loop import Loop
from .latencies import Latencies

__all__ = ["Call", "HasRunner", "LibraryError", "Operation", "Procedure", "Runner"]

P = ParamSpec("P")
R = TypeVar("R")


class LibraryError(RingwalkerError, RuntimeError):
    """Something that cannot be done with a device as it is now; the message says what can be done."""

    exit_code = EXIT_FAILED


class Runner:
    """Runs coroutines of the guest on ``port`` until :meth:`close`; ``latencies`` has their times."""

    def __init__(self, port: Loop):
        self.port: Any = port
        self.latencies = Latencies(self.port.clock_mhz)
        self.closed = False

    def close(self) -> None:
        """Refuse everything from now on."""
        self.closed = True

    def _check(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        text = None
        if self.closed:
            text = "the device is closed; open another one"
        elif self.port.turning:
            text = (
                "the device is running: what it calls meanwhile cannot wait for it; "
                "do it after the call, or in a coroutine that device.gather runs beside"
            )
        if text is not None:
            coroutine.close()
            raise LibraryError(text)

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine of the guest to its end; its result. Errors: its own; :class:`LibraryError`."""
        self._check(coroutine)
        return self.port.run(coroutine, keep=True)

    async def run_aio(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """The same as a coroutine of asyncio, which goes on with its other tasks between steps in time."""
        self._check(coroutine)
        return await self.port.run_beside(coroutine, self._others)

    async def _others(self) -> None:
        await asyncio.sleep(0)
        if self.closed:
            raise LibraryError("the device was closed meanwhile")


class HasRunner(Protocol):
    """What operations belong to."""

    _runner: Runner


class Call(Generic[P, R]):
    """An operation of one object.

    ``device.read(0)`` runs until it is done; ``await device.read.aio(0)`` does the same under asyncio; and
    ``device.read.coroutine(0)`` is the guest's coroutine itself, for ``device.run`` and ``device.gather``.
    """

    def __init__(
        self,
        owner: HasRunner,
        function: Callable[..., Coroutine[Any, Any, R]],
        signature: inspect.Signature,
        timed: bool,
    ):
        functools.update_wrapper(self, function)
        self.__signature__ = signature
        self._owner = owner
        self._function = function
        self._timed = timed

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._owner._runner.run(self.coroutine(*args, **kwargs))

    async def aio(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The operation as a coroutine of asyncio."""
        return await self._owner._runner.run_aio(self.coroutine(*args, **kwargs))

    async def coroutine(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The operation as a coroutine of the guest."""
        runner = self._owner._runner
        begin = runner.port.now()
        result = await self._function(self._owner, *args, **kwargs)
        if self._timed:
            runner.latencies.note(self._function.__name__, runner.port.now() - begin)
        return result

    def __repr__(self) -> str:
        return f"<operation {self._function.__qualname__}: call it, or its .aio or .coroutine>"


class Operation(Generic[P, R]):
    """Makes a coroutine method of an object with a runner an operation: see :class:`Call`."""

    timed: ClassVar[bool] = True
    """Its latency is noted."""

    def __init__(self, function: Callable[Concatenate[Any, P], Awaitable[R]]):
        self._function: Any = function
        wrapper: Any = self
        functools.update_wrapper(wrapper, function)
        whole = inspect.signature(function)
        self._signature = whole.replace(parameters=list(whole.parameters.values())[1:])

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: HasRunner, kind: type) -> Call[P, R]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        return self if owner is None else Call(owner, self._function, self._signature, self.timed)


class Procedure(Operation[P, R]):
    """An operation of which no latency is noted, since it is no request."""

    timed: ClassVar[bool] = False
