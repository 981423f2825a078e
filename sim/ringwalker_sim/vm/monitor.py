"""QEMU's machine protocol: commands to a machine that runs. Ref: QEMU, docs/interop/qmp-spec.rst."""

import json
import socket
from pathlib import Path
from typing import Any

from .qtest import QtestError

__all__ = ["Monitor"]

_ANSWER_S = 20.0


class Monitor:
    """The monitor of a machine, on the socket ``path`` that QEMU has made. Use it as a context manager.

    Errors: :class:`.QtestError` when QEMU refuses a command or is gone.
    """

    def __init__(self, path: Path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._lines = self._socket.makefile("rb")
        try:
            self._socket.settimeout(_ANSWER_S)
            self._socket.connect(str(path))
            self._next()
            self.execute("qmp_capabilities")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self._socket.close()

    def _next(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise QtestError("QEMU has closed its monitor")
        return json.loads(line)

    def execute(self, command: str, **arguments: Any) -> Any:
        """Carry out ``command``; what it returns. Names of arguments have ``_`` for ``-``."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        order = json.dumps({"execute": command, "arguments": named})
        try:
            self._socket.sendall(order.encode())
            while True:
                answer = self._next()
                if "error" in answer:
                    raise QtestError(f"QEMU refuses {command}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]
        except OSError as error:
            raise QtestError(f"QEMU does not answer {command}: {error}") from None
