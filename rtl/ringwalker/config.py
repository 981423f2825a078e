"""Everything a person can choose about the device, in one validated value.

A configuration is written in TOML; every key is optional::

    function = "blk"        # or "net", "console"
    data_width = 256        # bits a beat: 64, 128, 256, 512
    queues = 1              # virtqueues; net has 3 and the console 2
    queue_size = 256        # entries, the largest a driver may choose
    read_tags = 64          # payload reads in flight
    [identity]
    preset = "2007"         # or "oasis"; vendor, device, ... override it
    [blk]
    capacity = 32768        # 512-byte sectors
    block_size = 512
    serial = "ringwalker"
    [net]
    mac = "52:57:00:00:00:01"
    mtu = 1500
    [console]
    cols = 80
    rows = 25
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .checks import ConfigError, check, check_power, check_range, is_integer
from .spec.blk import ID_BYTES, SECTOR_BYTES
from .spec.ids import CLASS_CODES, OASIS_DEVICE_BASE, VENDOR_2007, VENDOR_OASIS, DeviceType

__all__ = ["USUAL", "BlkConfig", "ConfigError", "ConsoleConfig", "DeviceConfig", "Identity", "NetConfig"]

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)

USUAL = -1
"""As the number of queues: as many as the function usually has."""

_DEFAULT_QUEUES = {"blk": 1, "net": 3, "console": 2}


@dataclass(frozen=True)
class Identity:
    """What the device reports about itself in configuration space.

    ``preset`` is ``"2007"`` (vendor 0x5000, device = virtio type) or ``"oasis"`` (0x1AF4, 0x1040 + type).
    A field that is None follows the preset and the function.
    """

    preset: str = "2007"
    vendor: int | None = None
    device: int | None = None
    subsystem_vendor: int | None = None
    subsystem: int | None = None
    class_code: int | None = None
    revision: int = 1

    def __post_init__(self):
        check(self.preset in ("2007", "oasis"), "identity.preset", self.preset, '"2007" or "oasis"')
        for name, high in (
            ("vendor", 0xFFFE),
            ("device", 0xFFFF),
            ("subsystem_vendor", 0xFFFF),
            ("subsystem", 0xFFFF),
            ("class_code", 0xFFFFFF),
        ):
            value = getattr(self, name)
            if value is not None:
                check_range(f"identity.{name}", value, 0, high)
        check_range("identity.revision", self.revision, 0, 0xFF)

    def resolve(self, device_type: DeviceType) -> "Identity":
        """The same identity with every field filled in for a device of ``device_type``."""
        oasis = self.preset == "oasis"
        vendor = VENDOR_OASIS if oasis else VENDOR_2007
        device = OASIS_DEVICE_BASE + device_type if oasis else int(device_type)
        defaults = {
            "vendor": vendor,
            "device": device,
            "subsystem_vendor": self.vendor if self.vendor is not None else vendor,
            "subsystem": int(device_type),
            "class_code": CLASS_CODES[device_type],
        }
        missing = {key: value for key, value in defaults.items() if getattr(self, key) is None}
        return dataclasses.replace(self, **missing)


@dataclass(frozen=True)
class BlkConfig:
    """The block function. ``capacity`` in 512-byte sectors, ``block_size`` in bytes.

    ``capacity`` is the reset value of a register that the ``capacity`` port of the device overrides.
    ``chunk_sectors`` is how many sectors at most one storage write command covers.
    """

    capacity: int = 32768
    block_size: int = 512
    serial: str = "ringwalker"
    chunk_sectors: int = 8

    def __post_init__(self):
        check_range("blk.capacity", self.capacity, 0, 2**55 - 1)
        check_power("blk.block_size", self.block_size, SECTOR_BYTES, 4096)
        per_block = self.block_size // SECTOR_BYTES
        check(
            self.capacity % per_block == 0,
            "blk.capacity",
            self.capacity,
            f"a multiple of {per_block} sectors, since blk.block_size is {self.block_size}",
        )
        ok = isinstance(self.serial, str) and self.serial.isascii() and len(self.serial) <= ID_BYTES
        check(ok, "blk.serial", self.serial, f"at most {ID_BYTES} ASCII characters")
        check_power("blk.chunk_sectors", self.chunk_sectors, 1, 64)


@dataclass(frozen=True)
class NetConfig:
    """The network function. ``mac`` is the address after reset, ``mtu`` in bytes of frame payload.

    ``buffer_bytes`` is the size of the receive buffer, which holds whole frames until the driver has buffers
    for them; when it is full, ``pause`` says whether the MAC has to wait or the frame is dropped.
    """

    mac: str = "52:57:00:00:00:01"
    mtu: int = 1500
    buffer_bytes: int = 16384
    pause: bool = True

    def __post_init__(self):
        ok = isinstance(self.mac, str) and _MAC.fullmatch(self.mac) is not None
        check(ok, "net.mac", self.mac, "six hexadecimal bytes with colons between them")
        check(
            not self.address[0] & 1, "net.mac", self.mac, "an address of one station (bit 0 of byte 0 clear)"
        )
        check_range("net.mtu", self.mtu, 68, 9216)
        check_power("net.buffer_bytes", self.buffer_bytes, 2048, 1 << 20)
        check(
            self.buffer_bytes >= 2 * self.frame_bytes,
            "net.buffer_bytes",
            self.buffer_bytes,
            f"at least two frames of {self.frame_bytes} bytes, since net.mtu is {self.mtu}",
        )
        check(isinstance(self.pause, bool), "net.pause", self.pause, "true or false")

    @property
    def address(self) -> bytes:
        """``mac`` as six bytes."""
        return bytes.fromhex(self.mac.replace(":", ""))

    @property
    def frame_bytes(self) -> int:
        """The longest frame, without its check sequence: payload, header, and one VLAN tag."""
        return self.mtu + 18


@dataclass(frozen=True)
class ConsoleConfig:
    """The console function. ``cols`` and ``rows`` are the reset values of what ports of the device override.

    A receive buffer is given back when it is full, and otherwise once no byte has come for ``idle_cycles``.
    """

    cols: int = 80
    rows: int = 25
    idle_cycles: int = 64

    def __post_init__(self):
        check_range("console.cols", self.cols, 1, 0xFFFF)
        check_range("console.rows", self.rows, 1, 0xFFFF)
        check_range("console.idle_cycles", self.idle_cycles, 1, 1 << 20)


@dataclass(frozen=True)
class DeviceConfig:
    """A whole device. Errors: :class:`ConfigError` from the constructor and from :meth:`from_toml`.

    ``read_tags`` is the number of payload reads in flight, ``ring_tags`` of reads of descriptors;
    ``max_payload`` and ``max_read_request`` (bytes) bound what the host may choose;
    ``chains`` is how many descriptor chains are walked at once;
    ``completion_timeout`` is in cycles without any completion while reads are outstanding.
    ``queues`` is how many virtqueues there are, ``USUAL`` for as many as the function has by itself.
    ``fields`` says whether the device has the field list of 2007; None is yes for the identity of 2007 and no
    for others.
    """

    function: str = "blk"
    data_width: int = 256
    queues: int = USUAL
    queue_size: int = 256
    read_tags: int = 64
    ring_tags: int = 16
    chains: int = 64
    max_payload: int = 512
    max_read_request: int = 512
    completion_timeout: int = 12_500_000
    clock_mhz: int = 250
    identity: Identity = field(default_factory=Identity)
    fields: bool | None = None
    blk: BlkConfig = field(default_factory=BlkConfig)
    net: NetConfig = field(default_factory=NetConfig)
    console: ConsoleConfig = field(default_factory=ConsoleConfig)

    def __post_init__(self):
        check(self.function in _DEFAULT_QUEUES, "function", self.function, '"blk", "net" or "console"')
        usual = _DEFAULT_QUEUES[self.function]
        if is_integer(self.queues) and self.queues == USUAL:
            object.__setattr__(self, "queues", usual)
        ok = self.function == "blk" or self.queues == usual
        check(ok, "queues", self.queues, f'{usual}, since function is "{self.function}"')
        check(self.fields in (None, True, False), "fields", self.fields, "true or false")
        check(self.data_width in (64, 128, 256, 512), "data_width", self.data_width, "64, 128, 256 or 512")
        check_range("queues", self.queues, 1, 256)
        check_power("queue_size", self.queue_size, 2, 1024)
        check_power("read_tags", self.read_tags, 2, 128)
        check_power("ring_tags", self.ring_tags, 2, 64)
        check_power("chains", self.chains, 1, 128)
        check_power("max_payload", self.max_payload, 128, 4096)
        check_power("max_read_request", self.max_read_request, 128, 4096)
        check_range("completion_timeout", self.completion_timeout, 64, 2**31)
        check_range("clock_mhz", self.clock_mhz, 1, 1000)

    @property
    def device_type(self) -> DeviceType:
        """The virtio device type of the function."""
        return DeviceType[self.function.upper()]

    @property
    def resolved_identity(self) -> Identity:
        """The identity with presets applied."""
        return self.identity.resolve(self.device_type)

    @property
    def has_fields(self) -> bool:
        """Whether the device has the field list of 2007."""
        return self.identity.preset == "2007" if self.fields is None else self.fields

    @property
    def vectors(self) -> int:
        """MSI-X vectors: one a queue and one for configuration changes."""
        return self.queues + 1

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DeviceConfig":
        """Build from nested mappings, as TOML gives them."""
        return _from_mapping(cls, values, "")

    @classmethod
    def from_toml(cls, path: str | Path) -> "DeviceConfig":
        """Read a TOML file. Errors: :class:`ConfigError`, which names the file."""
        try:
            text = Path(path).read_bytes().decode()
            return cls.from_dict(tomllib.loads(text))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: not TOML: {error}") from None
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def to_toml(self) -> str:
        """The configuration as TOML that :meth:`from_toml` reads back to an equal value."""
        return "\n".join(_toml_lines(dataclasses.asdict(self), "")) + "\n"


_TABLES = {"identity": Identity, "blk": BlkConfig, "net": NetConfig, "console": ConsoleConfig}


def _from_mapping(cls: Any, values: Mapping[str, Any], prefix: str) -> Any:
    check(isinstance(values, Mapping), prefix.rstrip(".") or "the file", values, "a table")
    known = {item.name: item for item in dataclasses.fields(cls)}
    nested = _TABLES if cls is DeviceConfig else {}
    arguments = {}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"{prefix}{key} is not a setting; there are {', '.join(sorted(known))}")
        arguments[key] = _from_mapping(nested[key], value, f"{key}.") if key in nested else value
    return cls(**arguments)


def _toml_lines(values: Mapping[str, Any], table: str) -> list[str]:
    lines = [f"[{table}]"] if table else []
    for key, value in values.items():
        if value is None or isinstance(value, Mapping):
            continue
        if isinstance(value, str):
            escaped = "".join(
                "\\" + c if c in '"\\' else c if c.isprintable() else f"\\u{ord(c):04x}" for c in value
            )
            lines.append(f'{key} = "{escaped}"')
        elif isinstance(value, bool):
            lines.append(f"{key} = {str(value).lower()}")
        else:
            lines.append(f"{key} = {value}")
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines.append("")
            lines.extend(_toml_lines(value, key))
    return lines
