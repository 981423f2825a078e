"""Each rule for what a device does on the link is broken by a device that is played."""

import ctypes
import struct

import pytest

from ringwalker.spec.features import Feature
from ringwalker.spec.modern import COMMON
from ringwalker.spec.packed import DESC_F_AVAIL, DESC_F_USED
from ringwalker.spec.ring import DESC_F_WRITE
from ringwalker.spec.tlp import RequestKind
from ringwalker_sim.fuzz.layout import CFinding, CSettings
from ringwalker_sim.fuzz.native import fuzz_library
from ringwalker_sim.fuzz.spaces import Space

pytestmark = pytest.mark.slow

BAR, DESC, DRIVER, DEVICE, BUFFER = 0x4000_0000, 0x1000, 0x2000, 0x3000, 0x8000
STARTED = 15


class Played:
    """A device with two queues of 8 entries. The first is set up; its buffer has 16 bytes to be written."""

    def __init__(self, packed=False, started=True):
        settings = CSettings(queues=2, queue_size=8, vectors=1, bar0_address=BAR, bar0_size=0x1000)
        for space in Space:
            setattr(settings, f"space{space.value}_way", 3)
            setattr(settings, f"space{space.value}_bar", 6)
        for name, value in (("way", 1), ("bar", 0), ("size", 0x40)):
            setattr(settings, f"space{Space.COMMON.value}_{name}", value)
        self._library = fuzz_library()
        self._judge = self._library.rwf_judge_open(ctypes.byref(settings))
        self.packed = packed
        features = 1 << Feature.VERSION_1 | packed << Feature.RING_PACKED
        for half in range(2):
            self.set("driver_feature_select", half)
            self.set("driver_feature", features >> 32 * half & 0xFFFF_FFFF)
        self.set("device_status", 11)
        self.set_up_queue(0)
        if started:
            self.set("device_status", STARTED)

    def set_up_queue(self, number):
        """The driver says where its ring is, and enables it."""
        self.set("queue_select", number)
        for name, address in (("desc", DESC), ("driver", DRIVER), ("device", DEVICE)):
            self.set(f"queue_{name}", address)
        self.set("queue_enable", 1)

    def close(self):
        self._library.rwf_judge_close(self._judge)

    def set(self, name, value):
        """The driver writes a register."""
        register = COMMON[name]
        at = register.offset // 4 * 4
        shift = 8 * (register.offset % 4)
        enables = (1 << min(register.size, 4)) - 1 << register.offset % 4
        raw = (value << shift & 0xFFFF_FFFF).to_bytes(4, "little")
        kind = RequestKind.MEMORY_WRITE.value
        self._library.rwf_judge_request(self._judge, 1, kind, BAR + at, 0, enables, raw, 1)

    def read(self, address, raw):
        """The device reads, and is shown ``raw``."""
        self._library.rwf_judge_request(
            self._judge, 0, RequestKind.MEMORY_READ.value, address, 1, 15, None, len(raw) // 4
        )
        self._library.rwf_judge_answer(self._judge, 0, 1, raw, len(raw) // 4)

    def write(self, address, raw, enables=15):
        """The device writes."""
        kind = RequestKind.MEMORY_WRITE.value
        self._library.rwf_judge_request(self._judge, 0, kind, address, 0, enables, raw, len(raw) // 4)

    def reset(self):
        """The driver resets the device, and reads that it is reset."""
        self.set("device_status", 0)
        kind = RequestKind.MEMORY_READ.value
        self._library.rwf_judge_request(self._judge, 1, kind, BAR + 0x14, 2, 1, None, 1)
        self._library.rwf_judge_answer(self._judge, 1, 2, bytes(4), 1)

    def see(self):
        """The device reads what its driver has made available."""
        if self.packed:
            flags = DESC_F_WRITE | DESC_F_AVAIL
            self.read(DESC, struct.pack("<QIHH", BUFFER, 16, 5, flags))
            return
        self.read(DRIVER, struct.pack("<HH", 0, 1))
        self.read(DRIVER + 4, struct.pack("<HH", 3, 0))
        self.read(DESC + 48, struct.pack("<QIHH", BUFFER, 16, DESC_F_WRITE, 0))

    def fill(self):
        """It writes into the buffer."""
        self.write(BUFFER, bytes(16))

    def use(self, number=None, length=16):
        """It says what it has used."""
        if self.packed:
            flags = DESC_F_AVAIL | DESC_F_USED
            self.write(DESC + 8, struct.pack("<IHH", length, 5 if number is None else number, flags))
            return
        self.write(DEVICE + 4, struct.pack("<II", 3 if number is None else number, length))

    def show(self, index=1):
        """It writes the used index."""
        self.write(DEVICE, struct.pack("<HH", 0, index), 12)

    def rules(self):
        found = (CFinding * 8)()
        count = self._library.rwf_judge_findings(self._judge, found, 8)
        return [row.rule.decode() for row in found[:count]]


@pytest.fixture(params=[False, True], ids=["split", "packed"])
def device(request):
    played = Played(request.param)
    yield played
    played.close()


@pytest.fixture
def split():
    played = Played()
    yield played
    played.close()


@pytest.fixture
def packed():
    played = Played(True)
    yield played
    played.close()


def test_a_right_device_breaks_no_rule(device):
    device.see()
    device.fill()
    device.use()
    if not device.packed:
        device.show()
    device.reset()
    assert device.rules() == []


def test_a_read_of_what_nobody_grants(device):
    device.see()
    device.read(BUFFER + 0x1000, bytes(4))
    device.read(BUFFER, bytes(4))  # it is for writing
    assert device.rules() == ["read", "read"]


def test_a_write_of_what_nobody_grants(device):
    device.see()
    device.write(BUFFER + 16, bytes(4))
    device.write(DRIVER, bytes(4))
    assert device.rules() == ["write", "write"]


def test_a_buffer_that_was_not_made_available_to_the_device_yet(split):
    split.read(DESC + 48, struct.pack("<QIHH", BUFFER, 16, DESC_F_WRITE, 0))
    split.fill()
    assert split.rules() == ["write"]


def test_an_entry_that_is_older_than_the_index_that_covers_it(split):
    split.read(DRIVER + 4, struct.pack("<HH", 3, 0))
    split.read(DRIVER, struct.pack("<HH", 0, 1))
    split.read(DESC + 48, struct.pack("<QIHH", BUFFER, 16, DESC_F_WRITE, 0))
    split.fill()
    assert split.rules() == ["write"]


def test_a_buffer_is_gone_when_it_is_used(device):
    device.see()
    device.fill()
    device.use()
    device.fill()
    assert device.rules() == ["write"]


def test_a_head_or_id_that_is_not_available(device):
    device.see()
    device.fill()
    device.use(number=6)
    assert device.rules() == ["used"]


def test_a_length_beyond_what_was_written(device):
    device.see()
    device.use(length=1)
    assert device.rules() == ["length"]


def test_a_used_index_without_its_element(split):
    split.see()
    split.show()
    assert split.rules() == ["element"]


def test_a_buffer_in_the_used_ring_may_hold_anything(split):
    split.read(DRIVER, struct.pack("<HH", 0, 1))
    split.read(DRIVER + 4, struct.pack("<HH", 3, 0))
    split.read(DESC + 48, struct.pack("<QIHH", DEVICE, 16, DESC_F_WRITE, 0))
    split.write(DEVICE, struct.pack("<IIII", 0x1234_5678, 77, 99, 0))
    split.use()
    split.show()
    assert split.rules() == []


def test_a_buffer_in_a_packed_ring_may_hold_anything(packed):
    flags = DESC_F_WRITE | DESC_F_AVAIL
    packed.read(DESC, struct.pack("<QIHH", DESC, 16, 5, flags))
    packed.write(DESC, bytes(16))
    packed.use()
    assert packed.rules() == []


def test_what_a_ring_of_two_queues_says_is_not_judged(device):
    device.see()
    device.set_up_queue(1)
    device.fill()
    device.use()
    assert device.rules() == []


def test_a_used_index_beyond_what_was_available(split):
    split.see()
    split.fill()
    split.use()
    split.show(2)
    assert split.rules() == ["ahead"]


def test_a_used_descriptor_that_was_not_available(packed):
    packed.use(length=0)
    assert "ahead" in packed.rules()


def test_what_was_available_may_be_read_again(packed):
    packed.see()
    packed.read(DESC, struct.pack("<QIHH", BUFFER + 0x100, 16, 5, 0))
    packed.read(BUFFER + 0x100, bytes(4))
    packed.read(BUFFER + 0x200, bytes(4))
    assert packed.rules() == ["read"]


def test_used_flags_without_length_and_id(packed):
    packed.see()
    packed.write(DESC + 12, struct.pack("<HH", 0, DESC_F_AVAIL | DESC_F_USED), 12)
    assert "element" in packed.rules()


def test_used_flags_of_another_turn(packed):
    packed.see()
    packed.write(DESC + 8, struct.pack("<IHH", 0, 5, 0))
    assert packed.rules() == ["flags"]


def test_nothing_comes_behind_a_reset(device):
    device.see()
    device.reset()
    device.fill()
    assert "quiet" in device.rules()


def test_nothing_comes_before_the_driver_is_ready():
    played = Played(started=False)
    played.read(DRIVER, bytes(4))
    assert played.rules() == ["early"]
    played.close()
