"""Captures: what scapy writes is read, what is written scapy reads, and what lies is refused by name."""

import gzip
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.utils import PcapNgWriter, RawPcapWriter, rdpcap, wrpcap

from ringwalker.outputs import OutputError
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


def pcap(
    *frames: bytes,
    link: int = 1,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    version: tuple[int, int] = (2, 4),
    cut: int = 0,
    fraction: int = 5,
) -> bytes:
    """A capture in which every frame was longer by ``cut`` bytes."""
    content = struct.pack(f"{order}IHHiIII", magic, *version, 0, 0, 65535, link)
    for frame in frames:
        content += struct.pack(f"{order}IIII", 7, fraction, len(frame), len(frame) + cut) + frame
    return content


def read(folder: Path, content: bytes) -> list[Frame]:
    (folder / "in.pcap").write_bytes(content)
    return read_frames(folder / "in.pcap")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_both_byte_orders_and_both_resolutions(tmp_path, order, magic, unit):
    assert read(tmp_path, pcap(b"a" * 60, order=order, magic=magic)) == [
        Frame(b"a" * 60, 7 * 10**9 + 5 * unit)
    ]


def test_what_scapy_writes_in_the_other_byte_order(tmp_path):
    path = tmp_path / "big.pcap"
    with RawPcapWriter(str(path), linktype=1, nano=True, endianness=">") as writer:
        for packet in PACKETS:
            writer.write(packet)
    assert [frame.data for frame in read_frames(path)] == WIRE


def test_a_check_sequence_comes_off_the_frames(tmp_path):
    frames = [frame + b"FCS." for frame in WIRE]
    assert [frame.data for frame in read(tmp_path, pcap(*frames, link=0x24000001))] == WIRE


def test_a_length_of_the_check_sequence_counts_only_with_its_bit(tmp_path):
    assert [frame.data for frame in read(tmp_path, pcap(*WIRE, link=0x20000001))] == WIRE


def test_a_compressed_capture(tmp_path):
    assert [frame.data for frame in read(tmp_path, gzip.compress(pcap(*WIRE)))] == WIRE
    with pytest.raises(CaptureError, match="cannot be decompressed"):
        read(tmp_path, gzip.compress(pcap(*WIRE))[:-20])


def test_fields_that_are_not_used_may_hold_anything(tmp_path):
    content = bytearray(pcap(*WIRE))
    content[8:20] = bytes(range(1, 13))
    assert [frame.data for frame in read(tmp_path, bytes(content))] == WIRE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a capture file: it begins with nothing"),
        (b"hello, this is text", "not a capture file: it begins with 68656c6c"),
        (pcap(bytes(60), link=101), "link type is 101; it must be 1"),
        (pcap(bytes(60), link=0x00010001), "0x10001, in which reserved bits are set"),
        (pcap(bytes(60), link=0x08000001), "0x8000001, in which reserved bits are set"),
        (pcap(bytes(60), link=0x14000001), "frame 1 has a check sequence of 2 bytes"),
        (pcap(b"abc", link=0x24000001), "frame 1 has 3 bytes, less than its check sequence"),
        (pcap(bytes(60), cut=1454), "frame 1 was cut to 60 of 1514"),
        (pcap(bytes(60), version=(2, 3)), "version of pcap is 2.3; it must be 2.4"),
        (pcap(bytes(60), magic=0xA1B2CD34), "Kuznetzov.*editcap -F pcap .*in.pcap"),
        (b"snoop\0\0\0" + bytes(60), "a capture of snoop"),
        (pcap()[:20], "inside of the file header at byte 0, after 0 whole frame"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_capture_may_not_be(tmp_path, content, message):
    with pytest.raises(CaptureError, match=message) as caught:
        read(tmp_path, content)
    assert "in.pcap" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_that_converts_is_quoted(tmp_path):
    path = tmp_path / "my capture; rm.pcap"
    path.write_bytes(pcap(magic=0xA1B2CD34, order=">"))
    with pytest.raises(CaptureError, match=r"editcap -F pcap '.*/my capture; rm.pcap' converted.pcap"):
        read_frames(path)


def test_a_capture_that_was_cut_says_where_and_how_much_of_it_is_whole(tmp_path):
    whole = pcap(*WIRE)
    ends = [24]
    for frame in WIRE:
        ends.append(ends[-1] + 16 + len(frame))
    for length in range(24, len(whole)):
        if length in ends:
            assert len(read(tmp_path, whole[:length])) == ends.index(length)
            continue
        done = sum(end <= length for end in ends) - 1
        with pytest.raises(CaptureError, match=f"frame at byte {ends[done]}, after {done} whole frame"):
            read(tmp_path, whole[:length])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_captures_are_frames_or_an_error(tmp_path, data):
    content = bytearray(pcap(*WIRE, link=data.draw(st.sampled_from([1, 0x24000001]))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        frames = read(tmp_path, bytes(content))
    except CaptureError:
        return
    assert sum(len(frame.data) for frame in frames) < len(content)


def test_a_capture_that_is_missing_is_explained(tmp_path):
    with pytest.raises(CaptureError, match="No such file"):
        read_frames(tmp_path / "none.pcap")


def test_a_full_disk_is_said_of_the_capture():
    with pytest.raises(OutputError, match=r"^/dev/full: cannot be written: No space left on device$"):
        write_frames("/dev/full", [Frame(bytes(10000))] * 20)
