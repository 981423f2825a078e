"""The image of configuration space as plain data: capability list, masks, BARs."""

import pytest

from ringwalker.config import DeviceConfig, Identity, PciOptions
from ringwalker.pci.capabilities import Bar, bars, layout, msix_pba_offset
from ringwalker.spec.blk import BLK_CONFIG
from ringwalker.spec.fields import FIELDS_BASE, FIELDS_VERSION
from ringwalker.spec.ids import VENDOR_2007
from ringwalker.spec.legacy import LEGACY_BAR, legacy_device_config_offset
from ringwalker.spec.modern import (
    COMMON,
    COMMON_BASE,
    DEVICE_BASE,
    FACE_BAR,
    ISR_BASE,
    MSIX_BAR,
    NOTIFY_BASE,
    NOTIFY_MULTIPLIER,
    CapabilityType,
)
from ringwalker.spec.net import NET_CONFIG
from ringwalker.spec.pci import (
    CONFIG_SPACE_BYTES,
    HEADER,
    MSIX_ENTRY_BYTES,
    VIRTIO_CAPABILITY,
    VIRTIO_VENDOR_CAPABILITY,
    CapabilityId,
    Command,
    MsixControl,
    Status,
)
from ringwalker.spec.pcie import DeviceCapabilities, DeviceControl
from ringwalker.transport.field_list import field_list

DEVICE_CONFIG = {"blk": BLK_CONFIG, "net": NET_CONFIG}

CONFIGS = [
    DeviceConfig(),
    DeviceConfig(fields=False),
    DeviceConfig(function="net"),
    DeviceConfig(queues=256),
    DeviceConfig(queues=1024),
    DeviceConfig(fields=False, pci=PciOptions(msi=2)),
    DeviceConfig(queues=256, pci=PciOptions(vectors=3)),
    DeviceConfig(queues=7, max_payload=128),
]


def image(config: DeviceConfig) -> bytes:
    """Configuration space after reset."""
    return b"".join(dword.reset.to_bytes(4, "little") for dword in layout(config).dwords)


def read(raw: bytes, base: int, row) -> int:
    return int.from_bytes(raw[base + row.offset : base + row.offset + row.size], "little")


def walk(raw: bytes) -> list[int]:
    """Offsets of the capabilities, following the list as a driver does."""
    offset, found = read(raw, 0, HEADER.capabilities_pointer), []
    while offset:
        assert offset not in found
        assert offset % 4 == 0
        found.append(offset)
        offset = raw[offset + 1]
    return found


@pytest.mark.parametrize("config", CONFIGS)
def test_list_reaches_every_capability_and_none_overlap(config):
    space = layout(config)
    raw = image(config)
    assert len(raw) == CONFIG_SPACE_BYTES
    assert walk(raw) == [c.offset for c in space.capabilities]
    taken = [b for s in space.structures for b in range(s.offset, s.offset + s.size)]
    assert len(taken) == len(set(taken))
    assert max(taken) < CONFIG_SPACE_BYTES
    assert read(raw, 0, HEADER.status) & Status.CAPABILITIES_LIST
    ids = [raw[c.offset] for c in space.capabilities if raw[c.offset] != CapabilityId.MSI]
    assert (len(ids) < len(space.capabilities)) == bool(config.pci.msi)
    assert ids[:3] == [CapabilityId.POWER_MANAGEMENT, CapabilityId.MSIX, CapabilityId.PCI_EXPRESS]
    assert ids[3:] == [CapabilityId.VENDOR] * (6 if config.has_fields else 5)


@pytest.mark.parametrize("config", CONFIGS)
def test_virtio_structures_lie_in_their_bar(config):
    raw, face = image(config), next(b for b in bars(config) if b.index == FACE_BAR)
    found = {}
    for capability in layout(config).capabilities:
        if raw[capability.offset] != CapabilityId.VENDOR:
            continue
        get = {row.name: read(raw, capability.offset, row) for row in VIRTIO_CAPABILITY}
        if get["type"] == CapabilityType.VENDOR:
            assert config.has_fields
            get |= {row.name: read(raw, capability.offset, row) for row in VIRTIO_VENDOR_CAPABILITY}
            assert (get["vendor_id"], get["version"]) == (VENDOR_2007, FIELDS_VERSION)
        found[CapabilityType(get["type"])] = (get["bar"], get["offset"], get["size"])
        assert raw[capability.offset + 2] == capability.table.size
        assert get["offset"] + get["size"] <= face.size
    wanted = {
        CapabilityType.COMMON: (FACE_BAR, COMMON_BASE, COMMON.size),
        CapabilityType.NOTIFY: (FACE_BAR, NOTIFY_BASE, config.queues * NOTIFY_MULTIPLIER),
        CapabilityType.ISR: (FACE_BAR, ISR_BASE, 1),
        CapabilityType.DEVICE: (FACE_BAR, DEVICE_BASE, DEVICE_CONFIG[config.function].size),
        CapabilityType.PCI: (0, 0, 0),
    }
    if config.has_fields:
        wanted[CapabilityType.VENDOR] = (FACE_BAR, FIELDS_BASE, field_list(config).size)
    assert found == wanted


@pytest.mark.parametrize("config", CONFIGS)
def test_msix_table_and_pending_bits_fit_their_bar(config):
    bar = next(b for b in bars(config) if b.index == MSIX_BAR)
    table_end = config.vectors * MSIX_ENTRY_BYTES
    pba = msix_pba_offset(config)
    assert pba >= table_end
    assert pba & (pba - 1) == 0
    assert pba + (config.vectors + 63) // 64 * 8 <= bar.size
    msix, raw = layout(config)["msix"], image(config)
    control = read(raw, msix.offset, msix.table.control)
    assert (control & MsixControl.TABLE_SIZE) + 1 == config.vectors
    assert read(raw, msix.offset, msix.table.pba) == pba | MSIX_BAR
    assert read(raw, msix.offset, msix.table.table) == MSIX_BAR


def test_masks_are_disjoint_and_exact():
    space = layout(DeviceConfig())
    for dword in space.dwords:
        assert dword.writable & dword.w1c == 0
    command, shift, _ = space["header"].locate("command")
    assert space.dwords[command].writable >> shift & 0xFFFF == (
        Command.IO_ENABLE
        | Command.MEMORY_ENABLE
        | Command.BUS_MASTER_ENABLE
        | Command.PARITY_ERROR_RESPONSE
        | Command.SERR_ENABLE
        | Command.INTX_DISABLE
    )
    control, shift, _ = space["pcie"].locate("device_control")
    assert not space.dwords[control].writable >> shift & DeviceControl.INITIATE_FUNCTION_LEVEL_RESET
    assert space.dwords[control].kept >> shift & 0xFFFF == DeviceControl.MAX_PAYLOAD_SIZE
    able, shift, _ = space["pcie"].locate("device_capabilities")
    assert space.dwords[able].reset >> shift & DeviceCapabilities.FUNCTION_LEVEL_RESET
    assert space.dwords[4] == space.dwords[6] == type(space.dwords[4])(), "BAR0 and BAR2 are not there"


def test_identity_reaches_the_header():
    raw = image(DeviceConfig(identity=Identity(preset="oasis", revision=3)))
    assert read(raw, 0, HEADER.vendor_id) == 0x1AF4
    assert read(raw, 0, HEADER.device_id) == 0x1042
    assert read(raw, 0, HEADER.revision_id) == 3
    assert read(raw, 0, HEADER["class"]) == 1
    assert read(image(DeviceConfig()), 0, HEADER.vendor_id) == 0x5000


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"index": 7, "size": 4096}, "index"),
        ({"index": 6, "size": 4096, "is_64": True}, "index"),
        ({"index": 6, "size": 1024}, "size"),
        ({"index": 5, "size": 4096, "is_64": True}, "index"),
        ({"index": 0, "size": 3000}, "size"),
        ({"index": 0, "size": 16}, "size"),
        ({"index": 0, "size": 64, "io": True, "is_64": True}, "is_64"),
    ],
)
def test_a_bad_bar_is_refused_by_name(arguments, field):
    with pytest.raises(ValueError, match=field):
        Bar(**arguments)


@pytest.mark.parametrize("function", ["blk", "net", "console", "rng"])
def test_a_transitional_device_has_the_header_beside_what_a_modern_one_has(function):
    modern, both = (layout(DeviceConfig(function=function, face=face)) for face in ("modern", "transitional"))
    assert [bar for bar in both.bars if bar.index != LEGACY_BAR] == list(modern.bars)
    assert both.capabilities == modern.capabilities
    (header,) = (bar for bar in both.bars if bar.index == LEGACY_BAR)
    assert header.io
    table = DeviceConfig(function=function).kind.device_config
    needed = legacy_device_config_offset(True) + (0 if table is None else table.size)
    assert needed <= header.size < 2 * needed + 4


def test_a_legacy_device_has_no_virtio_capability():
    config = DeviceConfig(face="legacy")
    kinds = [image(config)[offset] for offset in walk(image(config))]
    assert kinds == [CapabilityId.POWER_MANAGEMENT, CapabilityId.MSIX, CapabilityId.PCI_EXPRESS]
    assert [bar.index for bar in bars(config)] == [LEGACY_BAR, MSIX_BAR]
    assert read(image(config), 0, HEADER.revision_id) == 0


@pytest.mark.parametrize("face", ["legacy", "transitional"])
def test_the_header_can_be_in_a_memory_bar(face):
    config = DeviceConfig(face=face, legacy_io=False)
    assert bars(config)[0] == Bar(LEGACY_BAR, 4096)
    assert list(bars(config)[1:]) == list(bars(DeviceConfig(face=face))[1:])
