"""Output files are whole or as they were, and what the system refuses is one error with their name."""

import errno
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ringwalker.outputs import OutputError, OutputFile, make_folder, write_file, writing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_has_its_content_and_the_usual_mode(tmp_path):
    write_file(tmp_path / "new", "text: \N{SNOWMAN}")
    (tmp_path / "usual").touch()
    assert (tmp_path / "new").read_text(encoding="utf-8") == "text: \N{SNOWMAN}"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert names(tmp_path) == ["new", "usual"]


def test_a_file_that_is_replaced_keeps_its_mode_and_the_links_to_it(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "old").chmod(0o640)
    (tmp_path / "link").symlink_to("old")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "old").read_bytes() == b"new"
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o640


def test_nothing_is_there_until_all_is_written(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    for name in ("old", "new"):
        output = OutputFile(tmp_path / name)
        output.file.write(b"x" * 100_000)
        output.file.flush()
        assert output.fresh
        assert (tmp_path / "old").read_bytes() == b"old"
        assert not (tmp_path / "new").exists()
        output.discard()
    assert names(tmp_path) == ["old"]


def test_an_exception_leaves_all_as_it_was(tmp_path):
    (tmp_path / "old").write_bytes(b"old")

    def fail(name):
        with OutputFile(tmp_path / name) as file:
            file.write(b"half")
            raise KeyError

    for name in ("old", "new"):
        with pytest.raises(KeyError):
            fail(name)
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_full_disk_leaves_all_as_it_was(small_file_system):
    small = small_file_system
    (small / "old").write_bytes(b"old")
    for name in ("old", "new"):
        with pytest.raises(OutputError) as error:
            write_file(small / name, bytes(2 << 20))
        assert str(error.value) == f"{small / name}: cannot be written: No space left on device"
    assert names(small) == ["old"]
    assert (small / "old").read_bytes() == b"old"


def test_a_limit_of_the_process_is_like_a_full_disk(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError, match=r"big: cannot be written: File too large"):
            write_file(tmp_path / "big", bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


def test_what_the_disk_refuses_at_the_last_moment(tmp_path, monkeypatch):
    def refuse(_descriptor):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match=r"x: cannot be written: Disk quota exceeded"):
        write_file(tmp_path / "x", b"content")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", "Is a directory"),
        ("none/x", "No such file or directory"),
        ("file/x", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("/dev/full", "No space left on device"),
        ("full", "No space left on device"),
    ],
)
def test_what_is_refused_is_said_with_the_name_that_was_given(name, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("full").symlink_to("/dev/full")
    with pytest.raises(OutputError) as error:
        write_file(name, b"content")
    assert str(error.value) == f"{name}: cannot be written: {reason}"
    assert names(tmp_path) == ["file", "full"]


def test_a_folder_that_takes_no_new_files_still_has_those_that_it_has(tmp_path, monkeypatch):
    (tmp_path / "old").write_bytes(b"old and longer")
    open_file = os.open

    def refuse(path, flags, *others, **options):
        if flags & os.O_EXCL:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return open_file(path, flags, *others, **options)

    monkeypatch.setattr(os, "open", refuse)
    with OutputFile(tmp_path / "old") as file:
        file.write(b"new")
    assert (tmp_path / "old").read_bytes() == b"new"
    with pytest.raises(OutputError, match="Permission denied"):
        write_file(tmp_path / "new", b"new")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to everything")
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "old").chmod(0o444)
    with pytest.raises(OutputError, match="Permission denied"):
        write_file(tmp_path / "old", b"new")
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_pipe_is_written_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    came = []
    reader = threading.Thread(target=lambda: came.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with OutputFile(tmp_path / "pipe") as file:
        file.write(b"content")
    reader.join(10)
    assert came == [b"content"]


def test_the_name_of_standard_output_leads_to_it(tmp_path):
    program = "from ringwalker.outputs import write_file; write_file('/dev/stdout', 'content')"
    with (tmp_path / "out").open("w+b") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True)
        out.seek(0)
        assert out.read() == b"content", "in what is open, not in a file that took its place"
    assert names(tmp_path) == ["out"]


def test_folders(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file: cannot be written: File exists"):
        make_folder(tmp_path / "file")


def test_other_errors_are_left_alone():
    with pytest.raises(ValueError, match="mine"), writing("x"):
        raise ValueError("mine")
