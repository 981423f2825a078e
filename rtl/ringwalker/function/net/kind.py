"""What the network function is."""

from ...spec import net
from ...spec.fields import FieldFlag, FieldView, NetField
from ...spec.ids import CLASS_CODES, DeviceType
from ...spec.net import NET_CONFIG, NetFeature
from ..kind import FunctionKind
from .device_config import net_features
from .function import NetFunction, net_lanes, net_ports
from .settings import NetSettings

__all__ = ["KIND"]

KIND = FunctionKind(
    name="net",
    device_type=DeviceType.NET,
    class_code=CLASS_CODES[DeviceType.NET],
    component=NetFunction,
    queues=3,
    lanes=net_lanes,
    forgets=True,
    write_only=("incoming",),
    ports=net_ports,
    features=net_features,
    feature_bits=NetFeature,
    settings=NetSettings,
    device_config=NET_CONFIG,
    fields=(
        FieldView(NetField.MAC, (NET_CONFIG.mac,), FieldFlag.WRITABLE),
        FieldView(NetField.MEDIA, (NET_CONFIG.status,), FieldFlag.VOLATILE),
        FieldView(NetField.MTU, (NET_CONFIG.mtu,)),
        FieldView(NetField.MODE, (NET_CONFIG.rx_mode,), FieldFlag.WRITABLE),
    ),
    spec=net,
    simulation="ringwalker_sim.function.net:SIMULATION",
)
"""A network card. The class code is that of Ethernet."""
