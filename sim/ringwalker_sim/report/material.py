"""What a report is made of: read from a folder, or from files of a run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DataError, RingwalkerError
from ..timeline.file import load
from ..timeline.timeline import Timeline
from .ran import CONFIG, LSPCI, RUN, TIMELINE

__all__ = ["Material", "ReportError", "read_material"]

_GZIP = b"\x1f\x8b"

_READABLE = (
    "a report is made of what run, bench, sweep and conform write with --json, of a timeline (--timeline), "
    "or of a folder of run or bench (--report)"
)


class ReportError(RingwalkerError):
    """Something that no report can be made of; the message names it."""


@dataclass(frozen=True)
class Material:
    """What is known of a run. ``result`` is that of ``run``; ``rows`` are those of ``bench`` and ``sweep``,
    ``devices`` those of ``conform``. What is not known is None. ``names``: the files that it comes from.
    """

    result: Mapping[str, Any] | None = None
    rows: Sequence[Mapping[str, Any]] | None = None
    devices: Sequence[Mapping[str, Any]] | None = None
    timeline: Timeline | None = None
    config: str | None = None
    lspci: str | None = None
    ran: Mapping[str, Any] | None = None
    names: tuple[str, ...] = ()

    @property
    def clock_mhz(self) -> float | None:
        """The device's clock."""
        about = self.timeline.about if self.timeline is not None else {}
        row = self.rows[0] if self.rows and len(self.rows) == 1 else {}
        return (self.result or {}).get("clock_mhz") or about.get("clock_mhz") or row.get("clock_mhz")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ReportError(f"{path}: is neither JSON nor a timeline; {_READABLE}") from None
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror or error}") from None


def _is_timeline(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_GZIP)) == _GZIP
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror or error}") from None


def _rows_of(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _from_json(path: Path) -> Material:
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: is no JSON: {error}; {_READABLE}") from None
    found = content if isinstance(content, dict) else {}
    about = found.get("ran") if isinstance(found.get("ran"), dict) else None
    config = about.get("config") if about else None
    known = Material(ran=about, config=config)
    if _rows_of(found.get("rows")) and all("cycles" in row or "rate_per_s" in row for row in found["rows"]):
        return replace(known, rows=found["rows"])
    if _rows_of(found.get("devices")) and all("outcomes" in item for item in found["devices"]):
        return replace(known, devices=found["devices"])
    if "engine" in found and "errors" in found:
        return replace(known, result=found)
    raise ReportError(f"{path}: has neither figures of a run nor rows of one; {_READABLE}")


def _from_file(path: Path) -> Material:
    if _is_timeline(path):
        try:
            timeline = load(path)
        except DataError as error:
            raise ReportError(f"{error}; {_READABLE}") from None
        return Material(timeline=timeline, config=timeline.about.get("config"))
    if path.suffix == ".toml":
        return Material(config=_text(path))
    if path.suffix == ".txt":
        return Material(lspci=_text(path))
    return _from_json(path)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise ReportError(f"{path}: there is no such file or folder")
    if not path.is_dir():
        return [path]
    found = [path / name for name in (RUN, TIMELINE, CONFIG, LSPCI) if (path / name).is_file()]
    if not any(file.name in (RUN, TIMELINE) for file in found):
        raise ReportError(
            f"{path}: has neither {RUN} nor {TIMELINE}; 'ringwalker run blk --report {path}' writes both"
        )
    return found


def read_material(paths: Sequence[str | Path]) -> Material:
    """All of a run that the files and folders have. Errors: :class:`ReportError`."""
    whole = Material()
    for file in [file for path in paths for file in _files(Path(path))]:
        part = _from_file(file)
        new = {name: getattr(part, name) for name in _PARTS if getattr(part, name) is not None}
        for name in _ONCE:
            if name in new and getattr(whole, name) is not None:
                raise ReportError(f"{file}: a report is of one run, and {whole.names[0]} has its {name}")
        whole = replace(whole, **new, names=(*whole.names, str(file)))
    if sum(item is not None for item in (whole.result, whole.rows, whole.devices)) > 1:
        raise ReportError(f"{' and '.join(whole.names)} are of different commands; a report is of one")
    return whole


_ONCE = ("result", "rows", "devices", "timeline")
_PARTS = (*_ONCE, "config", "lspci", "ran")
