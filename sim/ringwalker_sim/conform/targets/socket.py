"""Any device behind a vfio-user socket as a target. Nothing is known of what is behind it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ...errors import ParameterError
from ...vfio_user.client_port import SharedMemory, VfioPort
from ...vfio_user.protocol import ProtocolError
from .local import MEMORY_BYTES
from .target import REAL_TIME, Target

__all__ = ["open_socket"]


@contextlib.contextmanager
def open_socket(path: str | Path) -> Iterator[Target]:
    """The device that a server offers on the unix socket ``path``.

    Errors: :class:`~ringwalker_sim.errors.ParameterError` when nobody answers there.
    """
    memory = SharedMemory(MEMORY_BYTES)
    with contextlib.closing(memory):
        try:
            port = VfioPort(path, memory)
        except (OSError, ProtocolError) as error:
            raise ParameterError(
                f"{path}: there is no device: {getattr(error, 'strerror', 0) or error}"
            ) from None
        with port:
            yield Target(port, None, REAL_TIME, own=False)
