"""``python -m ringwalker.generate``: the files of a device, or the register reference."""

import argparse
import sys
from pathlib import Path

from ..config import ConfigError, DeviceConfig
from . import generate, register_reference

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run with ``arguments`` (default: of the process); 0, or 2 after one line on what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m ringwalker.generate", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("build"), help="folder for the files")
    parser.add_argument("--config", type=Path, help="TOML file; without it the default device")
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
            options.docs.write_text(register_reference())
            print(options.docs)
            return 0
        config = DeviceConfig.from_toml(options.config) if options.config else DeviceConfig()
        for path in generate(config, options.output):
            print(path)
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
