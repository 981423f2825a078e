"""Faults of a device with an administration queue, for a reference device: a check finds each."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ringwalker.spec.admin import AdminGroup, AdminOpcode, AdminStatus
from ringwalker.spec.ipsec import IpsecCapability
from ringwalker.spec.net_flow import FlowCapability, FlowResource

from .admin_port import AdminPort
from .admin_server import AdminError, Command, invalid
from .fault import Fault, around, nothing

__all__ = ["CAPABILITY_FAULTS", "OBJECT_FAULTS", "opcode", "renamed", "used_up", "without"]


def _register(name: str, value: int) -> Callable[[AdminPort], None]:
    """A register of the common configuration with another value."""

    def patch(port: AdminPort) -> None:
        around(port.modern, "common", lambda read, asked: value if asked == name else read(asked))

    return patch


def without(number: AdminOpcode) -> Callable[[AdminPort], None]:
    """A command of the self group that is missing."""
    return lambda port: port.model.admin.handlers[AdminGroup.SELF].pop(number)


def _only_as_offered(number: int) -> Callable[[AdminPort], None]:
    def patch(port: AdminPort) -> None:
        port.model.capabilities.valid[number] = lambda mine, wanted: mine == wanted or not any(wanted)

    return patch


def renamed(found: AdminStatus, other: AdminStatus) -> Callable[..., Any]:
    """A handler that fails with another status."""

    def handler(handle: Callable[[Command], bytes], command: Command) -> bytes:
        try:
            return handle(command)
        except AdminError as error:
            raise AdminError(other) if error.status == found else error from None

    return handler


def opcode(number: AdminOpcode, wrapper: Callable[..., Any]) -> Callable[[AdminPort], None]:
    """A command of the self group that does something else."""

    def patch(port: AdminPort) -> None:
        handlers = port.model.admin.handlers[AdminGroup.SELF]
        handle = handlers[number]
        handlers[number] = lambda command: wrapper(handle, command)

    return patch


def _all(*patches: Callable[[AdminPort], None]) -> Callable[[AdminPort], None]:
    def patch(port: AdminPort) -> None:
        for item in patches:
            item(port)

    return patch


def _any_group(port: AdminPort) -> None:
    def execute(execute: Callable[[Command], bytes], command: Command) -> bytes:
        return execute(replace(command, group=AdminGroup.SELF, member=0))

    around(port.model.admin, "execute", execute)


def _driver_as_device(port: AdminPort) -> None:
    capabilities = port.model.capabilities
    capabilities.driver = dict(capabilities.device)
    capabilities.reset = lambda: capabilities.driver.update(capabilities.device)


CAPABILITY_FAULTS = [
    Fault(
        "administration queue is queue 0",
        "administration_queues_are_behind_the_others",
        "pci-05.16",
        _register("admin_queue_index", 0),
    ),
    Fault(
        "administration queues up to 17 bits",
        "administration_queues_are_behind_the_others",
        "pci-05.17",
        _register("admin_queue_num", 0xFFFF),
    ),
    Fault(
        "no command to set capabilities",
        "capability_commands_come_together",
        "core-16.01",
        without(AdminOpcode.DRIVER_CAP_SET),
    ),
    Fault(
        "limits only as offered",
        "limits_may_be_set_lower",
        "core-16.02",
        _only_as_offered(FlowCapability.RESOURCE),
    ),
    Fault(
        "selectors only as offered",
        "flags_may_be_fewer",
        "core-16.03",
        _only_as_offered(FlowCapability.SELECTOR),
    ),
    Fault(
        "modes only as offered",
        "flags_may_be_fewer",
        "core-16.03",
        _only_as_offered(IpsecCapability.ASSOCIATION),
    ),
    Fault(
        "too high a limit is a lack of memory",
        "limits_that_are_too_high",
        "core-16.04",
        opcode(AdminOpcode.DRIVER_CAP_SET, renamed(AdminStatus.EINVAL, AdminStatus.ENOMEM)),
    ),
    Fault("group is ignored", "capabilities_are_of_the_self_group", "core-16.05", _any_group),
    Fault(
        "virtual functions have capabilities",
        "capabilities_of_virtual_functions",
        "core-16.05",
        lambda port: port.model.admin.handlers[AdminGroup.SR_IOV].update(port.model.capabilities.handlers()),
    ),
    Fault(
        "capability in use is disabled",
        "capability_in_use_stays",
        "core-16.07",
        lambda port: setattr(port.model.capabilities, "in_use", lambda _number: False),
    ),
    Fault(
        "unknown capability is invalid",
        "unknown_capability",
        "core-16.08",
        opcode(AdminOpcode.DEVICE_CAP_GET, renamed(AdminStatus.ENXIO, AdminStatus.EINVAL)),
    ),
    Fault(
        "driver capabilities outlive a reset",
        "driver_capabilities_end_with_a_reset",
        "core-16.09",
        lambda port: setattr(port.model.capabilities, "reset", nothing),
    ),
    Fault(
        "limits are those of the device by themselves",
        "driver_capabilities_end_with_a_reset",
        "core-16.10",
        _driver_as_device,
    ),
]


# --- resource objects --------------------------------------------------------------------------------------


def _limit(by: int) -> Callable[[AdminPort], None]:
    def patch(port: AdminPort) -> None:
        around(port.model.resources.kinds[FlowResource.GROUP], "limit", lambda limit: limit() + by)

    return patch


def used_up(port: AdminPort) -> None:
    """Numbers of objects can be used once."""
    seen: set[bytes] = set()

    def create(create: Callable[[Command], bytes], command: Command) -> bytes:
        if command.data[:8] in seen:
            raise AdminError(AdminStatus.ENOSPC)
        result = create(command)
        seen.add(command.data[:8])
        return result

    opcode(AdminOpcode.RESOURCE_OBJ_CREATE, create)(port)


def _only_next(port: AdminPort) -> None:
    """Numbers of objects have to count up."""

    def create(create: Callable[[Command], bytes], command: Command) -> bytes:
        kind, number, _data = port.model.resources.split(command)
        if number > len(kind.objects):
            raise invalid()
        return create(command)

    opcode(AdminOpcode.RESOURCE_OBJ_CREATE, create)(port)


def _half_a_change(port: AdminPort) -> None:
    def modify(modify: Callable[[Command], bytes], command: Command) -> bytes:
        kind, number, data = port.model.resources.split(command)
        try:
            return modify(command)
        except AdminError:
            kind.objects[number] = data[: len(kind.objects.get(number, b""))]
            raise

    opcode(AdminOpcode.RESOURCE_OBJ_MODIFY, modify)(port)


def _created_again(create: Callable[[Command], bytes], command: Command) -> bytes:
    try:
        return create(command)
    except AdminError as error:
        if error.status != AdminStatus.EEXIST:
            raise
        return b""


OBJECT_FAULTS = [
    Fault(
        "object created twice",
        "object_exists_once",
        "core-17.01",
        opcode(AdminOpcode.RESOURCE_OBJ_CREATE, _created_again),
    ),
    Fault(
        "missing object is invalid",
        "object_that_is_not_there",
        "core-17.02",
        _all(
            *(
                opcode(number, renamed(AdminStatus.ENXIO, AdminStatus.EINVAL))
                for number in (AdminOpcode.RESOURCE_OBJ_QUERY, AdminOpcode.RESOURCE_OBJ_DESTROY)
            )
        ),
    ),
    Fault("one object more than the limit", "as_many_objects_as_the_limit", "core-17.03", _limit(1)),
    Fault("one object fewer than the limit", "as_many_objects_as_the_limit", "core-17.09", _limit(-1)),
    Fault(
        "group with rules is destroyed",
        "object_on_which_others_depend",
        "core-17.04",
        lambda port: setattr(port.model.resources, "check_free", nothing),
    ),
    Fault("number is used up", "object_is_created_again", "core-17.05", used_up),
    Fault("numbers have to count up", "objects_in_any_order", "core-17.06", _only_next),
    Fault("failed change stays", "change_that_fails", "core-17.10", _half_a_change),
    Fault(
        "query gives zeroes",
        "object_holds_what_was_set",
        "core-17.11",
        opcode(AdminOpcode.RESOURCE_OBJ_QUERY, lambda query, command: bytes(len(query(command)))),
    ),
    Fault(
        "change has no effect",
        "object_holds_what_was_set",
        "core-17.11",
        opcode(AdminOpcode.RESOURCE_OBJ_MODIFY, lambda _modify, _command: b""),
    ),
    Fault(
        "objects outlive a reset",
        "objects_end_with_a_reset",
        "core-17.12",
        lambda port: setattr(port.model.resources, "reset", nothing),
    ),
]
