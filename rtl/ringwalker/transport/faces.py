"""The register faces that there are, and the registers behind those that a device has."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from ..component import Component
from ..config import DeviceConfig
from ..interfaces import RegisterPort
from .face import RegisterFace, Window
from .field_face import FIELD_FACE
from .legacy_face import LEGACY_FACE
from .modern_face import MODERN_FACE
from .register_router import RegisterRouter

__all__ = ["FACES", "RegisterFaces", "face_windows"]

FACES: tuple[RegisterFace, ...] = (MODERN_FACE, FIELD_FACE, LEGACY_FACE)
"""A face is a row here, and a module beside this one."""


def face_windows(config: DeviceConfig) -> tuple[Window, ...]:
    """The windows of all faces of a device."""
    return tuple(window for face in FACES if face.offered(config) for window in face.windows(config))


class RegisterFaces(Component):
    """Brings each access to a BAR to the register that it is for, through the faces of the device.

    Parameters: ``faces`` replaces the table of faces.

    Members:

    - ``i`` In(RegisterPort()): from the initiator; an access outside all windows reads 0 and has no effect
    - ``common``, ``notify``, ``isr``, ``device`` Out(RegisterPort()): the windows of the modern face; the
      offset counts from the base of each; ``device`` is there if the function has a device configuration
    - ``msix_enable`` In 1 and ``claim`` Out 1, if there is a legacy face: those of it
    - ``idle`` Out 1: no access is in flight

    Latency: none beyond that of the faces, which see an access in the order of their rows.
    """

    def __init__(self, config: DeviceConfig, faces: Sequence[RegisterFace] | None = None):
        self._config = config
        self._faces = FACES if faces is None else tuple(faces)
        self._windows = MODERN_FACE.windows(config)
        super().__init__(
            {
                "i": In(RegisterPort()),
                **{window.name: Out(RegisterPort()) for window in self._windows},
                **({"msix_enable": In(1), "claim": Out(1)} if config.has_legacy else {}),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m: Any = Module()
        m.submodules.router = router = RegisterRouter(self._windows)
        initiator, idle = flipped(self.i), router.idle
        for face in self._faces:
            if face.view is not None and face.offered(self._config):
                m.submodules[face.name] = view = face.view(self._config)
                connect(m, initiator, view.i)
                initiator, idle = view.o, idle & view.idle
                if face is LEGACY_FACE:
                    m.d.comb += [view.msix_enable.eq(self.msix_enable), self.claim.eq(view.claim)]
        connect(m, initiator, router.i)
        for window in self._windows:
            connect(m, getattr(router, window.name), flipped(getattr(self, window.name)))
        m.d.comb += self.idle.eq(idle)
        return m
