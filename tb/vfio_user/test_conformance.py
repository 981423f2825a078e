"""The suite on a device behind a vfio-user socket, of which it knows nothing."""

from pathlib import Path

from ringwalker_sim.conform.session import Session
from ringwalker_sim.conform.suite import PASSED, select
from ringwalker_sim.conform.targets.socket import open_socket
from ringwalker_sim.guest.port import make_bdf
from ringwalker_sim.vfio_user.client_port import SharedMemory, VfioPort
from ringwalker_sim.vfio_user.serving import DeviceHandle

CHECKS = ("reset_clears_status", "nothing_is_used_before_driver_ok", "sr_iov_goes_with_its_capability")


def test_checks_pass_through_the_socket(served: DeviceHandle) -> None:
    with Session(lambda: open_socket(served.socket)) as session:
        found = session.run(select(CHECKS))
    assert [(item.verdict, item.text) for item in found] == [(PASSED, "")] * len(found)
    assert {item.check.name for item in found} == set(CHECKS)


def test_configuration_space_ends_where_the_server_says(served: DeviceHandle, memory: SharedMemory) -> None:
    with VfioPort(served.socket, memory) as port:
        assert port.run(port.config_read(port.bdf, 0x100, 4)) == 0xFFFF_FFFF
        assert port.run(port.config_read(make_bdf(2, 0), 0, 4)) == 0xFFFF_FFFF
        port.run(port.config_write(port.bdf, 0x100, 4, 1))


def test_a_server_that_goes_away_fails_one_check(served: DeviceHandle, tmp_path: Path) -> None:
    with Session(lambda: open_socket(served.socket)) as session:
        session.target.port.client.close()
        first, second = session.run(select(CHECKS[:1]) * 2)
    assert (first.verdict, second.verdict) == ("failed", PASSED)
    assert first.text.startswith("the check was broken off")
