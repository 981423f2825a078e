"""The codec against cocotbext-pcie's TLPs: packed by one, unpacked by the other, both ways."""

import random

import pytest
from cocotbext.pcie.core.tlp import CplStatus, Tlp, TlpAttr, TlpTc, TlpType
from cocotbext.pcie.core.utils import PcieId

from ringwalker.spec.tlp import CompletionStatus, RequestKind
from ringwalker.tlp.codec import TlpError, decode_tlp, encode_completion, encode_request

TYPES = {
    RequestKind.MEMORY_READ: (TlpType.MEM_READ, TlpType.MEM_READ_64),
    RequestKind.MEMORY_WRITE: (TlpType.MEM_WRITE, TlpType.MEM_WRITE_64),
    RequestKind.IO_READ: (TlpType.IO_READ, None),
    RequestKind.IO_WRITE: (TlpType.IO_WRITE, None),
    RequestKind.CONFIG_READ_0: (TlpType.CFG_READ_0, None),
    RequestKind.CONFIG_WRITE_0: (TlpType.CFG_WRITE_0, None),
    RequestKind.CONFIG_READ_1: (TlpType.CFG_READ_1, None),
    RequestKind.CONFIG_WRITE_1: (TlpType.CFG_WRITE_1, None),
}
WRITES = {kind for kind in TYPES if "WRITE" in kind.name}


def common(random_source: random.Random, length: int) -> dict[str, int]:
    return {
        "length": length,
        "requester_id": random_source.getrandbits(16),
        "tag": random_source.getrandbits(8),
        "traffic_class": random_source.getrandbits(3),
        "attributes": random_source.getrandbits(3),
        "poisoned": random_source.getrandbits(1),
    }


def apply(tlp: Tlp, header: dict[str, int], data: bytes) -> Tlp:
    tlp.length = header["length"]
    tlp.requester_id = PcieId.from_int(header["requester_id"])
    tlp.tag = header["tag"]
    tlp.tc = TlpTc(header["traffic_class"])
    tlp.attr = TlpAttr(header["attributes"])
    tlp.ep = bool(header["poisoned"])
    tlp.data = bytearray(data)
    return tlp


def random_request(rng: random.Random, kind: RequestKind) -> tuple[dict[str, int], bytes, Tlp]:
    memory = kind in (RequestKind.MEMORY_READ, RequestKind.MEMORY_WRITE)
    config = "CONFIG" in kind.name
    length = rng.choice((1, 2, rng.randint(1, 1024), 1024)) if memory else 1
    address = rng.getrandbits(rng.choice((64, 32)) if memory else 12 if config else 32) & ~3
    header = common(rng, length) | {
        "kind": kind.value,
        "address": address,
        "first_be": rng.getrandbits(4),
        "last_be": rng.getrandbits(4),
        "target_id": rng.getrandbits(16) if config else 0,
    }
    data = rng.randbytes(4 * length) if kind in WRITES else b""
    tlp = apply(Tlp(), header, data)
    tlp.fmt_type = TYPES[kind][address >> 32 != 0]
    tlp.address = address
    tlp.first_be, tlp.last_be = header["first_be"], header["last_be"]
    tlp.completer_id = PcieId.from_int(header["target_id"])
    return header, data, tlp


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_requests_agree(kind):
    rng = random.Random(kind.value)
    for _ in range(200):
        header, data, tlp = random_request(rng, kind)
        raw = encode_request(header, data)
        assert raw == bytes(tlp.pack())
        assert Tlp.unpack(raw) == tlp
        decoded = decode_tlp(bytes(tlp.pack()))
        assert not decoded.is_completion
        assert decoded.header == header
        assert decoded.data == data


def test_completions_agree():
    rng = random.Random(2)
    for _ in range(500):
        has_data = rng.random() < 0.7
        length = rng.choice((1, rng.randint(1, 1024), 1024)) if has_data else 0
        status = CompletionStatus.SUCCESS if has_data else rng.choice(list(CompletionStatus))
        header = common(rng, length) | {
            "status": status.value,
            "has_data": int(has_data),
            "byte_count": rng.choice((rng.randint(1, 4096), 4096)),
            "lower_address": rng.getrandbits(7),
            "completer_id": rng.getrandbits(16),
        }
        data = rng.randbytes(4 * length)
        tlp = apply(Tlp(), header, data)
        tlp.fmt_type = TlpType.CPL_DATA if has_data else TlpType.CPL
        tlp.status = CplStatus(status.value)
        tlp.byte_count, tlp.lower_address = header["byte_count"], header["lower_address"]
        tlp.completer_id = PcieId.from_int(header["completer_id"])
        raw = encode_completion(header, data)
        assert raw == bytes(tlp.pack())
        assert Tlp.unpack(raw) == tlp
        decoded = decode_tlp(raw)
        assert decoded.is_completion
        assert decoded.header == header
        assert decoded.data == data


@pytest.mark.parametrize(
    "tlp_type", [TlpType.MEM_READ_LOCKED, TlpType.FETCH_ADD_64, TlpType.SWAP, TlpType.CAS]
)
def test_other_non_posted_requests_are_recognised(tlp_type):
    tlp = Tlp()
    tlp.fmt_type, tlp.length, tlp.tag, tlp.address = tlp_type, 2, 9, 0x1234
    tlp.data = bytearray(8) if tlp.has_data() else bytearray()
    decoded = decode_tlp(bytes(tlp.pack()))
    assert decoded.header["kind"] == RequestKind.OTHER_NON_POSTED.value
    assert decoded.header["tag"] == 9
    assert decoded.header["length"] == 2
    assert decoded.data == bytes(tlp.data)


def test_messages_keep_their_code():
    decoded = decode_tlp(bytes([0x34, 0, 0, 0, 0x01, 0x08, 7, 0x20, *range(8)]))
    assert decoded.header["kind"] == RequestKind.MESSAGE.value
    assert (decoded.header["last_be"] << 4 | decoded.header["first_be"]) == 0x20
    assert decoded.header["requester_id"] == 0x0108
    assert decoded.header["length"] == 0
    assert decoded.header["address"] == 0x0001020304050607


def test_a_digest_is_not_payload():
    raw = bytearray(encode_request({"kind": RequestKind.MEMORY_WRITE.value, "length": 1}, b"abcd"))
    raw[2] |= 0x80
    assert decode_tlp(bytes(raw) + b"wxyz").data == b"abcd"


@pytest.mark.parametrize(
    "raw", [b"", bytes(8), bytes(16), bytes([0x40]) + bytes(11), bytes([0x80]) + bytes(15)]
)
def test_bytes_that_are_no_tlp_are_refused(raw):
    with pytest.raises(TlpError):
        decode_tlp(raw)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"kind": RequestKind.MESSAGE.value, "length": 1}, b"", "kind"),
        ({"kind": 0, "length": 0}, b"", "length"),
        ({"kind": 1, "length": 2}, b"abcd", "payload"),
        ({"kind": 0, "length": 1}, b"abcd", "payload"),
        ({"kind": 0, "length": 1, "tag": 256}, b"", "tag"),
        ({"kind": 0, "length": 1025}, b"", "length"),
        ({"kind": 2, "length": 1, "address": 1 << 32}, b"", "address"),
        ({"kind": 0, "length": 1, "colour": 1}, b"", "colour"),
    ],
)
def test_wrong_requests_are_refused(header, data, message):
    with pytest.raises(TlpError, match=message):
        encode_request(header, data)


def test_wrong_completions_are_refused():
    with pytest.raises(TlpError, match="byte_count"):
        encode_completion({"byte_count": 5000})
    with pytest.raises(TlpError, match="payload"):
        encode_completion({"byte_count": 4, "has_data": 1, "length": 1})
