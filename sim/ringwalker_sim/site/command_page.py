"""The page of all commands and their options, from the parser of the command line."""

import argparse
from collections.abc import Iterator

from ..cli.main import build_parser
from ..markdown import markdown_table
from .texts import GENERATED, cell

__all__ = ["commands_page"]

_INTRODUCTION = """\
Every command with its options, as `ringwalker COMMAND --help` shows them. A number of bytes may end in `k`,
`M` or `G`. Most exit codes are the same everywhere: 0, all is well; 1, something failed or is wrong; 2, an
option, a configuration or an image is wrong; 130, interrupted.
"""


def commands_page() -> str:
    """The text of the page."""
    parser = build_parser()
    entries = list(_commands(parser))
    rows = [[f"[`{name}`](#{_anchor(name)})", cell(_summary(item))] for name, item in entries]
    lines = ["# Commands", "", GENERATED, "", _INTRODUCTION, *markdown_table(("command", ""), rows)]
    for name, item in entries:
        lines += ["", f"## {name}", "", _summary(item), "", *_options(item), *_examples(item)]
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command that does something, with its name; those with commands of their own by these."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for item in action.choices.values():
                inner = list(_commands(item))
                yield from inner or [(item.prog, item)]


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def _summary(parser: argparse.ArgumentParser) -> str:
    return " ".join((parser.description or "").split())


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """A table of all options, with a row for the name of each group."""
    rows = []
    for group in parser._action_groups:
        actions = [
            action
            for action in group._group_actions
            if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)
        ]
        if actions and group.title not in ("options", "positional arguments"):
            rows.append([f"**{group.title}**", "", ""])
        rows += [[_name(action), _value(action), cell(_help(action, parser))] for action in actions]
    return markdown_table(("option", "value", "what"), rows) if rows else []


def _name(action: argparse.Action) -> str:
    names = action.option_strings or [str(action.metavar or action.dest)]
    return ", ".join(f"`{name}`" for name in names)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return ", ".join(f"`{choice}`" for choice in action.choices)
    return f"`{action.metavar or action.dest.upper()}`" if action.option_strings else ""


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    values = {**vars(action), "prog": parser.prog}
    return (action.help or "") % values


def _examples(parser: argparse.ArgumentParser) -> list[str]:
    text = (parser.epilog or "").strip()
    if not text:
        return []
    return ["", "```text", *text.splitlines(), "```"]
