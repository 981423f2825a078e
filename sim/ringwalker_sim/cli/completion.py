"""The command ``completion``: what a shell needs to complete the ``ringwalker`` command.

The script is made from the parser by shtab and is static: a shell that completes starts no Python. What is
made anew at each key, as argcomplete does it, would take the half second in which the commands are imported.
"""

import argparse
from typing import Any

from .options import add_command
from .standard_output import write_output

__all__ = ["SHELLS", "add_parser", "completion_script", "run"]

SHELLS = ("bash", "zsh", "fish")
"""The shells that can be given a script."""

_FILES = ("FILE", "IN", "OUT", "IMAGE", "PATH", "SOCKET")
_FOLDERS = ("DIR", "FOLDER")
"""First words of metavars whose value is a file or a folder."""

_EXAMPLES = """\
examples:
  source <(ringwalker completion bash)
      for this shell; as a line of ~/.bashrc, for all of them
  ringwalker completion bash > ~/.local/share/bash-completion/completions/ringwalker
      for all shells, where the package bash-completion is installed
  ringwalker completion zsh > ~/.zfunc/_ringwalker
      in a folder of $fpath
  ringwalker completion fish > ~/.config/fish/completions/ringwalker.fish
"""


def add_parser(commands: Any) -> None:
    """Add ``completion`` to the commands."""
    parser = add_command(
        commands, "completion", "print a script with which a shell completes", _EXAMPLES, run
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"which shell: {', '.join(SHELLS)}")


def _parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """``parser`` and all below it."""
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [item for choice in action.choices.values() for item in _parsers(choice)]
    return found


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script with which ``shell``, one of :data:`SHELLS`, completes the commands of ``parser``."""
    import shtab

    for action in (action for item in _parsers(parser) for action in item._actions):
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        word = metavar.partition(".")[0]
        if action.choices is None and word in (*_FILES, *_FOLDERS):
            action.complete = shtab.DIRECTORY if word in _FOLDERS else shtab.FILE  # pyright: ignore[reportAttributeAccessIssue] # where shtab looks for it
    return shtab.complete(parser, shell)


def run(options: argparse.Namespace) -> int:
    """``ringwalker completion SHELL``."""
    from .main import build_parser

    write_output("-", completion_script(build_parser(), options.shell))
    return 0
