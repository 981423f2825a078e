"""Faults of a network device in the filters of received packets: a check finds each."""

from typing import Any

from ringwalker.spec.net import NetClass, NetMacCommand, NetRxCommand, NetVlanCommand

from .fault import Fault, around, nothing
from .net_patches import Patch, accepts, ignores, kept

__all__ = ["FILTER_FAULTS"]

_RX = NetRxCommand


def _is_station(frame: bytes) -> bool:
    return not frame[0] & 1


def _late_address(port: Any) -> None:
    def handle(model: Any, data: bytes) -> bytes:
        model.schedule(2000, lambda: model.put("mac", int.from_bytes(data, "little")))
        return b""

    port.model.commands[NetClass.MAC, NetMacCommand.ADDR_SET] = handle


def _stays_on(mode: NetRxCommand) -> Patch:
    """A mode is turned on by any command for it."""

    def handle(device: Any, _data: bytes) -> bytes:
        device.modes.add(mode)
        return b""

    return lambda port: port.model.commands.update({(NetClass.RX, mode): handle})


def _all_vlans_at_first(port: Any) -> None:
    def reset(reset: Any) -> None:
        reset()
        port.model.vlans = set(range(4096))

    around(port.model, "reset", reset)


def _loses_long_packets(port: Any) -> None:
    around(port.model, "accepts", lambda accepts, frame: len(frame) < 1000 and accepts(frame))


FILTER_FAULTS = [
    Fault(name, check, clause, patch)
    for name, check, clause, patch in (
        (
            "promiscuous mode without effect",
            "promiscuous_mode_receives_all",
            "net-05.02",
            ignores(NetClass.RX, _RX.PROMISCUOUS),
        ),
        (
            "no promiscuous mode",
            "promiscuous_mode_receives_all",
            "net-05.01",
            lambda port: port.model.commands.pop((NetClass.RX, _RX.PROMISCUOUS)),
        ),
        (
            "suppression above promiscuous mode",
            "promiscuous_mode_is_above_the_others",
            "net-05.03",
            accepts(lambda modes, frame, ok: ok and not (_RX.NO_UNICAST in modes and _is_station(frame))),
        ),
        (
            "all-multicast without effect",
            "all_multicast_receives_groups",
            "net-05.04",
            ignores(NetClass.RX, _RX.ALL_MULTICAST),
        ),
        (
            "all-unicast without effect",
            "all_unicast_receives_stations",
            "net-05.06",
            ignores(NetClass.RX, _RX.ALL_UNICAST),
        ),
        (
            "multicast that is not suppressed",
            "suppressed_multicast_is_not_received",
            "net-05.07",
            accepts(lambda modes, frame, ok: ok or _RX.NO_MULTICAST in modes),
        ),
        (
            "all-multicast above suppression",
            "suppressed_multicast_is_not_received",
            "net-05.08",
            accepts(lambda modes, _frame, ok: ok or {_RX.NO_MULTICAST, _RX.ALL_MULTICAST} <= modes),
        ),
        (
            "broadcast is multicast",
            "suppressed_multicast_is_not_received",
            "net-05.09",
            accepts(lambda modes, frame, ok: ok and not (_RX.NO_MULTICAST in modes and frame[0] & 1)),
        ),
        (
            "unicast that is not suppressed",
            "suppressed_unicast_is_not_received",
            "net-05.10",
            accepts(lambda modes, _frame, ok: ok or _RX.NO_UNICAST in modes),
        ),
        (
            "all-unicast above suppression",
            "suppressed_unicast_is_not_received",
            "net-05.11",
            accepts(lambda modes, _frame, ok: ok or {_RX.NO_UNICAST, _RX.ALL_UNICAST} <= modes),
        ),
        (
            "broadcast that is not suppressed",
            "suppressed_broadcast_is_not_received",
            "net-05.12",
            accepts(lambda modes, _frame, ok: ok or _RX.NO_BROADCAST in modes),
        ),
        (
            "all-multicast above suppressed broadcast",
            "suppressed_broadcast_is_not_received",
            "net-05.13",
            accepts(lambda modes, _frame, ok: ok or {_RX.NO_BROADCAST, _RX.ALL_MULTICAST} <= modes),
        ),
        (
            "no table of addresses",
            "table_of_addresses_is_set_at_once",
            "net-06.02",
            lambda port: port.model.commands.pop((NetClass.MAC, NetMacCommand.TABLE_SET)),
        ),
        (
            "table of addresses without effect",
            "table_of_addresses_is_set_at_once",
            "net-06.02",
            ignores(NetClass.MAC, NetMacCommand.TABLE_SET),
        ),
        (
            "table of addresses that a reset leaves",
            "table_of_addresses_is_empty_on_reset",
            "net-06.01",
            kept("stations"),
        ),
        (
            "no filter",
            "frames_to_others_are_dropped",
            "net-06.04",
            accepts(lambda _modes, _frame, _accepted: True),
        ),
        ("address that is set later", "address_is_set_at_once", "net-06.03", _late_address),
        (
            "address that is read-only",
            "address_is_written_by_legacy_drivers",
            "legacy-01.02",
            lambda port: setattr(port.model, "write_config", nothing),
        ),
        (
            "tagged frames that are dropped",
            "tagged_frames_are_received",
            "net-07.01",
            accepts(lambda _modes, frame, accepted: accepted and frame[12:14] != b"\x81\0"),
        ),
        ("VLANs that a reset leaves", "vlans_are_filtered", "net-07.03", _all_vlans_at_first),
        (
            "VLANs that are not added",
            "vlans_are_filtered",
            "net-07.02",
            ignores(NetClass.VLAN, NetVlanCommand.ADD),
        ),
        (
            "VLANs that are not removed",
            "vlans_are_filtered",
            "net-07.03",
            ignores(NetClass.VLAN, NetVlanCommand.DEL),
        ),
        ("promiscuous mode that stays on", "filters_in_any_order", "net-06.04", _stays_on(_RX.PROMISCUOUS)),
        (
            "suppression that is forgotten",
            "filters_in_any_order",
            "net-05.11",
            ignores(NetClass.RX, _RX.NO_UNICAST),
        ),
        ("packet that gets lost", "packets_both_ways", "net-03.01", _loses_long_packets),
        (
            "announcement for ever",
            "announcement_is_acknowledged",
            "net-08.01",
            ignores(NetClass.ANNOUNCE, 0),
        ),
    )
]
