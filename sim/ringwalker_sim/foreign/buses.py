"""Which ports of a design are the signals of a bus."""

from collections.abc import Iterable, Mapping
from typing import Any

from ringwalker.shim.foreign import Bus, Pin

from .keys import MapError
from .top import Top, TopPort

__all__ = ["Ports"]

_WRITE = ("awvalid", "awready", "awaddr", "wvalid", "wready", "wdata", "bvalid")
_READ = ("arvalid", "arready", "araddr", "rvalid", "rdata")
_READY = ("bready", "rready")
_FROM_INITIATOR = ("aw", "w", "ar")
_ANSWERED = ("awready", "wready", "arready")
_KNOWN = (
    *(*_WRITE, *_READ, *_READY, "wstrb", "wlast", "bresp", "bid", "rresp", "rid", "rlast"),
    *(f"{way}{name}" for way in ("aw", "ar") for name in ("id", "len", "size", "burst")),
)
_LITE = frozenset((*_WRITE, *_READ, *_READY, "wstrb", "bresp", "rresp"))
_CONSTANTS = {"awburst": 1, "arburst": 1, "wlast": 1}
_PLAIN = tuple(
    f"{way}{name}" for way in ("aw", "ar") for name in ("prot", "cache", "qos", "lock", "region", "user")
)
_EXTRAS = (*_PLAIN, "wuser", "wid", "buser", "ruser")
"""Signals that carry nothing here: 0 where they are inputs."""

_STREAM = {
    "valid": ("valid", "tvalid"),
    "ready": ("ready", "tready"),
    "data": ("data", "tdata", "dat"),
    "keep": ("keep", "tkeep", "be"),
    "last": ("last", "tlast", "eop"),
    "first": ("first", "tfirst", "sop"),
}


class Ports:
    """The ports of ``top``, and which of them have been given a meaning. Errors: :class:`MapError`, each of
    which names the port and the key that asks for it.
    """

    def __init__(self, top: Top):
        self._top = top
        self._used: dict[str, str] = {}
        self.ties: list[tuple[Pin, int]] = []
        """Inputs that have one value for ever."""

    def pin(self, name: str, direction: str, where: str, width: int | None = None) -> Pin:
        """The port ``name``, which ``where`` asks for; ``width``: it must be so wide."""
        port = self._top.ports.get(name)
        if port is None:
            raise MapError(f"{where}: {self._top.module} has no port {name}")
        if port.direction != direction:
            raise MapError(f"{where}: port {name} is an {port.direction}; it must be an {direction}")
        if width is not None and port.width != width:
            raise MapError(f"{where}: port {name} has {port.width} bits; it must have {width}")
        if name in self._used:
            raise MapError(f"{where}: port {name} is that of {self._used[name]} already")
        self._used[name] = where
        return Pin(name, port.width)

    def tie(self, name: str, value: int, where: str) -> None:
        """An input has ``value`` for ever."""
        pin = self.pin(name, "input", where)
        if not 0 <= value < 1 << pin.width:
            raise MapError(f"{where}: {value} does not fit the {pin.width} bits of port {name}")
        self.ties.append((pin, value))

    def _named(self, given: Any, where: str, roles: Mapping[str, tuple[str, ...]]) -> dict[str, TopPort]:
        """The port of each role: one that is named for it, or that begins with the prefix."""
        table = {"prefix": given} if isinstance(given, str) else dict(given)
        prefix = table.pop("prefix", None)
        found: dict[str, TopPort] = {}
        by_name = {name.lower(): port for name, port in self._top.ports.items()}
        for role, endings in roles.items():
            for ending in endings if prefix is not None else ():
                port = by_name.get(f"{prefix}{ending}".lower())
                if port is not None:
                    found[role] = port
                    break
        for role, name in table.items():
            if role not in roles:
                raise MapError(f"{where}.{role} is no signal of the bus; there are {', '.join(roles)}")
            if name not in self._top.ports:
                raise MapError(f"{where}.{role}: {self._top.module} has no port {name}")
            found[role] = self._top.ports[name]
        return found

    def _require(self, found: Iterable[str], wanted: Iterable[str], given: Any, where: str) -> None:
        prefix = given if isinstance(given, str) else given.get("prefix", "")
        for role in wanted:
            if role not in found:
                name = f"{prefix}{role}"
                raise MapError(f"{where}: {self._top.module} has no port {name}; {role} names another one")

    def axi(self, given: Any, where: str, initiator: bool) -> Bus:
        """The AXI bus that ``given`` describes, a prefix or a table of names; ``initiator``: the design's."""
        roles = {role: (role,) for role in (*_KNOWN, *_EXTRAS)}
        found = self._named(given, where, roles)
        channels = [*(_WRITE if "awvalid" in found else ()), *(_READ if "arvalid" in found else ())]
        self._require(found, channels if initiator and channels else (*_WRITE, *_READ), given, where)
        width = self._data_width(found, where, (32, 64) if not initiator else (32, 64, 128, 256, 512))
        pins = []
        for role, port in found.items():
            ours = role.startswith(_FROM_INITIATOR) ^ (role in _ANSWERED) or role in _READY
            direction = "output" if ours == initiator else "input"
            bits = {"wdata": width, "rdata": width, "wstrb": width // 8}.get(role)
            if role in _EXTRAS or (not initiator and role not in _LITE):
                if direction == "input":
                    size = (width // 8).bit_length() - 1
                    self.tie(port.name, size if role.endswith("size") else _CONSTANTS.get(role, 0), where)
                else:
                    self.pin(port.name, direction, where)
                continue
            pins.append((role, self.pin(port.name, direction, where, bits)))
        return Bus(tuple(pins), width)

    def _data_width(self, found: Mapping[str, TopPort], where: str, widths: tuple[int, ...]) -> int:
        port = found.get("wdata") or found["rdata"]
        if port.width not in widths:
            shown = ", ".join(map(str, widths[:-1]))
            raise MapError(
                f"{where}: port {port.name} has {port.width} bits; it must have {shown} or {widths[-1]}"
            )
        return port.width

    def stream(self, given: Any, where: str, sends: bool) -> Bus:
        """The stream of TLPs that ``given`` describes; ``sends``: the design sends them."""
        found = self._named(given, where, _STREAM)
        self._require(found, ("valid", "ready", "data", "last"), given, where)
        port = found["data"]
        if port.width not in (64, 128, 256, 512):
            raise MapError(
                f"{where}: port {port.name} has {port.width} bits; it must have 64, 128, 256 or 512"
            )
        pins = []
        for role, one in found.items():
            direction = "output" if sends == (role != "ready") else "input"
            pin = self.pin(one.name, direction, where, {"data": None, "keep": None}.get(role, 1))
            if role == "keep" and pin.width not in (port.width // 8, port.width // 32):
                raise MapError(
                    f"{where}: port {pin.name} has {pin.width} bits; it must have {port.width // 8}, a bit "
                    f"for each byte, or {port.width // 32}, one for each dword"
                )
            pins.append((role, pin))
        return Bus(tuple(pins), port.width)

    def finish(self) -> None:
        """See that no input is left, and nothing that is neither input nor output."""
        for port in self._top.ports.values():
            if port.direction == "inout":
                raise MapError(f"port {port.name} is an inout; give the design a top without one")
            if port.direction == "input" and port.name not in self._used:
                raise MapError(
                    f"input {port.name} is in no table of the map; [tie] {port.name} = 0 gives it a value"
                )
