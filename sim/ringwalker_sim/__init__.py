"""Ringwalker in simulation: guest memory, guest driver, engines, command line, and the library before them.

``import ringwalker_sim as rw`` and ``rw.open("blk")`` give a device of one's own; see docs/library.md. The
names below are loaded when they are first used, so that the import takes no time.
"""

TYPE_CHECKING = False  # without the module typing, which takes longer than all of this

if TYPE_CHECKING:
    from ringwalker.config import DeviceConfig
    from ringwalker.version import __version__

    from .errors import DataError, ParameterError, RingwalkerError
    from .host.parameters import HostParameters
    from .library.device import Device
    from .library.functions import Console, Disk, Entropy, Network
    from .library.opening import open, open_async
    from .library.operation import LibraryError
    from .memory import GuestMemory

__all__ = [
    "Console",
    "DataError",
    "Device",
    "DeviceConfig",
    "Disk",
    "Entropy",
    "GuestMemory",
    "HostParameters",
    "LibraryError",
    "Network",
    "ParameterError",
    "RingwalkerError",
    "__version__",
    "open",
    "open_async",
]

_PLACES = {
    "Console": ".library.functions",
    "DataError": ".errors",
    "Device": ".library.device",
    "DeviceConfig": "ringwalker.config",
    "Disk": ".library.functions",
    "Entropy": ".library.functions",
    "GuestMemory": ".memory",
    "HostParameters": ".host.parameters",
    "LibraryError": ".library.operation",
    "Network": ".library.functions",
    "ParameterError": ".errors",
    "RingwalkerError": ".errors",
    "__version__": "ringwalker.version",
    "open": ".library.opening",
    "open_async": ".library.opening",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_PLACES[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
