"""The path of the socket: taken, left behind, too long, in a folder that is not there, removed, replaced."""

import contextlib
import socket
import threading
import time
from pathlib import Path

import pytest

from ringwalker_sim.vfio_user.listener import Listener, SocketError, SocketInUse, check_path


def leave_behind(path: Path) -> None:
    """The socket of a server that was killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))


def test_peers_can_connect_as_soon_as_it_is_made_and_the_path_goes_with_it(tmp_path: Path) -> None:
    listener = Listener(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.connect(str(tmp_path / "s"))
        listener.accept().close()
    listener.close()
    assert not (tmp_path / "s").exists()


def test_the_socket_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    leave_behind(tmp_path / "s")
    listener = Listener(tmp_path / "s")
    assert listener.there()
    listener.close()


@pytest.mark.parametrize("waiting", [0, 1, 2, 5])
def test_the_socket_of_a_living_server_is_left_alone_however_many_wait_for_it(
    tmp_path: Path, waiting: int
) -> None:
    """A server that takes no peers now still is one; who looks must not wait with them."""
    listener = Listener(tmp_path / "s")
    with contextlib.ExitStack() as stack:
        for _ in range(waiting):
            peer = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            peer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                peer.connect(str(tmp_path / "s"))
        begin = time.monotonic()
        with pytest.raises(SocketInUse, match="another server listens there"):
            Listener(tmp_path / "s")
        assert time.monotonic() - begin < 1
    assert listener.there()
    listener.close()


@pytest.mark.parametrize("kind", ["file", "folder", "link to nothing"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    for attempt in (check_path, Listener):
        with pytest.raises(SocketInUse, match="is no socket"):
            attempt(path)
    assert path.is_symlink() or path.exists()


def test_a_socket_of_another_type_is_in_use(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "s"))
        with pytest.raises(SocketInUse, match="another server"):
            Listener(tmp_path / "s")
    assert (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/s", "the folder .*no does not exist"),
        ("file/s", "the folder .*file does not exist"),
        ("x" * 120, "too long: .* bytes, not 107 at most"),
    ],
)
def test_a_path_that_cannot_be_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").touch()
    for attempt in (check_path, Listener):
        with pytest.raises(SocketError, match=message):
            attempt(tmp_path / name)


def test_a_folder_that_takes_no_files_is_named() -> None:
    for attempt in (check_path, Listener):
        with pytest.raises(SocketError, match=r"/proc/self/s: .*"):
            attempt("/proc/self/s")


def test_of_several_that_find_a_dead_servers_socket_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    for _ in range(20):
        leave_behind(path)
        made: list[Listener] = []
        barrier = threading.Barrier(4)

        def start(made: list[Listener] = made, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            with contextlib.suppress(SocketInUse):
                made.append(Listener(path))

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [listener.there() for listener in made] == [True]
        made[0].close()


def test_a_path_that_belongs_to_somebody_else_by_now_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = Listener(path)
    path.unlink()
    assert not first.there()
    second = Listener(path)
    first.close()
    assert second.there()
    second.close()
