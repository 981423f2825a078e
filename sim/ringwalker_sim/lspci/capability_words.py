"""Capabilities in the words of ``lspci -vvv``."""

import enum
from collections.abc import Callable, Mapping
from typing import Any

from ringwalker.spec.modern import CapabilityType
from ringwalker.spec.pci import MsiControl, MsixControl, MsixTableOffset, PmCapabilities, PmControlStatus
from ringwalker.spec.pci_extended import AdvancedErrorControl, CorrectableError, UncorrectableError
from ringwalker.spec.pcie import (
    COMPLETION_TIMEOUTS_US,
    DeviceCapabilities,
    DeviceCapabilities2,
    DeviceControl,
    DeviceControl2,
    LinkCapabilities,
    LinkControl,
    LinkControl2,
    LinkStatus,
    PcieCapabilities,
    PcieDeviceStatus,
)

__all__ = ["CAPABILITY_WORDS", "Fields", "field_of", "signs"]

Fields = dict[str, Any]
"""A structure of configuration space: numbers by the names of its table."""

_SPEEDS = {1: "2.5GT/s", 2: "5GT/s", 3: "8GT/s", 4: "16GT/s", 5: "32GT/s", 6: "64GT/s"}
_PORT_TYPES = {0: "Endpoint", 1: "Legacy Endpoint", 4: "Root Port", 5: "Upstream Port", 6: "Downstream Port"}
_STRUCTURES: Mapping[int, str] = {
    CapabilityType.COMMON: "CommonCfg",
    CapabilityType.NOTIFY: "Notify",
    CapabilityType.ISR: "ISR",
    CapabilityType.DEVICE: "DeviceCfg",
    CapabilityType.PCI: "PCI config access",
    CapabilityType.SHARED_MEMORY: "Shared memory",
    CapabilityType.VENDOR: "Vendor data",
}


def field_of(value: int, mask: int) -> int:
    """The bits of ``mask`` in ``value``, moved down to bit 0."""
    return (value & mask) // (mask & -mask)


def signs(value: int, names: Mapping[str, enum.IntFlag]) -> str:
    """Each name with ``+`` if a bit of its flag is set in ``value``, else with ``-``."""
    return " ".join(f"{name}{'+' if value & bit else '-'}" for name, bit in names.items())


def _pm_lines(cap: Fields) -> list[str]:
    control = cap["control_status"]
    state = field_of(control, PmControlStatus.POWER_STATE)
    reset = signs(control, {"NoSoftRst": PmControlStatus.NO_SOFT_RESET})
    return [
        f"Power Management version {field_of(cap['capabilities'], PmCapabilities.VERSION)}",
        f"Status: D{state if state < 3 else '3hot'} {reset}",
    ]


def _msi_lines(cap: Fields) -> list[str]:
    control = cap["control"]
    counts = "/".join(
        str(1 << field_of(control, field)) for field in (MsiControl.MESSAGES_ENABLED, MsiControl.MESSAGES)
    )
    enable = signs(control, {"Enable": MsiControl.ENABLE})
    able = signs(control, {"Maskable": MsiControl.MASKS, "64bit": MsiControl.ADDRESS_64})
    first = f"MSI: {enable} Count={counts} {able}"
    whole = MsiControl.MASKS | MsiControl.ADDRESS_64
    if control & whole != whole:
        # Of a device that is not ours; what follows stands at other places.
        return [first]
    address = cap["address_high"] << 32 | cap["address_low"]
    return [
        first,
        f"Address: {address:016x}  Data: {cap['data']:04x}",
        f"Masking: {cap['mask']:08x}  Pending: {cap['pending']:08x}",
    ]


def _msix_lines(cap: Fields) -> list[str]:
    control = cap["control"]
    count = field_of(control, MsixControl.TABLE_SIZE) + 1
    enable = signs(control, {"Enable": MsixControl.ENABLE})
    masked = signs(control, {"Masked": MsixControl.FUNCTION_MASK})
    lines = [f"MSI-X: {enable} Count={count} {masked}"]
    for name, row in (("Vector table", "table"), ("PBA", "pba")):
        bar = cap[row] & MsixTableOffset.BAR
        lines.append(f"{name}: BAR={bar} offset={cap[row] & ~int(MsixTableOffset.BAR):08x}")
    return lines


def _pcie_lines(cap: Fields) -> list[str]:
    kind = field_of(cap["capabilities"], PcieCapabilities.DEVICE_TYPE)
    version = field_of(cap["capabilities"], PcieCapabilities.VERSION)
    abilities, control = cap["device_capabilities"], cap["device_control"]
    enables = {
        "CorrErr": DeviceControl.CORRECTABLE_ERROR_ENABLE,
        "NonFatalErr": DeviceControl.NON_FATAL_ERROR_ENABLE,
        "FatalErr": DeviceControl.FATAL_ERROR_ENABLE,
        "UnsupReq": DeviceControl.UNSUPPORTED_REQUEST_ENABLE,
        "RlxdOrd": DeviceControl.RELAXED_ORDERING_ENABLE,
        "ExtTag": DeviceControl.EXTENDED_TAG_ENABLE,
        "NoSnoop": DeviceControl.NO_SNOOP_ENABLE,
    }
    states = {
        "CorrErr": PcieDeviceStatus.CORRECTABLE_ERROR,
        "NonFatalErr": PcieDeviceStatus.NON_FATAL_ERROR,
        "FatalErr": PcieDeviceStatus.FATAL_ERROR,
        "UnsupReq": PcieDeviceStatus.UNSUPPORTED_REQUEST,
        "TransPend": PcieDeviceStatus.TRANSACTIONS_PENDING,
    }
    able = {
        "ExtTag": DeviceCapabilities.EXTENDED_TAG,
        "RBE": DeviceCapabilities.ROLE_BASED_ERROR_REPORTING,
        "FLReset": DeviceCapabilities.FUNCTION_LEVEL_RESET,
    }
    link_controls = {"CommClk": LinkControl.COMMON_CLOCK, "ExtSynch": LinkControl.EXTENDED_SYNCH}
    boundary = 128 if cap["link_control"] & LinkControl.READ_COMPLETION_BOUNDARY else 64
    payload = 128 << field_of(control, DeviceControl.MAX_PAYLOAD_SIZE)
    read_request = 128 << field_of(control, DeviceControl.MAX_READ_REQUEST_SIZE)

    def speed(register: str, fields: Any) -> str:
        return _SPEEDS.get(field_of(cap[register], fields.SPEED), "unknown")

    return [
        f"Express (v{version}) {_PORT_TYPES.get(kind, f'type {kind}')}",
        f"DevCap: MaxPayload {128 << field_of(abilities, DeviceCapabilities.MAX_PAYLOAD_SUPPORTED)} bytes, "
        + signs(abilities, able),
        f"DevCtl: {signs(control, enables)}",
        f"        MaxPayload {payload} bytes, MaxReadReq {read_request} bytes",
        f"DevSta: {signs(cap['device_status'], states)}",
        *_second_lines(cap),
        f"LnkCap: Speed {speed('link_capabilities', LinkCapabilities)}, "
        f"Width x{field_of(cap['link_capabilities'], LinkCapabilities.WIDTH)}",
        f"LnkCtl: RCB {boundary} bytes, {signs(cap['link_control'], link_controls)}",
        f"LnkSta: Speed {speed('link_status', LinkStatus)}, "
        f"Width x{field_of(cap['link_status'], LinkStatus.WIDTH)}",
        f"LnkCtl2: Target Link Speed: "
        f"{_SPEEDS.get(field_of(cap['link_control_2'], LinkControl2.TARGET_SPEED), 'unknown')}",
    ]


_TIMEOUT_RANGES = "ABCD"


def _second_lines(cap: Fields) -> list[str]:
    """Device capabilities 2 and device control 2, where there is anything in them."""
    able, control = cap["device_capabilities_2"], cap["device_control_2"]
    abilities, controls = _timeout_words(able, control)
    completer, requester = (
        DeviceCapabilities2.TEN_BIT_TAG_COMPLETER,
        DeviceCapabilities2.TEN_BIT_TAG_REQUESTER,
    )
    if able & (completer | requester):
        abilities.append(signs(able, {"10BitTagComp": completer, "10BitTagReq": requester}))
        controls.append(signs(control, {"10BitTagReq": DeviceControl2.TEN_BIT_TAG_REQUESTER_ENABLE}))
    if not abilities:
        return []
    return [f"DevCap2: {', '.join(abilities)}", f"DevCtl2: {', '.join(controls)}"]


def _timeout_words(able: int, control: int) -> tuple[list[str], list[str]]:
    """Of completion time-outs, which there are and which is chosen."""
    ranges = field_of(able, DeviceCapabilities2.TIMEOUT_RANGES)
    if not ranges:
        return [], []
    names = "".join(name for n, name in enumerate(_TIMEOUT_RANGES) if ranges >> n & 1)
    disable = signs(able, {"TimeoutDis": DeviceCapabilities2.TIMEOUT_DISABLE})
    code = field_of(control, DeviceControl2.TIMEOUT)
    disabled = signs(control, {"TimeoutDis": DeviceControl2.TIMEOUT_DISABLE})
    length = (
        "default"
        if code not in COMPLETION_TIMEOUTS_US
        else "{}us to {}us".format(*COMPLETION_TIMEOUTS_US[code])
    )
    return (
        [f"Completion Timeout: Range {names}, {disable}"],
        [f"Completion Timeout: {length}, {disabled}"],
    )


def _virtio_lines(cap: Fields) -> list[str]:
    name = _STRUCTURES.get(cap["type"], f"type {cap['type']}")
    title = f"Vendor Specific Information: VirtIO: {name}"
    if "vendor_id" in cap:
        title += f" [{cap['vendor_id']:04x}]"
    if "bar" not in cap:
        return [title]
    if "version" in cap:
        title += f" field list version {cap['version']}"
    place = f"BAR={cap['bar']} offset={cap['offset_in_bar']:08x} size={cap['size']:08x}"
    extra = f" multiplier={cap['multiplier']:08x}" if "multiplier" in cap else ""
    return [title, place + extra]


def _error_lines(cap: Fields) -> list[str]:
    errors = {
        "CmpltTO": UncorrectableError.COMPLETION_TIMEOUT,
        "UnxCmplt": UncorrectableError.UNEXPECTED_COMPLETION,
        "TLP": UncorrectableError.POISONED,
        "UnsupReq": UncorrectableError.UNSUPPORTED_REQUEST,
    }
    correctable = {"AdvNonFatalErr": CorrectableError.ADVISORY_NON_FATAL}
    log = " ".join(f"{cap[f'header_log_{n}']:08x}" for n in range(4))
    return [
        "Advanced Error Reporting",
        f"UESta: {signs(cap['uncorrectable_status'], errors)}",
        f"UEMsk: {signs(cap['uncorrectable_mask'], errors)}",
        f"UESvrt: {signs(cap['uncorrectable_severity'], errors)}",
        f"CESta: {signs(cap['correctable_status'], correctable)}",
        f"CEMsk: {signs(cap['correctable_mask'], correctable)}",
        f"AERCap: First Error Pointer: {field_of(cap['control'], AdvancedErrorControl.FIRST_ERROR):02x}",
        f"HeaderLog: {log}",
    ]


def _serial_lines(cap: Fields) -> list[str]:
    number = cap["serial_high"] << 32 | cap["serial_low"]
    return [f"Device Serial Number {number.to_bytes(8, 'big').hex('-')}"]


CAPABILITY_WORDS: dict[str, Callable[[Fields], list[str]]] = {
    "pm": _pm_lines,
    "msi": _msi_lines,
    "msix": _msix_lines,
    "pcie": _pcie_lines,
    "virtio": _virtio_lines,
    "aer": _error_lines,
    "serial_number": _serial_lines,
}
"""The lines of a capability, by its kind."""
