"""Everything a person can choose about the device, in one validated value.

A configuration is written in TOML; every key is optional::

    name = "disk"           # of the Verilog and its files; by itself ringwalker_blk_256, for instance
    function = "blk"        # or "net", "console", "rng", or "package.module:Name", a FunctionKind of your own
    data_width = 256        # bits a beat: 64, 128, 256, 512
    queues = 1              # virtqueues; net has 3 and the console 2
    queue_size = 256        # entries, the largest a driver may choose
    ring = "split"          # or "packed", "both"
    face = "modern"         # or "legacy", "transitional": the registers that drivers find
    legacy_io = true        # the legacy header is in an I/O BAR; false: in a memory BAR
    suspend = false         # or true: it offers VIRTIO_F_SUSPEND
    read_tags = 64          # payload reads in flight
    [identity]
    preset = "2007"         # or "oasis"; vendor, device, ... override it
    [pci]                   # options of the PCI function, all of them off by themselves
    vectors = 2             # of MSI-X; by itself one a queue and one for configuration changes
    msi = 2                 # messages of MSI, beside MSI-X; not with the field list of 2007
    serial_number = "02-00-00-ff-fe-00-00-01"
    rom = "option.rom"      # file of the expansion ROM, beside this one
    aer = true              # advanced error reporting
    timeout_ranges = true   # software chooses the completion time-out
    [blk]                   # settings of a function have its name
    capacity = 32768        # 512-byte sectors
    block_size = 512
    serial = "ringwalker"
    [net]
    mac = "52:57:00:00:00:01"
    mtu = 1500
    [console]
    cols = 80
    rows = 25

Tables of other functions than the chosen one are checked and have no effect.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from .checks import (
    ConfigError,
    check,
    check_flag,
    check_name,
    check_power,
    check_range,
    check_text,
    check_types,
    is_integer,
    one_line,
    shown,
    shown_key,
)
from .function.kind import FUNCTIONS, FunctionKind, add_import_folder, function_kind
from .function.parts import function_parts
from .identity import Identity
from .pci_options import PciOptions
from .spec.legacy import legacy_device_config_offset
from .spec.pci import MAX_IO_BYTES
from .spec.ring import MAX_QUEUE_SIZE

__all__ = ["FACES", "RINGS", "USUAL", "ConfigError", "DeviceConfig", "Identity", "PciOptions"]

RINGS = ("split", "packed", "both")
"""What rings a device can offer."""

FACES = ("modern", "legacy", "transitional")
"""What register faces a device can have; ``"transitional"`` has both of the others."""

USUAL = -1
"""As the number of queues: as many as the function usually has."""


@dataclass(frozen=True)
class DeviceConfig:
    """A whole device. Errors: :class:`ConfigError` from the constructor and from :meth:`from_toml`."""

    function: str = "blk"
    """A name of :data:`~.function.kind.FUNCTIONS`, or ``"package.module:Name"`` of a record of one's own."""
    data_width: int = 256
    """Bits of a beat: 64, 128, 256 or 512."""
    queues: int = USUAL
    """Number of virtqueues; ``USUAL`` for as many as the function has by itself."""
    queue_size: int = 256
    """Entries of a virtqueue, the most that a driver may choose."""
    read_tags: int = 64
    """Payload reads in flight."""
    ring: str = "split"
    """The rings that a driver can use: ``"split"``, ``"packed"``, or ``"both"``."""
    face: str = "modern"
    """The registers that drivers find: ``"modern"`` (virtio 1.x), ``"legacy"`` (0.9.5), or both of them,
    ``"transitional"``."""
    legacy_io: bool = True
    """The legacy header is in an I/O BAR; otherwise in a memory BAR, for hosts without I/O space."""
    suspend: bool = False
    """The device offers VIRTIO_F_SUSPEND."""
    ring_tags: int = 16
    """Reads of descriptors in flight."""
    chains: int = 64
    """Descriptor chains that are walked at once."""
    max_payload: int = 512
    """Bytes; bounds what the host may choose."""
    max_read_request: int = 512
    """Bytes; bounds what the host may choose."""
    completion_timeout: int = 12_500_000
    """Cycles without any completion while reads are in flight."""
    clock_mhz: int = 250
    """Clock frequency in MHz."""
    identity: Identity = field(default_factory=Identity)
    """What configuration space says."""
    pci: PciOptions = field(default_factory=PciOptions)
    """Options of the PCI function."""
    name: str | None = None
    """Of the top module, and in front of every other name that is generated; None: :attr:`verilog_name`."""
    fields: bool | None = None
    """Whether the device has the field list of 2007; None: yes for the identity of 2007 unless ``face`` is
    ``"legacy"``, no for others."""
    settings: Any = None
    """What can be chosen about the function: the dataclass of its record; None: the defaults."""

    def __post_init__(self):
        kind = self.kind
        self._check_queues(kind)
        self._check_settings(kind)
        check(isinstance(self.identity, Identity), "identity", self.identity, "an Identity")
        check(isinstance(self.pci, PciOptions), "pci", self.pci, "PciOptions")
        if self.name is not None:
            check_name("name", self.name)
        if self.fields is not None:
            check_flag("fields", self.fields)
        width = is_integer(self.data_width) and self.data_width in (64, 128, 256, 512)
        check(width, "data_width", self.data_width, "64, 128, 256 or 512")
        check_text("ring", self.ring, RINGS)
        check_flag("suspend", self.suspend)
        self._check_face()
        check_power("queue_size", self.queue_size, 2, MAX_QUEUE_SIZE)
        check_power("read_tags", self.read_tags, 2, 128)
        check_power("ring_tags", self.ring_tags, 2, 64)
        check_power("chains", self.chains, 1, 128)
        check_power("max_payload", self.max_payload, 128, 4096)
        check_power("max_read_request", self.max_read_request, 128, 4096)
        check_range("completion_timeout", self.completion_timeout, 64, 2**31)
        check_range("clock_mhz", self.clock_mhz, 1, 1000)
        if self.pci.vectors is not None:
            check_range("pci.vectors", self.pci.vectors, 1, self.queues + 1)
        if self.pci.msi and self.has_fields:
            # Both do not fit into 256 bytes of configuration space.
            raise ConfigError(f"pci.msi is {self.pci.msi}; it needs fields = false, or the identity of OASIS")
        function_parts(self)

    def _check_queues(self, kind: FunctionKind) -> None:
        if is_integer(self.queues) and self.queues == USUAL:
            object.__setattr__(self, "queues", kind.queues)
        choices = kind.queue_choices
        if not choices:
            wanted = f'{kind.queues}, since function is "{self.function}"'
        elif choices.step == 1:
            wanted = f"an integer from {choices[0]} to {choices[-1]}"
        else:
            wanted = f"one of {', '.join(map(str, choices))}"
        fits = is_integer(self.queues) and (self.queues == kind.queues or self.queues in choices)
        check(fits, "queues", self.queues, wanted)

    def _check_face(self) -> None:
        check_text("face", self.face, FACES)
        check_flag("legacy_io", self.legacy_io)
        if not self.has_legacy:
            return
        packed = 'legacy drivers know no packed rings; take ring "split" or "both", or face "modern"'
        if self.ring == "packed":
            raise ConfigError(f"face is {self.face!r} and ring is {self.ring!r}; {packed}")
        if self.fields and not self.has_modern:
            raise ConfigError(
                f"face is {self.face!r} and fields is {self.fields}; the field list is in the registers of "
                'the modern face: take face "transitional", or fields = false'
            )
        table = self.kind.device_config
        size = legacy_device_config_offset(True) + (0 if table is None else table.size)
        if self.legacy_io and size > MAX_IO_BYTES:
            raise ConfigError(
                f"legacy_io is {self.legacy_io}; header and device configuration are {size} bytes, and "
                f"an I/O BAR has at most {MAX_IO_BYTES}: take legacy_io = false"
            )
        _ = self.resolved_identity

    def _check_settings(self, kind: FunctionKind) -> None:
        if kind.name in _KEYS:
            raise ConfigError(
                f"function is {self.function!r}; its name is {kind.name!r}, a key of all devices"
            )
        if self.settings is None and kind.settings is not None:
            object.__setattr__(self, "settings", _settings(kind, {}))
        own = kind.settings or type(None)
        wanted = f'{own.__name__}, since function is "{self.function}"'
        check(isinstance(self.settings, own), "settings", self.settings, wanted)

    @property
    def kind(self) -> FunctionKind:
        """The record of the function."""
        return function_kind(self.function)

    @property
    def device_type(self) -> int:
        """The virtio device type of the function."""
        return int(self.kind.device_type)

    @property
    def resolved_identity(self) -> Identity:
        """The identity with presets applied."""
        return self.identity.resolve(self.device_type, self.kind.class_code, self.has_legacy)

    @property
    def has_legacy(self) -> bool:
        """Whether a legacy driver finds registers."""
        return self.face != "modern"

    @property
    def has_modern(self) -> bool:
        """Whether a driver of virtio 1.x finds registers."""
        return self.face != "legacy"

    @property
    def verilog_name(self) -> str:
        """``name``, or by itself what the device is: its function and width."""
        return f"ringwalker_{self.kind.name}_{self.data_width}" if self.name is None else self.name

    @property
    def has_fields(self) -> bool:
        """Whether the device has the field list of 2007."""
        if self.fields is None:
            return self.identity.preset == "2007" and self.has_modern
        return self.fields

    @property
    def vectors(self) -> int:
        """MSI-X vectors: by themselves one a queue and one for configuration changes."""
        return self.queues + 1 if self.pci.vectors is None else self.pci.vectors

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], function: str | None = None) -> "DeviceConfig":
        """Build from nested mappings, as TOML gives them. Errors: :class:`ConfigError`.

        ``function`` takes the place of the one in ``values``; if they differ, the number of queues there has
        no effect.
        """
        check(isinstance(values, Mapping), "the file", values, "a table")
        named = values.get("function", cls.function)
        check(isinstance(named, str), "function", named, "a string")
        chosen = named if function is None else function
        kind = function_kind(chosen)
        arguments: dict[str, Any] = {}
        for key, value in values.items():
            if key in _TABLES:
                arguments[key] = _from_table(_TABLES[key], value, key)
            elif key == kind.name:
                arguments["settings"] = _settings(kind, value)
            elif key in FUNCTIONS:
                _settings(function_kind(key), value)
            elif key in _KEYS and key != "settings":
                check(not (key == "queues" and value == USUAL), key, value, "a number of queues")
                arguments[key] = value
            else:
                known = sorted(_KEYS - {"settings"} | {kind.name, *FUNCTIONS})
                raise ConfigError(f"{shown_key(key)} is not a setting; there are {', '.join(known)}")
        if chosen != named:
            arguments.pop("queues", None)
        return cls(**{**arguments, "function": chosen})

    @classmethod
    def from_toml(cls, path: str | Path, function: str | None = None) -> "DeviceConfig":
        """Read a TOML file, with ``function`` as in :meth:`from_dict`.

        A function of one's own may be a module in the folder of the file. Errors: :class:`ConfigError`, which
        names the file.
        """
        try:
            values = tomllib.loads(Path(path).read_bytes().decode())
            add_import_folder(Path(path).parent)
            return cls.from_dict(_rom_beside(values, Path(path).parent), function)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
        except RecursionError:
            raise ConfigError(f"{path}: not a configuration: it is nested too deeply") from None
        except ValueError as error:
            # Not TOML, not UTF-8, or an integer of thousands of digits.
            raise ConfigError(f"{path}: not TOML: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """The configuration as nested mappings that :meth:`from_dict` reads back to an equal value."""
        values = {key: getattr(self, key) for key in _KEYS_IN_ORDER if key not in (*_TABLES, "settings")}
        tables = {name: getattr(self, name) for name in _TABLES} | {self.kind.name: self.settings}
        values |= {name: _chosen(table) for name, table in tables.items() if table is not None}
        return _without_none(values)

    def to_toml(self) -> str:
        """The configuration as TOML that :meth:`from_toml` reads back to an equal value."""
        return tomli_w.dumps(self.to_dict())


_KEYS_IN_ORDER = tuple(item.name for item in dataclasses.fields(DeviceConfig))
_KEYS = frozenset(_KEYS_IN_ORDER)
_TABLES: dict[str, Any] = {"identity": Identity, "pci": PciOptions}


def _rom_beside(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``values`` with the file of the expansion ROM in ``folder``."""
    table = values.get("pci")
    if isinstance(table, dict) and isinstance(table.get("rom"), str) and table["rom"]:
        return {**values, "pci": {**table, "rom": str(folder.absolute() / table["rom"])}}
    return values


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }


def _chosen(table: Any) -> dict[str, Any]:
    """What can be chosen in a dataclass, as it was."""
    made = {item.name for item in dataclasses.fields(table) if not item.init}
    return {key: value for key, value in dataclasses.asdict(table).items() if key not in made}


def _settings(kind: FunctionKind, values: Any) -> Any:
    """The settings of a function from its table; None for a function without any."""
    if kind.settings is None:
        raise ConfigError(f"{kind.name} is {shown(values)}; this function has no settings")
    return _from_table(kind.settings, values, kind.name)


def _from_table(cls: Any, values: Any, name: str) -> Any:
    """An instance of the dataclass ``cls`` from the TOML table ``name``. Lists become tuples."""
    check(isinstance(values, Mapping), name, values, "a table")
    known = {item.name for item in dataclasses.fields(cls) if item.init}
    for key in values:
        if key not in known:
            place = f"{name}.{shown_key(key)}"
            raise ConfigError(f"{place} is not a setting; there are {', '.join(sorted(known))}")
    items = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        made = cls(**items)
    except ConfigError:
        raise
    except Exception as error:
        check_types(name, items, cls)
        raise ConfigError(f"{name}: {one_line(error)}") from error
    check_types(name, items, cls)
    return made
