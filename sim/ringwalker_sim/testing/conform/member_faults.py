"""Faults of a device with virtual functions: of their parts, and of how they are stopped."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ringwalker.spec.admin import AdminGroup, AdminOpcode
from ringwalker.spec.device_parts import DevPart, DevPartHeader
from ringwalker.spec.pci import PM_CAPABILITY

from ...golden.net import NetModel
from ...struct_bytes import struct_of
from .admin_port import AdminPort
from .admin_server import Command, invalid
from .fault import Fault, around, nothing
from .parts import Part

__all__ = ["MODE_FAULTS", "PART_FAULTS"]

_LATER = 1_000
"""Cycles after a stop, when a check has seen that the device is stopped and still looks at it."""


def _sorted(*first: DevPart) -> Callable[[AdminPort], None]:
    """Parts in the order of ``first``, and then the others."""

    def patch(port: AdminPort) -> None:
        def key(part: Part) -> int:
            return first.index(DevPart(part.type)) if part.type in first else len(first)

        around(port.parts, "all", lambda parts: sorted(parts(), key=key))

    return patch


def _changing(port: AdminPort) -> None:
    """The features of the driver change with each look."""
    looks = iter(range(1, 1_000_000))

    def all_parts(parts: Callable[[], list[Part]]) -> list[Part]:
        number = next(looks)
        return [
            replace(part, value=number.to_bytes(16, "little")) if part.type == DevPart.DRV_FEATURES else part
            for part in parts()
        ]

    around(port.parts, "all", all_parts)


def _verify(accepts: Callable[[Part], bool]) -> Callable[[AdminPort], None]:
    """Some parts are not verified."""

    def patch(port: AdminPort) -> None:
        around(
            port.parts,
            "verify",
            lambda verify, part, mine: None if accepts(part) else verify(part, mine),
        )

    return patch


def _refused(port: AdminPort) -> None:
    def verify(verify: Callable[..., None], part: Part, mine: Part) -> None:
        if part.type == DevPart.DEV_FEATURES:
            raise invalid()
        verify(part, mine)

    around(port.parts, "verify", verify)


def _applied_although_refused(port: AdminPort) -> None:
    set_parts: dict[tuple[int, int], Part] = {}

    def verify(verify: Callable[..., None], part: Part, mine: Part) -> None:
        if part.type == DevPart.PCI_COMMON_CFG:
            set_parts[part.key] = part
        verify(part, mine)

    around(port.parts, "verify", verify)
    around(port.parts, "all", lambda parts: [set_parts.get(part.key, part) for part in parts()])


def _member(**members: Any) -> Callable[[AdminPort], None]:
    """The virtual function's model with other members."""

    def patch(port: AdminPort) -> None:
        model = port.member.model
        model.__class__ = type("Faulty", (type(model),), members)

    return patch


def _kept_features(port: AdminPort) -> None:
    model = port.member.model

    def reset(reset: Callable[[], None]) -> None:
        kept = model.driver_features
        reset()
        model.driver_features = kept

    around(model, "reset", reset)


def _unknown_is_an_error(port: AdminPort) -> None:
    def get(get: Callable[[Command], bytes], command: Command) -> bytes:
        selected = command.data[16:]
        for at in range(0, len(selected), 16):
            if struct_of(DevPartHeader, selected[at:])["part_type"] not in tuple(DevPart):
                raise invalid()
        return get(command)

    handlers = port.model.admin.handlers[AdminGroup.SR_IOV]
    handle = handlers[AdminOpcode.DEV_PARTS_GET]
    handlers[AdminOpcode.DEV_PARTS_GET] = lambda command: get(handle, command)


PART_FAULTS = [
    Fault(
        "objects of parts cannot be changed",
        "parts_commands_come_together",
        "core-18.01",
        lambda port: port.model.admin.handlers[AdminGroup.SR_IOV].pop(AdminOpcode.RESOURCE_OBJ_MODIFY),
    ),
    Fault("parts change while it is stopped", "parts_are_got_again", "core-18.02", _changing),
    Fault(
        "doorbells in front of queues",
        "parts_are_in_order",
        "core-18.03",
        _sorted(*tuple(DevPart)[:4], DevPart.VQ_NOTIFY_CFG),
    ),
    Fault("features of the driver first", "parts_are_in_order", "core-18.25", _sorted(DevPart.DRV_FEATURES)),
    Fault("registers first", "parts_are_in_order", "core-18.26", _sorted(DevPart.PCI_COMMON_CFG)),
    Fault(
        "registers in front of the driver's features",
        "parts_are_in_order",
        "core-18.27",
        _sorted(DevPart.DEV_FEATURES, DevPart.PCI_COMMON_CFG),
    ),
    Fault(
        "parts are set at work",
        "parts_of_a_device_that_works",
        "core-18.04",
        _member(halted=property(lambda _self: True)),
    ),
    Fault(
        "queues are not set",
        "parts_are_set_again",
        "core-18.05",
        lambda port: setattr(port.parts, "apply", nothing),
    ),
    Fault(
        "length is not verified",
        "parts_of_a_wrong_length",
        "core-18.06",
        _verify(lambda part: part.type == DevPart.VQ_CFG),
    ),
    Fault(
        "features are not verified",
        "invariant_parts_are_verified",
        "core-18.07",
        lambda port: (
            _verify(lambda part: part.type == DevPart.DEV_FEATURES)(port),
            around(port.parts, "features", lambda part, kind, bits, _flags=0: part(kind, bits)),
        ),
    ),
    Fault("right features are refused", "invariant_parts_are_verified", "core-18.29", _refused),
    Fault("number of queues is set", "invariant_parts_are_verified", "core-18.30", _applied_although_refused),
    Fault("features outlive a reset", "parts_after_a_reset", "core-18.23", _kept_features),
    Fault("unknown part is an error", "selected_parts", "core-18.24", _unknown_is_an_error),
]


# --- stopping ----------------------------------------------------------------------------------------------


def _once_stopped(action: Callable[[AdminPort], None]) -> Callable[[AdminPort], None]:
    """Something happens a while after a stop."""

    def patch(port: AdminPort) -> None:
        def stop(stop: Callable[[], None]) -> None:
            if not port.member.model.halting:
                port.schedule(_LATER, lambda: action(port))
            stop()

        around(port.member.model, "stop", stop)

    return patch


def _write_flags(port: AdminPort) -> None:
    for queue in port.member.rings.queues:
        if queue.enable:
            port.memory.view(queue.device, 1)[0] ^= 1


def _forget(port: AdminPort) -> None:
    """Buffers that were taken are dropped by a stop."""

    def stop(stop: Callable[[], None]) -> None:
        for queue in port.member.rings.queues:
            queue.epoch += 1
        stop()

    around(port.member.model, "stop", stop)


def _already(mode: bool) -> Callable[[AdminPort], None]:
    """A mode cannot be set twice."""

    def patch(port: AdminPort) -> None:
        handlers = port.model.admin.handlers[AdminGroup.SR_IOV]
        handle = handlers[AdminOpcode.DEV_MODE_SET]

        def set_mode(command: Command) -> bytes:
            if command.data[0] == mode and port.member.model.halted == mode:
                raise invalid()
            return handle(command)

        handlers[AdminOpcode.DEV_MODE_SET] = set_mode

    return patch


def _reads_nothing(port: AdminPort) -> None:
    around(
        port.member,
        "_read",
        lambda read, *access: 0 if port.member.model.halted else read(*access),
    )


def _ignores_configuration(port: AdminPort) -> None:
    async def ignore(*_access: int) -> None:
        return

    around(
        port.member,
        "config_write",
        lambda write, *access: ignore() if port.member.model.halted else write(*access),
    )


def _wakes(port: AdminPort) -> None:
    place = port.member.space.layout.places["pm"] + PM_CAPABILITY.control_status.offset
    port.member.space.bytes[place + 1] |= 0x80


def _in_a_hurry(port: AdminPort) -> None:
    """Commands wait for no reset."""
    port.parts.busy = lambda: False


MODE_FAULTS = [
    Fault(
        "stopped device changes flags", "stopped_device_is_silent", "core-18.08", _once_stopped(_write_flags)
    ),
    Fault(
        "stop does not wait",
        "stopping_finishes_what_is_in_flight",
        "core-18.09",
        _member(halted=property(lambda self: self.halting)),
    ),
    Fault("stop drops buffers", "stopping_finishes_what_is_in_flight", "core-18.10", _forget),
    Fault(
        "notification is lost",
        "stopped_device_is_silent",
        "core-18.11",
        _member(resume=lambda self: setattr(self, "halting", False)),
    ),
    Fault("stopped device reads as 0", "stopped_device_is_read", "core-18.13", _reads_nothing),
    Fault(
        "stopped device ignores configuration writes",
        "stopped_device_is_configured",
        "core-18.14",
        _ignores_configuration,
    ),
    Fault(
        "stopped device wakes the machine",
        "stopped_device_asks_for_no_power",
        "core-18.15",
        _once_stopped(_wakes),
    ),
    Fault(
        "stopped device works",
        "stopped_device_is_silent",
        "core-18.16",
        _member(running=NetModel.running),
    ),
    Fault(
        "stopped device sends a change of configuration",
        "stopped_device_is_silent",
        "core-18.17",
        _once_stopped(lambda port: port.member.model.change()),
    ),
    Fault(
        "commands during a function-level reset",
        "commands_wait_for_a_function_level_reset",
        "core-18.18",
        _in_a_hurry,
    ),
    Fault("commands during a device reset", "commands_wait_for_a_device_reset", "core-18.19", _in_a_hurry),
    Fault("commands during a change of power", "commands_wait_for_a_power_state", "core-18.20", _in_a_hurry),
    Fault("stopped twice is an error", "mode_is_set_again", "core-18.21", _already(True)),
    Fault("resumed twice is an error", "mode_is_set_again", "core-18.22", _already(False)),
]
