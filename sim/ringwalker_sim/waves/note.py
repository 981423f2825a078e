"""The note beside a file of waves that says which device they show."""

from pathlib import Path

from ringwalker.config import DeviceConfig
from ringwalker.outputs import write_file

__all__ = ["note_config", "note_of"]


def note_of(fst: Path) -> Path:
    """The file beside the waves ``fst`` that :func:`note_config` writes."""
    return fst.with_suffix(".toml")


def note_config(fst: str | Path, config: DeviceConfig) -> None:
    """Leave beside the waves which device they show. Errors: ``OutputError``."""
    write_file(note_of(Path(fst)), f"# the device whose waves are in {Path(fst).name}\n{config.to_toml()}")
