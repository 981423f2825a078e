"""Random cuts of a served disk under load: its process is killed, its image cut, its guest killed.

``python -m ringwalker_sim.testing.cuts --cuts 500 --seed 1`` makes them in a folder of its own. Whatever is
cut, nothing hangs, no wrong byte is read, and what was acknowledged is on the disk, as the next guest finds.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..cli.main import main as cli
from ..vfio_user.listener import somebody_listens
from ..vfio_user.peer import PeerGone
from ..vfio_user.serving import ServedDevice, serve_devices
from .cut_load import IMAGE_BYTES, Ledger, Load
from .devices import SERVED_BLK

__all__ = ["Campaign", "main"]

KINDS = {"kill": 0.3, "terminate": 0.1, "guest": 0.3, "image": 0.25, "both": 0.05}
"""What is cut, and how often: the device's process by SIGKILL or SIGTERM, the guest's by SIGKILL, the image,
or both processes at once."""

_PATIENCE = 60.0
"""Seconds after which something counts as hanging; on a machine with nothing else to do, a tenth would do."""

_AFTER = 40
"""Requests that a guest still does when the image has been cut."""

_GONE = 3
"""Exit code of a guest whose device has gone."""


class Hang(Exception):
    """Something does not end."""


class Child:
    """A process of its own for ``work``, whose result is its exit code; standard error goes to ``log``."""

    def __init__(self, log: Path, work: Callable[[], int]):
        self.log = log
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                for fd in (1, 2):
                    os.dup2(errors, fd)
                code = work()
            except BaseException:
                traceback.print_exc()
            finally:
                with contextlib.suppress(OSError):
                    sys.stderr.flush()
                os._exit(code)

    def ended(self) -> bool:
        """Whether it has ended; then ``code`` is its exit code, or the negative number of a signal."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, if it has not ended."""
        if not self.ended():
            os.kill(self.pid, number)

    def join(self, codes: tuple[int, ...], what: str) -> None:
        """Wait for its end, with one of ``codes``. Errors: :class:`Hang`; ``RuntimeError``."""
        _wait(self.ended, f"{what} does not end")
        if self.code not in codes:
            raise RuntimeError(f"{what} ends with {self.code}")


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Hang(what)
        time.sleep(0.0005)


class Campaign:
    """Cuts of one image in ``folder``, one after another, all chosen by ``seed``.

    ``counts`` has how many of each kind were made, the requests that ended, and those that were refused.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder = folder
        self.seed = seed
        self.ledger = Ledger()
        self.image = folder / "disk.img"
        self.socket = folder / "s"
        self.counts: Counter[str] = Counter()
        self._first = list(np.random.default_rng(seed).permutation(list(KINDS)))
        """Every kind once, before they are drawn."""
        self._server: Child | None = None
        self._guest: Child | None = None
        self.ledger.known[:] = np.frombuffer(np.random.default_rng(seed).bytes(IMAGE_BYTES), np.uint8)
        self.image.write_bytes(self.ledger.known.tobytes())
        # The children find the model in memory.
        with serve_devices([ServedDevice(SERVED_BLK, None, folder / "first")]):
            pass

    def run(self, cuts: int, progress: Callable[[int], None] = lambda _number: None) -> None:
        """Make ``cuts`` cuts; a guest at the end finds all as it should be. Errors: :class:`Hang`,
        ``RuntimeError`` with what the process that failed says.
        """
        try:
            for number in range(cuts):
                try:
                    self._cut(number)
                except Exception as error:
                    error.add_note(f"in cut {number} of seed {self.seed}")
                    for log in self.folder.glob("*.log"):
                        error.add_note(f"--- {log.name}:\n{log.read_text()[-4000:]}")
                    raise
                progress(number + 1)
            self._start(cuts, requests=20).join((0,), "the last guest")
            self._end_server(signal.SIGTERM, 0)
        finally:
            for child in (self._server, self._guest):
                if child is not None:
                    child.kill()
                    child.ended()

    def _serve(self) -> Child:
        server = self._server
        if server is None or server.ended():
            words = ["serve", "--data-width", "64", "--image", str(self.image), "--socket", str(self.socket)]
            server = self._server = Child(self.folder / "server.log", lambda: cli(words))

            def there() -> bool:
                if server.ended():
                    server.join((), "the device")
                return somebody_listens(self.socket)

            _wait(there, "the device does not begin")
        return server

    def _start(self, number: int, requests: int, after: int = 0) -> Child:
        """A guest that does ``requests``."""
        self._serve()

        def work() -> int:
            random = np.random.default_rng((self.seed, number, 1))
            try:
                Load(self.socket, self.image, self.ledger, random).run(requests, after)
            except (PeerGone, ConnectionError) as error:
                print(error, file=sys.stderr)
                return _GONE
            return 0

        self._guest = Child(self.folder / "guest.log", work)
        return self._guest

    def _end_server(self, number: int, code: int) -> None:
        assert self._server is not None
        self._server.kill(number)
        self._server.join((code,), "the device")

    def _cut(self, number: int) -> None:
        random = np.random.default_rng((self.seed, number))
        kind = self._first.pop() if self._first else str(random.choice(list(KINDS), p=list(KINDS.values())))
        before = self.ledger.done
        guest = self._start(number, 1 << 30, _AFTER if kind == "image" else 0)
        if kind != "image" and random.random() < 0.2:
            time.sleep(random.uniform(0, 0.3))  # perhaps while the guest begins
        else:
            moment = before + int(random.integers(1, 120))
            _wait(lambda: guest.ended() or self.ledger.done >= moment, "the load")
            time.sleep(random.exponential(0.001))
        if guest.ended():
            guest.join((), "the guest")
        match kind:
            case "kill" | "terminate":
                end = (signal.SIGKILL, -signal.SIGKILL) if kind == "kill" else (signal.SIGTERM, 0)
                self._end_server(*end)
                guest.join((_GONE,), "the guest of a device that has gone")
            case "guest":
                guest.kill()
                guest.join((-signal.SIGKILL,), "the guest")
            case "both":
                guest.kill()
                self._end_server(signal.SIGKILL, -signal.SIGKILL)
                guest.join((-signal.SIGKILL,), "the guest")
            case "image":
                self._cut_image(int(random.integers(0, IMAGE_BYTES)), guest)
        self.counts[kind] += 1
        self.counts["requests"] += self.ledger.done - before

    def _cut_image(self, end: int, guest: Child) -> None:
        ledger = self.ledger
        refused = ledger.refused
        ledger.soon = end
        os.truncate(self.image, end)
        ledger.end = end
        guest.join((0,), "the guest of a cut image")
        if self.image.stat().st_size != end:
            raise RuntimeError(f"the image was cut at {end} and is {self.image.stat().st_size} bytes long")
        self.counts["refused"] += ledger.refused - refused
        os.truncate(self.image, IMAGE_BYTES)
        ledger.mend()


def main(arguments: list[str] | None = None) -> int:
    """Make cuts; what was cut as JSON on standard output."""
    parser = argparse.ArgumentParser(description="Random cuts of a served disk under load.")
    parser.add_argument("--cuts", metavar="N", type=int, default=500)
    parser.add_argument("--seed", metavar="N", type=int, default=int(os.environ.get("RINGWALKER_SEED", "1")))
    options = parser.parse_args(arguments)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ringwalker-cuts") as name:
        campaign = Campaign(Path(name), options.seed)
        campaign.run(options.cuts)
    print(
        json.dumps({"seed": options.seed, **campaign.counts, "seconds": round(time.monotonic() - begin, 1)})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
