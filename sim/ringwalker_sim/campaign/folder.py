"""The folder of a campaign: what the campaign is, and the results that there are."""

import dataclasses
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from ringwalker.outputs import make_folder, writing

from ..errors import RingwalkerError, named_in_errors
from .task import Result, Task

__all__ = ["DESCRIPTION", "RESULTS", "CampaignFolder", "FolderError"]

DESCRIPTION = "campaign.json"
RESULTS = "results.jsonl"
"""Names of the two files: what the campaign is; a result a line."""


class FolderError(RingwalkerError):
    """A folder that is of another campaign, is in use, or cannot be read; the message says which."""


class CampaignFolder:
    """The folder ``path`` of the campaign that ``kind`` and ``description``, which JSON can hold, describe.

    A new folder is made; one that there is goes on. A result is in the file when :meth:`add` returns,
    whatever becomes of this process; a last line that is torn counts as none. Results of tasks that failed
    stay in the file, and the tasks are run again when the campaign goes on. Use it as a context manager: one
    process at a time has the folder.
    Errors: :class:`FolderError`, ``OutputError``.
    """

    def __init__(self, path: str | Path, kind: str, description: Mapping[str, Any]):
        self.path = make_folder(path)
        self._here = json.loads(json.dumps({"campaign": kind, "description": dict(description)}))
        self._done: dict[str, tuple[str, Result]] = {}
        with writing(self.path / RESULTS):
            self._file: BinaryIO = open(self.path / RESULTS, "a+b")  # noqa: SIM115
        try:
            self._lock()
            self._identify()
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(f"{self.path}: another process works on this campaign") from None

    def _identify(self) -> None:
        """Write what the campaign is, or see that it is this one."""
        place = self.path / DESCRIPTION
        if not place.exists():
            if self._file.seek(0, os.SEEK_END):
                raise FolderError(f"{self.path}: has {RESULTS} and no {DESCRIPTION}")
            with writing(place):
                new = place.with_name(f"{DESCRIPTION}.new")
                new.write_text(json.dumps(self._here, indent=2) + "\n")
                new.replace(place)
            return
        try:
            there = json.loads(place.read_text())
            kind, description = there["campaign"], dict(there["description"])
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise FolderError(f"{place}: is no description of a campaign: {error}") from None
        if kind != self._here["campaign"]:
            raise FolderError(f"{self.path}: is of another campaign, {kind}")
        here = self._here["description"]
        for name in sorted({*here, *description}):
            if here.get(name) != description.get(name):
                values = f"{name} is {json.dumps(description.get(name))}, not {json.dumps(here.get(name))}"
                raise FolderError(f"{self.path}: is of another campaign: {values}")

    def _read(self) -> None:
        """Take in what is done; cut off a last line that is torn."""
        self._file.seek(0)
        with named_in_errors(self.path / RESULTS):
            content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with writing(self.path / RESULTS):
                self._file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
                call = Task(row.pop("function"), row.pop("arguments")).words
                result = Result(**row)
            except (ValueError, TypeError, KeyError, AttributeError):
                raise FolderError(f"{self.path / RESULTS}: line {number} is no result") from None
            if not result.error:
                self._done[result.key] = (call, result)

    def done(self, task: Task) -> Result | None:
        """The result of a task, if there is one that did not fail. Errors: :class:`FolderError` when the task
        that has its key there is another one."""
        call, result = self._done.get(task.key, (task.words, None))
        if call != task.words:
            raise FolderError(f"{self.path}: {task.key} is another task there")
        return result

    def add(self, task: Task, result: Result) -> None:
        """Write a result. Errors: ``OutputError``."""
        row = {"key": result.key, "function": task.function, "arguments": dict(task.arguments)}
        for item in dataclasses.fields(result):
            value = getattr(result, item.name)
            if item.name not in row and value != item.default:
                row[item.name] = value
        with writing(self.path / RESULTS):
            self._file.write(json.dumps(row).encode() + b"\n")
            self._file.flush()
        if not result.error:
            self._done[task.key] = (task.words, result)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self._file.close()
