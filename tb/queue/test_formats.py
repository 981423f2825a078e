"""Each row of the table of ring formats says what its component and its decoder have."""

import pytest
from amaranth.lib.wiring import Signature

from ringwalker.config import DeviceConfig
from ringwalker.queue.chain.descriptor import DescriptorDecoder
from ringwalker.queue.formats import FORMATS
from ringwalker.queue.ring.ring_format import ring_members

CONFIG = DeviceConfig()


def ports(signature):
    """Direction and shape of each port of a signature, by its path."""
    found = signature.flatten(signature.create())
    return {path: (member.flow, member.shape) for path, member, _value in found}


@pytest.fixture(params=sorted(FORMATS))
def ring(request):
    return FORMATS[request.param]


def test_the_component_has_the_ports_that_its_row_names(ring):
    readers = [reader.name for reader in ring.readers(CONFIG)]
    members = ring_members(CONFIG.data_width, readers, ring.tables, ring.writes, ring.brings)
    assert ports(ring.component(CONFIG).signature) == ports(Signature(members))


def test_the_decoder_answers_what_the_walking_of_chains_asks(ring):
    assert ports(ring.decoder().signature) == ports(DescriptorDecoder().flip())


def test_readers_have_names_of_their_own_and_slots_of_at_least_a_beat(ring):
    readers = ring.readers(CONFIG)
    assert len({reader.name for reader in readers}) == len(readers)
    assert all(reader.tags >= 1 and reader.slot_bytes >= CONFIG.data_width // 8 for reader in readers)
