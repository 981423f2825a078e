"""Options of commands that are campaigns: where their tasks are done, and the folder that they go on from."""

import argparse
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from ..campaign.folder import CampaignFolder
from ..campaign.runner import Runner, has_cluster, open_runner
from .options import UsageError, positive

__all__ = ["add_campaign_options", "every_core", "open_campaign"]


def every_core() -> int:
    """As many workers as this process may use cores; one where Dask, which starts them, is not installed."""
    from ..processes import cores

    return cores() if has_cluster() else 1


def add_campaign_options(parser: Any, usual: str, folder: bool = True) -> Any:
    """``--workers``, of which the help says that ``usual`` is the default, ``--scheduler`` and, with
    ``folder``, ``--campaign``; the group that they are in."""
    group = parser.add_argument_group("campaign")
    text = f"how many processes of this machine do the work (default {usual})"
    group.add_argument("--workers", metavar="N", type=positive, help=text)
    text = "the workers of this Dask scheduler, HOST:PORT, do the work"
    group.add_argument("--scheduler", metavar="ADDRESS", help=text)
    if folder:
        text = "write results into this folder as they come, and go on from those that are there"
        group.add_argument("--campaign", metavar="DIR", help=text)
    return group


@contextmanager
def open_campaign(
    options: argparse.Namespace, kind: str, description: Mapping[str, Any], usual: int = 1
) -> Generator[tuple[Runner, CampaignFolder | None]]:
    """The runner that the options of :func:`add_campaign_options` ask for, with ``usual`` workers if they do
    not, and the folder, if there is to be one, of the campaign of ``kind`` and ``description``.

    The link of the dashboard is shown on standard error. Errors: :class:`.UsageError`; those of
    :class:`.CampaignFolder` and of :func:`.open_runner`.
    """
    if options.workers is not None and options.scheduler:
        raise UsageError("--workers and --scheduler: the workers of a scheduler are not started here")
    name = getattr(options, "campaign", None)
    with ExitStack() as stack:
        folder = stack.enter_context(CampaignFolder(name, kind, description)) if name else None
        runner = stack.enter_context(open_runner(options.workers or usual, options.scheduler or ""))
        if runner.dashboard:
            print(f"ringwalker: dashboard {runner.dashboard}", file=sys.stderr, flush=True)
        yield runner, folder
