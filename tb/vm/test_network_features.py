"""QEMU's network card with features that it does not offer by itself: receive-side scaling, MTU, speed."""

import pytest

from ringwalker_sim.conform.checks import net_config, net_receive, net_steering
from ringwalker_sim.conform.session import Session
from ringwalker_sim.conform.suite import FAILED, PASSED, all_checks
from ringwalker_sim.conform.targets.qemu import open_qemu
from ringwalker_sim.vm.setup import GuestSetup

pytestmark = pytest.mark.slow

PROPERTIES = {"rss": True, "mq": True, "host_mtu": 1500, "speed": 1000, "duplex": "full"}
MODULES = (net_config, net_steering, net_receive)
FINDINGS = {
    # Packets are as long as what is behind the card lets them be.
    "longer_packets_are_not_received": "net-01.05",
    # num_buffers is not written without MRG_RXBUF.
    "packets_of_all_sizes_are_received": "net-04.01",
    # What is behind the card keeps packets until a receive queue is enabled again.
    "packets_are_dropped_while_all_queues_are_reset": "net-09.04",
    "packets_of_a_queue_that_is_reset_are_dropped": "net-10.02",
}
"""What QEMU does in place of what it should, by the clause."""


def test_steering_mtu_and_speed_of_qemus_card(setup: GuestSetup):
    mine = [check for check in all_checks() if any(check in vars(module).values() for module in MODULES)]
    with Session(lambda: open_qemu("virtio-net-pci", PROPERTIES, setup.qemu)) as session:
        found = session.run(mine)
    failed = {item.check.name: item.clause for item in found if item.verdict == FAILED}
    assert failed == FINDINGS
    passed = {item.check.name for item in found if item.verdict == PASSED}
    assert {"packets_are_steered_by_their_hash", "speed_and_duplex_exist", "mtu_is_in_range"} <= passed
