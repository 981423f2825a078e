"""The header in front of a frame, as features and register face make it. Ref: virtio 1.4, 5.1.6."""

from ringwalker.spec.features import Feature
from ringwalker.spec.net import NetFeature, NetHeader

from ..memory import dtype_of

__all__ = ["net_header", "net_header_bytes"]

_LAYOUT = dtype_of(NetHeader)
_COUNT = "num_buffers"
_WITH_COUNT = 1 << Feature.VERSION_1 | 1 << NetFeature.MRG_RXBUF


def net_header_bytes(features: int) -> int:
    """Bytes of the header with the negotiated ``features``: without VERSION_1 and MRG_RXBUF it has no
    ``num_buffers``.
    """
    fields = _LAYOUT.fields
    assert fields is not None
    return _LAYOUT.itemsize if features & _WITH_COUNT else fields[_COUNT][1]


def net_header(features: int, buffers: int = 0) -> bytes:
    """A header of a frame without offloads that is in ``buffers`` buffers, 0 for one that is sent."""
    size = net_header_bytes(features)
    count = buffers.to_bytes(_LAYOUT.itemsize - net_header_bytes(0), "little")
    return (bytes(net_header_bytes(0)) + count)[:size]
