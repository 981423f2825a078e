"""The page of feature bits: which device offers which, from what the hardware is made with."""

from dataclasses import replace
from enum import IntEnum

from ringwalker.config import DeviceConfig, Identity
from ringwalker.core import TRANSPORT_FEATURES
from ringwalker.function.kind import FUNCTIONS, function_kind
from ringwalker.function.parts import function_parts
from ringwalker.queue.formats import FORMATS
from ringwalker.spec.features import Feature
from ringwalker.spec.legacy import LEGACY_FEATURES

from ..markdown import markdown_table
from .texts import GENERATED

__all__ = ["features_page"]

_INTRODUCTION = """\
Which feature bits a device offers. *default*: the device without a configuration; *all options*: with both
rings, suspension and as many queues as its function can have; *legacy header*: what a driver of virtio 0.9.5
is offered by a transitional device. Bits that are offered nowhere are there because somebody will look for
them.
"""


def features_page() -> str:
    """The text of the page."""
    lines = ["# Feature bits", "", GENERATED, "", _INTRODUCTION, "## Of every device", ""]
    lines += _table(Feature, "blk")
    for name in FUNCTIONS:
        bits = function_kind(name).feature_bits
        lines += ["", f"## {name}", ""]
        lines += ["It has none of its own."] if bits is None else _table(bits, name)
        if name == "blk":
            lines += ["", "RO is withheld unless the disk is read-only."]
    return "\n".join(lines) + "\n"


def _table(bits: type[IntEnum], function: str) -> list[str]:
    plain = DeviceConfig(function=function)
    choices = plain.kind.queue_choices
    most = DeviceConfig(
        function=function,
        queues=choices[-1] if choices else plain.queues,
        ring="both",
        suspend=True,
    )
    both = replace(most, face="transitional", identity=Identity(preset="oasis"))
    rows = [
        [
            str(int(bit)),
            f"`{bit.name}`",
            _yes(_offered(plain) >> bit & 1),
            _yes(_offered(most) >> bit & 1),
            _yes((_offered(both) & 0xFFFF_FFFF | LEGACY_FEATURES) >> bit & 1),
        ]
        for bit in bits
    ]
    return markdown_table(("bit", "VIRTIO_ ...", "default", "all options", "legacy header"), rows)


def _offered(config: DeviceConfig) -> int:
    suspend = config.suspend << Feature.SUSPEND
    return TRANSPORT_FEATURES | FORMATS[config.ring].features | function_parts(config).features | suspend


def _yes(offered: int) -> str:
    return "yes" if offered else ""
