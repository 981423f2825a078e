"""Captures: what scapy writes is read, and what is written scapy reads."""

import struct

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.utils import PcapNgWriter, rdpcap, wrpcap

from ringwalker_sim.workload.pcap import CaptureError, Frame, read_frames, write_frames

PACKETS = [
    Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.0.0.1", pdst="10.0.0.2"),
    Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    / Dot1Q(vlan=7)
    / IP(dst="10.0.0.2")
    / UDP()
    / b"abc",
    Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(dst="10.0.0.2") / UDP() / bytes(range(256)),
]
WIRE = [bytes(packet) for packet in PACKETS]


def test_frames_of_a_pcap_are_read_in_order(tmp_path):
    wrpcap(str(tmp_path / "a.pcap"), PACKETS)
    assert [frame.data for frame in read_frames(tmp_path / "a.pcap")] == WIRE


def test_frames_of_a_pcapng_are_read_in_order(tmp_path):
    with PcapNgWriter(str(tmp_path / "a.pcapng")) as writer:
        for packet in PACKETS:
            writer.write(packet)
    assert [frame.data for frame in read_frames(tmp_path / "a.pcapng")] == WIRE


def test_what_is_written_can_be_read_with_its_times(tmp_path):
    frames = [Frame(data, 5_000_000_000 + 1000 * n) for n, data in enumerate(WIRE)]
    write_frames(tmp_path / "b.pcap", frames)
    assert [frame.data for frame in read_frames(tmp_path / "b.pcap")] == WIRE
    packets = rdpcap(str(tmp_path / "b.pcap"))
    assert [bytes(packet) for packet in packets] == WIRE
    assert [round(float(packet.time) * 1e9) for packet in packets] == [frame.time_ns for frame in frames]


def test_an_empty_capture_has_no_frames(tmp_path):
    write_frames(tmp_path / "empty.pcap", [])
    assert read_frames(tmp_path / "empty.pcap") == []


def _pcap(linktype: int, length: int, wire: int) -> bytes:
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype)
    return header + struct.pack("<IIII", 0, 0, length, wire) + bytes(length)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a capture"),
        (b"hello, this is text", "not a capture"),
        (_pcap(101, 60, 60), "link type is 101"),
        (_pcap(1, 60, 1514), "cut to 60 of 1514"),
    ],
)
def test_bad_captures_are_explained(tmp_path, content, message):
    (tmp_path / "bad.pcap").write_bytes(content)
    with pytest.raises(CaptureError, match=message) as caught:
        read_frames(tmp_path / "bad.pcap")
    assert "bad.pcap" in str(caught.value)


def test_a_capture_that_is_missing_is_explained(tmp_path):
    with pytest.raises(CaptureError, match="No such file"):
        read_frames(tmp_path / "none.pcap")


def test_a_full_disk_is_said_of_the_capture():
    with pytest.raises(OSError, match="No space left") as caught:
        write_frames("/dev/full", [Frame(bytes(10000))] * 20)
    assert caught.value.filename == "/dev/full"
