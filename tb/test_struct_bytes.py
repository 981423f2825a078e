"""Structs to bytes and back."""

from ringwalker.spec.admin import AdminCommand, ResourceHeader
from ringwalker.spec.ipsec import IpsecAssociation
from ringwalker_sim.struct_bytes import struct_bytes, struct_of


def test_fields_are_little_endian_at_their_offsets_and_all_else_is_zero():
    expected = b"\x09\0" + b"\1\0" + bytes(12) + b"\x02\x01" + bytes(6)
    assert struct_bytes(AdminCommand, opcode=9, group_type=1, group_member_id=0x102) == expected


def test_arrays_are_given_as_bytes_and_structs_as_dicts():
    raw = struct_bytes(IpsecAssociation, spi=7, cipher_key={"length": 2, "data": b"\xaa\xbb"})
    row = struct_of(IpsecAssociation, raw)
    assert (int(row["spi"]), int(row["cipher_key"]["length"])) == (7, 2)
    assert bytes(row["cipher_key"]["data"])[:3] == b"\xaa\xbb\0"


def test_what_is_missing_is_zero_and_what_is_too_much_is_left():
    assert int(struct_of(ResourceHeader, b"\1\2")["type"]) == 0x201
    assert int(struct_of(ResourceHeader, b"\1\2")["id"]) == 0
    assert int(struct_of(ResourceHeader, bytes(4) + b"\5\0\0\0\xff")["id"]) == 5
