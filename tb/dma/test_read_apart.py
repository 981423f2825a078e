"""Memories whose collisions synthesis need not look at: what is read while it is written never counts."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ringwalker.dma.reader import DmaReader
from ringwalker.function.blk.function import BlkFunction
from ringwalker.pci.msix import MsixTable
from ringwalker_sim.testing import run_bench
from ringwalker_sim.testing.descriptor_bench import FetchAndStore
from ringwalker_sim.testing.spoiling import SpoilingMemory


def reader(tests: Any) -> tuple[Any, dict[str, int]]:
    return DmaReader(64, tests.TAGS, tests.SLOT, tests.TIMEOUT), {"width": 64}


def posted(tests: Any) -> tuple[Any, dict[str, int]]:
    return tests.PostedBench(64), {"width": 64}


def segments(_tests: Any) -> tuple[Any, dict[str, int]]:
    return FetchAndStore(64, 16, 4, 17), {"width": 64, "queue_size": 16, "chains": 4}


def blk(tests: Any) -> tuple[Any, dict[str, int]]:
    return BlkFunction(tests.config(64, 2)), {"data_width": 64, "chunk_sectors": 2}


def msix(tests: Any) -> tuple[Any, dict[str, int]]:
    return MsixTable(tests.CONFIG), {}


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("user", "module", "make"),
    [
        pytest.param("dma.slots", "dma.test_reader", reader, marks=SLOW),
        pytest.param("dma.posted", "dma.test_posted", posted, marks=SLOW),
        pytest.param("queue.chain.store", "queue.chain.test_fetch", segments, marks=SLOW),
        pytest.param("function.blk.write_buffer", "function.blk.test_function", blk, marks=SLOW),
        ("pci.msix", "pci.test_msix", msix),
    ],
)
def test_no_read_meets_a_write(user, module, make, monkeypatch):
    """All tests of ``module`` pass as well when a collision spoils what is read."""
    monkeypatch.syspath_prepend(Path.cwd())
    place = importlib.import_module(f"ringwalker.{user}")
    name = "Memory" if hasattr(place, "Memory") else "memory"
    spoiling: Any = SpoilingMemory
    monkeypatch.setattr(place, name, spoiling if name == "Memory" else SimpleNamespace(Memory=spoiling))
    component, parameters = make(importlib.import_module(f"tb.{module}"))
    # Kept Verilog knows nothing of the patch; what cannot be described is elaborated anew.
    component.spoiled = object()
    run_bench(component, f"tb.{module}", parameters=parameters)
