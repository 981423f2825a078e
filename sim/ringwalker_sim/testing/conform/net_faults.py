"""Faults of a network device in configuration, transmission and reception: a check finds each."""

from dataclasses import replace
from typing import Any

from ringwalker.spec.net import (
    NetFeature,
    NetGso,
    NetHeaderFlag,
    NetRxCommand,
)

from ...conform.net.header import PacketHeader
from ...conform.net.packets import complete, is_valid, layers
from .fault import Fault, around, nothing
from .net_patches import Patch, accepts, cut, header, put, says, with_driver_ok

__all__ = ["CONFIG_FAULTS", "RECEIVE_FAULTS", "TRANSMIT_FAULTS"]

_F, _RX = NetFeature, NetRxCommand
_BROADCAST = b"\xff" * 6


def _offers_less(feature: NetFeature) -> Patch:
    def patch(port: Any) -> None:
        port.model.features &= ~(1 << feature)

    return patch


def _faster(model: Any, _header: PacketHeader, _frame: bytes, frames: list[bytes]) -> list[bytes]:
    model.put("speed", model.get("speed") + 1)
    return frames


CONFIG_FAULTS = [
    Fault(name, check, clause, patch)
    for name, check, clause, patch in (
        (
            "hashes without a control queue",
            "commands_that_hashes_and_filters_need",
            "net-01.13",
            _offers_less(_F.CTRL_VQ),
        ),
        ("no pairs", "number_of_pairs_is_in_range", "net-01.01", put("max_virtqueue_pairs", 0)),
        ("MTU of 67", "mtu_is_in_range", "net-01.02", put("mtu", 67)),
        ("MTU of 576", "mtu_is_in_range", "net-01.03", put("mtu", 576)),
        ("MTU that changes", "mtu_stays_as_it_is", "net-01.04", with_driver_ok("mtu", 1400)),
        (
            "packets above the MTU",
            "longer_packets_are_not_received",
            "net-01.05",
            accepts(lambda _modes, _frame, _accepted: True),
        ),
        (
            "fragments",
            "packets_of_all_sizes_are_sent",
            "net-01.06",
            cut(lambda _model, _header, frame, _frames: [frame[:1000], *[frame[1000:]][: len(frame) > 1000]]),
        ),
        ("keys of 39 bytes", "limits_of_receive_side_scaling", "net-01.07", put("rss_max_key_size", 39)),
        (
            "tables of 64 entries",
            "limits_of_receive_side_scaling",
            "net-01.08",
            put("rss_max_indirection_table_length", 64),
        ),
        (
            "standby device that sends nothing",
            "standby_device_works",
            "net-01.09",
            cut(lambda model, _header, _frame, frames: [] if model.has(_F.STANDBY) else frames),
        ),
        ("speed of 32 bits", "speed_and_duplex_exist", "net-01.10", put("speed", 0x8000_0000)),
        ("duplex of 2", "speed_and_duplex_exist", "net-01.11", put("duplex", 2)),
        ("speed that changes", "speed_stays_while_the_link_is_up", "net-01.12", cut(_faster)),
        (
            "link that is always up",
            "link_status_follows_the_cable",
            "core-04.01",
            lambda port: setattr(port.model, "set_link", nothing),
        ),
        (
            "address that changes",
            "address_is_that_of_a_station",
            "core-04.01",
            with_driver_ok("mac", 0x665544332200),
        ),
    )
]


def _stops_at_wrong_sums() -> Patch:
    broken: list[bytes] = []

    def change(_model: Any, _header: PacketHeader, frame: bytes, frames: list[bytes]) -> list[bytes]:
        found = layers(frame)
        if found is not None and not is_valid(frame, found):
            broken.append(frame)
        return [] if broken else frames

    return cut(change)


def _only_right_lengths(_model: Any, header: PacketHeader, _frame: bytes, frames: list[bytes]) -> list[bytes]:
    return frames if not header.gso_type or header.hdr_len == 54 else []


TRANSMIT_FAULTS = [
    Fault(name, check, clause, cut(change) if not isinstance(change, tuple) else change[0])
    for name, check, clause, change in (
        (
            "unknown flags",
            "unknown_flags_are_ignored",
            "net-02.01",
            lambda _model, header, _frame, frames: [] if header.flags & 0x80 else frames,
        ),
        (
            "checksums without NEEDS_CSUM",
            "checksum_fields_mean_nothing_without_their_flag",
            "net-02.02",
            lambda _model, header, frame, frames: (
                [complete(frame, header.csum_start, header.csum_offset)] if header.csum_start else frames
            ),
        ),
        (
            "wrong checksum that stops the device",
            "checksum_fields_mean_nothing_without_their_flag",
            "net-02.11",
            (_stops_at_wrong_sums(),),
        ),
        (
            "checksum in another place",
            "checksum_is_completed_with_its_flag",
            "net-02.02",
            lambda _model, header, frame, frames: (
                [complete(frame, header.csum_start, header.csum_offset + 2)] if header.flags else frames
            ),
        ),
        ("hdr_len that is relied on", "header_length_is_only_a_hint", "net-02.07", _only_right_lengths),
        (
            "segmentation that breaks with GUEST_HDRLEN",
            "header_length_may_be_used_when_it_is_exact",
            "net-02.05",
            lambda model, _header, frame, frames: [frame[:60]] if model.has(_F.GUEST_HDRLEN) else frames,
        ),
        (
            "outer_nh_offset of 0",
            "place_of_the_network_header_may_be_given",
            "net-02.04",
            lambda model, header, _frame, frames: [] if not header.outer_nh_offset else frames,
        ),
        (
            "two tunnels at once",
            "contradictions_about_tunnels_are_not_accepted",
            "net-02.08",
            lambda _model, _header, frame, _frames: [frame],
        ),
        (
            "tunnel without NEEDS_CSUM",
            "contradictions_about_tunnels_are_not_accepted",
            "net-02.10",
            lambda _model, header, frame, frames: frames if header.flags else [frame],
        ),
        (
            "offsets without a tunnel",
            "offsets_of_tunnels_mean_nothing_without_one",
            "net-02.09",
            lambda _model, header, frame, frames: [] if header.outer_th_offset else frames,
        ),
        (
            "resource without SECURITY",
            "resource_means_nothing_without_its_flag",
            "net-02.12",
            lambda _model, header, _frame, frames: [] if header.resource_id else frames,
        ),
    )
]


def _spreads(port: Any) -> None:
    around(port.model, "has", lambda has, *any_of: _F.MRG_RXBUF in any_of or has(*any_of))


def _short_parts(port: Any) -> None:
    def arranged(parts: Any) -> Any:
        return [(request, part[:-1]) for request, part in parts[:-1]] + parts[-1:]

    around(port.model, "arranged", lambda _arranged, parts: arranged(parts))


def _one_at_a_time(port: Any) -> None:
    """The first buffer of a packet is used long before the others."""
    model = port.model

    def arranged(parts: Any) -> Any:
        (first, content), *rest = parts
        first.finish(content)
        for request, part in rest:
            model.schedule(500, lambda request=request, part=part: request.finish(part))
        return []

    around(model, "arranged", lambda _arranged, parts: arranged(parts))


_COALESCED = NetHeaderFlag.NEEDS_CSUM | NetHeaderFlag.RSC_INFO
_TO_SEGMENT = {"gso_type": int(NetGso.TCPV4), "hdr_len": 54, "gso_size": 500}


def _segmented(header: PacketHeader, frame: bytes, **values: int) -> tuple[PacketHeader, bytes]:
    if not header.flags & NetHeaderFlag.NEEDS_CSUM:
        return header, frame
    return replace(header, **{**_TO_SEGMENT, **values}), frame


def _completed(header: PacketHeader, frame: bytes) -> tuple[PacketHeader, bytes]:
    if not header.flags & NetHeaderFlag.NEEDS_CSUM:
        return header, frame
    return header, complete(frame, header.csum_start, header.csum_offset)


RECEIVE_FAULTS = [
    Fault(name, check, clause, patch)
    for name, check, clause, patch in (
        ("num_buffers of 0", "packets_of_all_sizes_are_received", "net-04.01", says(num_buffers=0)),
        (
            "packet that ends early",
            "packets_of_all_sizes_are_received",
            "net-03.01",
            header(lambda header, frame: (header, frame[: max(14, len(frame) - 1)])),
        ),
        (
            "one buffer too many in num_buffers",
            "packets_are_spread_over_buffers",
            "net-04.04",
            header(lambda header, frame: (replace(header, num_buffers=header.num_buffers + 1), frame)),
        ),
        ("buffers that are not full", "packets_are_spread_over_buffers", "net-04.03", _short_parts),
        ("buffers one by one", "packets_are_spread_over_buffers", "net-04.04", _one_at_a_time),
        ("merged without MRG_RXBUF", "packets_do_not_go_into_two_buffers", "net-03.02", _spreads),
        (
            "DATA_VALID without GUEST_CSUM",
            "headers_without_offloads",
            "net-04.05",
            says(flags=NetHeaderFlag.DATA_VALID),
        ),
        (
            "TCPV4 without GUEST_TSO4",
            "headers_without_offloads",
            "net-04.07",
            says(gso_type=NetGso.TCPV4),
        ),
        (
            "wrong checksum without GUEST_CSUM",
            "headers_without_offloads",
            "net-04.06",
            header(lambda header, frame: (header, frame[:-1] + bytes([frame[-1] ^ 1]))),
        ),
        (
            "checksum that is completed elsewhere",
            "headers_with_checksum_offload",
            "net-04.20",
            header(lambda header, frame: (replace(header, csum_offset=header.csum_offset & 6), frame)),
        ),
        ("no pseudo header", "headers_with_checksum_offload", "net-04.19", header(_completed)),
        (
            "segmentation without a size",
            "headers_with_all_offloads",
            "net-04.28",
            header(lambda header, frame: _segmented(header, frame, gso_size=0)),
        ),
        (
            "coalesced segments that are not counted",
            "headers_with_all_offloads",
            "net-04.29",
            header(_segmented),
        ),
        (
            "hdr_len that is too small",
            "headers_with_all_offloads",
            "net-04.31",
            header(lambda header, frame: _segmented(header, frame, flags=_COALESCED, hdr_len=14)),
        ),
        (
            "SECURITY without an association",
            "headers_without_security_associations",
            "net-04.39",
            says(flags=NetHeaderFlag.SECURITY),
        ),
        (
            "SECURITY_ERR without an association",
            "headers_without_security_associations",
            "net-04.42",
            says(flags=NetHeaderFlag.SECURITY_ERR),
        ),
        (
            "pieces that are left out",
            "buffers_in_pieces_are_filled",
            "net-03.01",
            header(lambda header, frame: (header, frame[:40] + frame[41:])),
        ),
    )
]
