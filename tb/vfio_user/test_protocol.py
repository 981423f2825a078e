"""The vfio-user codec against a recorded boot."""

from pathlib import Path

import pytest

from ringwalker_sim.testing.vfio_recording import Exchange, read_recording
from ringwalker_sim.vfio_user import bodies, protocol
from ringwalker_sim.vfio_user.protocol import HEADER_BYTES, Command, Header, ProtocolError

RECORDING = read_recording(Path(__file__).parent / "boot.jsonl")


def _answer(exchange: Exchange) -> bytes:
    """The recorded answer, made again from what was asked and the values that only the device knows."""
    header, body, recorded = exchange.header, exchange.body, exchange.answer[HEADER_BYTES:]
    match header.command:
        case Command.VERSION:
            major, minor, _capabilities = bodies.version(body)
            assert (major, minor) == (0, 0)
            return protocol.reply(header, bodies.version_body(bodies.version(recorded)[2]))
        case Command.DMA_MAP:
            mapping = bodies.DmaMap.unpack(body)
            assert mapping.size % 4096 == 0
            return protocol.reply(header)
        case Command.DMA_UNMAP:
            return protocol.reply(header, bodies.DmaUnmap.unpack(body).pack())
        case Command.DEVICE_GET_INFO:
            return protocol.reply(header, bodies.device_info(body))
        case Command.DEVICE_GET_REGION_INFO:
            size = int.from_bytes(recorded[16:24], "little")
            return protocol.reply(header, bodies.region_info(bodies.region_info_index(body), size))
        case Command.DEVICE_GET_IRQ_INFO:
            flags, count = (int.from_bytes(recorded[at : at + 4], "little") for at in (4, 12))
            return protocol.reply(header, bodies.irq_info(bodies.irq_info_index(body), flags, count))
        case Command.DEVICE_SET_IRQS:
            request = bodies.IrqSet.unpack(body)
            assert exchange.fds in (0, request.count)
            return protocol.reply(header)
        case Command.REGION_READ:
            access = bodies.RegionAccess.unpack(body, write=False)
            return protocol.reply(header, access.pack(recorded[16:]))
        case Command.REGION_WRITE:
            access = bodies.RegionAccess.unpack(body, write=True)
            assert len(access.data) == access.count
            return protocol.reply(header, access.pack()) if header.wants_reply else b""
        case Command.DEVICE_RESET:
            return protocol.reply(header)
        case _:
            raise AssertionError(f"command {header.command} is not in the protocol")


def test_every_recorded_message_is_understood_and_every_answer_made_again() -> None:
    for exchange in RECORDING:
        assert _answer(exchange) == exchange.answer, exchange.request.hex()
    assert {exchange.header.command for exchange in RECORDING} >= {1, 2, 3, 4, 5, 7, 8, 9, 10, 13}


def test_dma_accesses_survive_a_round_trip() -> None:
    access = bodies.DmaAccess(0x1234_5678_9ABC, 5, b"hello")
    assert bodies.DmaAccess.unpack(access.pack()) == access


@pytest.mark.parametrize("size", [0, 15, HEADER_BYTES + protocol.MAX_BODY + 1, 0xFFFF_FFFF])
def test_a_header_with_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError, match=f"has a size of {size} bytes$"):
        Header.unpack(Header(1, Command.REGION_READ, size).pack())


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (bodies.version, b"\0"),
        (bodies.version, b"\0\0\0\0{not json}\0"),
        (bodies.version, b'\0\0\0\0{"capabilities": 3}\0'),
        (bodies.version, b"\0\0\0\0[]\0"),
        (bodies.DmaMap.unpack, bytes(31)),
        (bodies.DmaMap.unpack, bytes(32)),
        (bodies.DmaMap.unpack, bytes(16) + b"\xff" * 16),
        (bodies.DmaUnmap.unpack, bytes(23)),
        (bodies.IrqSet.unpack, bytes(8) + b"\5" + bytes(11)),
        (bodies.IrqSet.unpack, bytes(4) + b"\2" + bytes(11) + b"\3\0\0\0" + b"\1"),
        (bodies.region_info_index, bytes(8) + b"\x09" + bytes(23)),
        (bodies.irq_info_index, bytes(8) + b"\5" + bytes(7)),
    ],
)
def test_a_malformed_body_is_refused(decode, body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(body)


def test_a_write_must_bring_as_much_as_it_says() -> None:
    body = bodies.RegionAccess(0, 4, 8).pack(b"1234")
    with pytest.raises(ProtocolError, match="a write of 8 bytes has 4 bytes of data"):
        bodies.RegionAccess.unpack(body, write=True)
