"""What the console function is."""

from ...spec import console
from ...spec.console import CONSOLE_CONFIG, ConsoleFeature
from ...spec.fields import ConsoleField, FieldFlag, FieldView
from ...spec.ids import CLASS_CODES, DeviceType
from ..kind import FunctionKind
from .device_config import console_features
from .function import ConsoleFunction, console_lanes, console_ports
from .settings import ConsoleSettings

__all__ = ["KIND"]

KIND = FunctionKind(
    name="console",
    device_type=DeviceType.CONSOLE,
    class_code=CLASS_CODES[DeviceType.CONSOLE],
    component=ConsoleFunction,
    queues=2,
    lanes=console_lanes,
    forgets=True,
    write_only=("receive",),
    ports=console_ports,
    features=console_features,
    feature_bits=ConsoleFeature,
    settings=ConsoleSettings,
    device_config=CONSOLE_CONFIG,
    fields=(
        FieldView(ConsoleField.SIZE, (CONSOLE_CONFIG.cols, CONSOLE_CONFIG.rows), FieldFlag.VOLATILE),
        FieldView(ConsoleField.EMERGENCY_WRITE, (CONSOLE_CONFIG.emerg_wr,), FieldFlag.WRITABLE, length=1),
    ),
    spec=console,
    simulation="ringwalker_sim.function.console:SIMULATION",
)
"""A terminal. The class code is that of other communication controllers."""
