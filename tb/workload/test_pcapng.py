"""pcapng: every field that a reader looks at, with what the format allows and what it refuses."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from ringwalker_sim.workload.capture import CaptureError
from ringwalker_sim.workload.pcapng import read_pcapng

FRAME = bytes(range(60))
SECTION, INTERFACE, PACKET, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class Maker:
    """Makes blocks in one byte order."""

    def __init__(self, order: str = "<"):
        self.order = order

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self.order + layout, *values)

    def block(self, kind: int, body: bytes) -> bytes:
        length = len(body) + 12
        return self.pack("II", kind, length) + body + self.pack("I", length)

    def options(self, options: dict[int, bytes]) -> bytes:
        content = b"".join(
            self.pack("HH", code, len(value)) + padded(value) for code, value in options.items()
        )
        return content + bytes(4) if options else b""

    def section(self, length: int = -1, version: tuple[int, int] = (1, 0), magic: int = 0x1A2B3C4D) -> bytes:
        return self.block(SECTION, self.pack("IHHq", magic, *version, length))

    def interface(self, link: int = 1, snap: int = 0, options: dict[int, bytes] | None = None) -> bytes:
        return self.block(INTERFACE, self.pack("HHI", link, 0xABCD, snap) + self.options(options or {}))

    def enhanced(
        self,
        data: bytes = FRAME,
        interface: int = 0,
        time: int = 0,
        original: int | None = None,
        options: dict[int, bytes] | None = None,
    ) -> bytes:
        original = len(data) if original is None else original
        header = self.pack("IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(data), original)
        return self.block(ENHANCED, header + padded(data) + self.options(options or {}))

    def packet(self, data: bytes = FRAME, interface: int = 0, time: int = 0) -> bytes:
        header = self.pack("HHIIII", interface, 3, time >> 32, time & 0xFFFFFFFF, len(data), len(data))
        return self.block(PACKET, header + padded(data))

    def simple(self, data: bytes = FRAME, original: int | None = None) -> bytes:
        return self.block(SIMPLE, self.pack("I", len(data) if original is None else original) + padded(data))


M = Maker()
BEGIN = M.section() + M.interface()


def frames(content: bytes) -> list[bytes]:
    return [frame.data for frame in read_pcapng("in.pcapng", content)]


def refused(content: bytes, words: str) -> None:
    with pytest.raises(CaptureError) as caught:
        read_pcapng("in.pcapng", content)
    assert str(caught.value).startswith("in.pcapng: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# --- what is read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
def test_all_three_blocks_of_packets_in_both_byte_orders(order):
    make = Maker(order)
    content = (
        make.section() + make.interface() + make.enhanced() + make.simple(b"odd") + make.packet(b"old..")
    )
    assert frames(content) == [FRAME, b"odd", b"old.."]


def test_blocks_and_options_of_other_types_are_skipped():
    other = M.block(5, bytes(12)) + M.block(0xBAD, b"abcd") + M.block(0x80001234, b"")
    content = BEGIN + other + M.enhanced(options={1: b"a comment", 0x8003: b"x"}) + other
    assert frames(content) == [FRAME]


def test_a_list_of_options_needs_no_end():
    body = M.pack("HHI", 1, 0, 0) + M.pack("HH", 2, 4) + b"eth0"
    assert frames(M.section() + M.block(INTERFACE, body) + M.enhanced()) == [FRAME]


def test_each_section_has_its_own_byte_order_and_interfaces():
    big = Maker(">")
    content = BEGIN + M.enhanced(b"one!") + big.section() + big.interface(link=101) + big.interface()
    assert frames(content + big.enhanced(b"two!", interface=1)) == [b"one!", b"two!"]
    refused(content + M.section() + M.enhanced(), "is of interface 0; the section has described 0")


def test_a_section_may_say_its_length():
    rest = M.interface() + M.enhanced()
    content = M.section(len(rest)) + rest
    assert frames(content + content) == [FRAME, FRAME]


def test_an_interface_of_another_link_type_does_no_harm_until_a_frame_is_of_it():
    content = BEGIN + M.interface(link=113) + M.enhanced()
    assert frames(content) == [FRAME]
    refused(content + M.enhanced(interface=1), "frame 2 has link type 113; it must be 1 (Ethernet)")


@pytest.mark.parametrize("minor", [0, 2])
def test_versions_that_mean_the_same(minor):
    assert frames(M.section(version=(1, minor)) + M.interface() + M.simple()) == [FRAME]


@pytest.mark.parametrize(
    ("options", "time", "time_ns"),
    [
        ({}, 5_000_001, 5_000_001_000),
        ({9: b"\x09"}, 5_000_000_001, 5_000_000_001),
        ({9: b"\x00"}, 3, 3_000_000_000),
        ({9: b"\x8a"}, 1024 + 512, 1_500_000_000),
        ({14: struct.pack("<q", -2)}, 5_000_000, 3_000_000_000),
        ({9: b"\x0c"}, 1 << 63, (1 << 63) // 1000),
    ],
)
def test_times_by_resolution_and_offset(options, time, time_ns):
    content = M.section() + M.interface(options=options) + M.enhanced(time=time) + M.packet(time=time)
    assert [frame.time_ns for frame in read_pcapng("x", content)] == [time_ns, time_ns]


@pytest.mark.parametrize(
    ("interface", "packet", "taken"),
    [
        ({}, {}, 0),
        ({13: b"\x00"}, {}, 0),
        ({13: b"\x04"}, {}, 4),
        ({13: b"\x20"}, {}, 4),
        ({}, {2: struct.pack("<I", 4 << 5)}, 4),
        ({13: b"\x04"}, {2: struct.pack("<I", 0x00000201)}, 4),
    ],
)
def test_a_check_sequence_comes_off_the_frames(interface, packet, taken):
    content = M.section() + M.interface(options=interface) + M.enhanced(options=packet)
    assert frames(content) == [FRAME[: 60 - taken]]


def test_a_simple_packet_is_as_long_as_the_snapshot_at_most():
    assert frames(M.section() + M.interface(snap=60) + M.simple()) == [FRAME]
    refused(M.section() + M.interface(snap=60) + M.simple(original=99), "frame 1 was cut to 60 of 99 bytes")


def test_scapy_reads_the_same():
    # With a limit: it takes the snapshot length 0 for one.
    content = M.section() + M.interface(snap=1000)
    content += M.enhanced(b"first frame", time=1) + M.simple(b"second") + M.packet(b"third..")
    with RawPcapNgReader(io.BytesIO(content)) as reader:
        assert [data for data, _metadata in reader] == frames(content)


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (M.section(magic=0x1A2B3C4E), "the block at byte 0 is a section header with byte order 4e3c2b1a"),
        (M.section(version=(2, 0)), "is a section of version 2.0; it must be 1.0"),
        (M.section(version=(1, 1)), "is a section of version 1.1; it must be 1.0"),
        (
            BEGIN + M.pack("II", 6, 8) + bytes(8),
            "the block at byte 48 has a length of 8; it must be a multiple",
        ),
        (BEGIN + M.pack("II", 6, 33) + bytes(40), "has a length of 33"),
        (BEGIN + bytes(64), "the block at byte 48 has a length of 0"),
        (BEGIN + M.enhanced()[:-4] + M.pack("I", 88), "has two lengths, 92 in front and 88 at its end"),
        (BEGIN + M.block(ENHANCED, bytes(16)), "has a body of 16 bytes; its type needs 20"),
        (M.section() + M.block(INTERFACE, bytes(4)), "has a body of 4 bytes; its type needs 8"),
        (BEGIN + M.enhanced(interface=1), "is of interface 1; the section has described 1"),
        (M.section() + M.simple(), "is of interface 0; the section has described 0"),
        (BEGIN + M.enhanced(original=1514), "frame 1 was cut to 60 of 1514 bytes"),
        (
            BEGIN + M.block(ENHANCED, M.pack("IIIII", 0, 0, 0, 61, 61) + FRAME),
            "has a frame of 61 bytes, and room for 60",
        ),
        (BEGIN + M.block(SIMPLE, M.pack("I", 61) + FRAME), "has a frame of 61 bytes, and room for 60"),
        (M.section() + M.interface(options={9: b"ab"}), "the option if_tsresol with 2 bytes; it must be 1"),
        (M.section() + M.interface(options={14: b"ab"}), "the option if_tsoffset with 2 bytes; it must be 8"),
        (
            M.section() + M.block(INTERFACE, M.pack("HHIHH", 1, 0, 0, 2, 9) + b"eth0"),
            "has an option (code 2) that is longer than what is left of it",
        ),
        (
            M.section() + M.interface(options={13: b"\x10"}) + M.enhanced(),
            "frame 1 has a check sequence of 2 bytes; that of Ethernet has 4",
        ),
        (M.section(20) + M.interface() + M.enhanced(), "at byte 48 is behind the end of its section"),
        (M.section(8) + M.interface(), "a section ends inside of a block, at byte 36"),
        (
            M.section(200) + M.interface(),
            "at byte 48, 0 whole frame(s), 180 bytes of its section",
        ),
        (M.section(200) + M.interface() + BEGIN, "180 bytes of its section are missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_file_may_not_say(content, words):
    refused(content, words)


def test_a_file_that_was_cut_says_where_and_how_much_of_it_is_whole():
    blocks = [M.section(), M.interface(), M.enhanced(), M.enhanced(b"abc"), M.simple(), M.block(5, bytes(12))]
    ends = [0]
    for block in blocks:
        ends.append(ends[-1] + len(block))
    whole = b"".join(blocks)
    for length in range(4, len(whole)):
        if length in ends:
            frames(whole[:length])
            continue
        begun = max(end for end in ends if end < length)
        done = max(0, sum(end <= length for end in ends) - 3)
        refused(whole[:length], f"inside of the block at byte {begun}, after {min(done, 3)} whole frame(s)")


@given(st.data())
def test_damaged_files_are_frames_or_an_error(data):
    parts = [M.enhanced(options={2: bytes(4)}), M.simple(b"abcde"), M.packet(), M.block(5, bytes(12))]
    content = bytearray(M.section() + M.interface(options={9: b"\x09", 13: b"\x00"}) + b"".join(parts))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = frames(bytes(content))
    except CaptureError:
        return
    assert sum(map(len, found)) < len(content)
