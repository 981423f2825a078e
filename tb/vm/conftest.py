"""A QEMU and a guest for the tests of this folder, fetched into the cache where that is possible."""

import os

import pytest

from ringwalker_sim.toolchain import ToolError
from ringwalker_sim.vm.setup import GuestSetup, guest_setup


@pytest.fixture(scope="session")
def setup() -> GuestSetup:
    """What real guests need. RINGWALKER_FETCH=0: only what is here already."""
    try:
        return guest_setup(fetch=os.environ.get("RINGWALKER_FETCH", "1") != "0")
    except ToolError as error:
        pytest.skip(f"no QEMU and guest for real boots: {error}")
