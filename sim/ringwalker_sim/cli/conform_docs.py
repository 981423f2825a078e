"""``conform --docs``: the page of the documentation, and the figures it is made of."""

import argparse
from typing import Any

from .options import UsageError, check_folder
from .report import progress_bar, report_unwritten, write_figures

__all__ = ["write_docs"]


def _measure() -> dict[str, Any]:
    """The figures of all devices. Errors: ``ToolError`` when there is no QEMU."""
    from ..conform.results.examined import devices, examine
    from ..vm.qemu import find_qemu

    qemu = find_qemu()
    with progress_bar() as (move, status):
        rows = [examine(item, move) for item in devices(qemu, status)]
    return {"qemu": qemu.name, "devices": rows}


def write_docs(options: argparse.Namespace) -> int:
    """Write page and figures; the exit code. Errors: :class:`.UsageError`."""
    from ..conform.results.page import FIGURES, PAGE, page, read_figures

    if options.source and not options.docs:
        raise UsageError("--from: it is for --docs")
    check_folder("--docs", options.docs)
    figures = read_figures(options.source) if options.source else _measure()
    return report_unwritten(write_figures(figures, None, options.docs, (FIGURES, PAGE), page))
