"""``python -m ringwalker.generate``: the files of a device, or the register reference."""

import argparse
import dataclasses
import sys
from pathlib import Path

from ..config import DeviceConfig
from ..errors import RingwalkerError
from ..outputs import write_file
from . import generate, register_reference

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run with ``arguments`` (default: of the process); 0, or 2 after one line on what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m ringwalker.generate", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("build"), help="folder for the files")
    parser.add_argument("--config", type=Path, help="TOML file; without it the default device")
    parser.add_argument(
        "--function",
        metavar="NAME",
        help="function in place of that of the file: a name as in TOML, or package.module:Name",
    )
    parser.add_argument("--name", help="of the Verilog and its files, in place of that of the file")
    parser.add_argument(
        "--docs",
        type=Path,
        nargs="?",
        const=Path("docs/registers.md"),
        help="write the register reference only",
    )
    options = parser.parse_args(arguments)
    try:
        if options.docs:
            write_file(options.docs, register_reference())
            print(options.docs)
            return 0
        config = _config(options.config, options.function)
        if options.name is not None:
            config = dataclasses.replace(config, name=options.name)
        for path in generate(config, options.output):
            print(path)
    except RingwalkerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _config(path: Path | None, function: str | None) -> DeviceConfig:
    if path is not None:
        return DeviceConfig.from_toml(path, function)
    return DeviceConfig() if function is None else DeviceConfig(function=function)


if __name__ == "__main__":
    sys.exit(main())
