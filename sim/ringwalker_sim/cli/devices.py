"""Options of the commands that give devices to virtual machines."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ringwalker.config import DeviceConfig

from .options import RAW, UsageError, check_output, device_config, positive

__all__ = ["add_waves_options", "check_no_window", "modern_config", "parse_device", "waves_window"]


def add_waves_options(group: Any) -> None:
    """Options that choose which cycles the waves have."""
    group.add_argument("--waves-from", metavar="N", type=positive, help="waves begin with cycle N")
    group.add_argument("--waves-last", metavar="N", type=positive, help="waves of the last N cycles only")
    text = "keep the waves only if something goes wrong, and end them there"
    group.add_argument("--waves-on-error", action="store_true", help=text)


def check_no_window(options: argparse.Namespace) -> None:
    """Nothing records waves, so nothing may be said about their cycles. Errors: :class:`UsageError`."""
    for name in ("waves_from", "waves_last", "waves_on_error"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} needs --waves")


def parse_device(text: str, keys: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """``blk,image=A,read-only`` as function and settings, of which there are ``keys``; a comma in a value is
    doubled. Errors: :class:`UsageError`.
    """
    function, *items = (item.replace("\0", ",") for item in text.replace(",,", "\0").split(","))
    settings: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if key not in keys or (key == "read-only") == bool(equals) or (equals and not value):
            wanted = ", ".join("read-only" if key == "read-only" else f"{key}=..." for key in keys)
            raise UsageError(f"--device {text}: {item!r} is not one of {wanted}")
        if key == "format" and value != RAW:
            raise UsageError(f"--device {text}: format is {value!r}; it must be {RAW}")
        settings[key] = value or True
    return function, settings


def modern_config(options: argparse.Namespace, function: str | None) -> DeviceConfig:
    """The configuration that the options describe, with ``function`` if one is given. Unless the options say
    who the device is, it is what today's drivers expect.
    """
    chosen = argparse.Namespace(**vars(options))
    if function is not None:
        chosen.function = function
    if options.preset is None and options.config is None:
        chosen.preset = "oasis"
    return device_config(chosen)


def waves_window(options: argparse.Namespace, path: str | None) -> Any:
    """What to record of a device in the file ``path``; None for nothing. Errors: :class:`UsageError`."""
    from ..vfio_user.recorder import Waves

    if path is None:
        return None
    if Path(path).suffix != ".fst":
        raise UsageError(f"waves {path}: the name must end with .fst")
    check_output("waves", path)
    try:
        return Waves(path, options.waves_from or 0, options.waves_last, options.waves_on_error)
    except ValueError as error:
        raise UsageError(f"waves {path}: {error}") from None
