"""The device at the other end of a byte pipe, in plain Python."""

from typing import Any

import numpy as np

from ..guest.transport.pipe_records import PIPE_COMMON, PipeEnd, PipeError, PipeSpace, Record, RecordKind
from .field_image import FieldImage
from .function import FunctionModel, Request

__all__ = ["PipeServer"]


class _PipeRequest(Request):
    def __init__(self, server: "PipeServer", record: Record):
        self._server = server
        self.key = (record.queue, record.id)
        self._readable = record.payload
        self.room = record.value

    @property
    def live(self) -> bool:
        return self._server.open.get(self.key) is self and not self._server.model.needs_reset

    def read(self) -> np.ndarray:
        return np.frombuffer(self._readable if self.live else b"", np.uint8)

    def finish(self, data: Any = b"", tail: bytes = b"") -> None:
        if not self.live:
            return
        del self._server.open[self.key]
        answer = bytes(data)[: self.room]
        tail = tail[: self.room]
        whole = len(answer) + len(tail) == self.room
        written = len(answer) + (len(tail) if whole else 0)
        queue, number = self.key
        self._server.end.send(
            Record(RecordKind.USED, queue, number, written, answer + bytes(tail), len(tail))
        )


class PipeServer:
    """Serves ``model`` at ``end``. The model fails on an invalid record or request."""

    def __init__(self, model: FunctionModel, end: PipeEnd):
        self.model = model
        self.end = end
        self.open: dict[tuple[int, int], _PipeRequest] = {}
        self._enabled = [0] * model.queue_count
        self._image = FieldImage(model, self._queue_read, self._queue_write)
        model.server = self
        model.change = lambda: end.send(Record(RecordKind.CHANGED))
        end.handle = self._handle
        end.failed = lambda _error: model.fail()

    def reset(self) -> None:
        """Stop all queues and restore the reset values."""
        for queue in range(self.model.queue_count):
            self._stop(queue)

    def _stop(self, queue: int) -> None:
        for key in [key for key in self.open if key[0] == queue]:
            del self.open[key]
        self._enabled[queue] = 0
        self.model.stopped(queue)

    def _handle(self, record: Record) -> None:
        try:
            self._serve(record)
        except PipeError:
            raise
        except ValueError as error:
            raise PipeError(str(error)) from None

    def _serve(self, record: Record) -> None:
        kind = record.kind
        if kind in (RecordKind.OFFER, RecordKind.CANCEL, RecordKind.STOP) and (
            record.queue >= self.model.queue_count
        ):
            raise PipeError(f"queue {record.queue} does not exist")
        if kind is RecordKind.OFFER:
            request = _PipeRequest(self, record)
            if request.key in self.open:
                raise PipeError(f"buffer {record.id} of queue {record.queue} is offered twice")
            if self.model.running:
                self.open[request.key] = request
                self.model.take(record.queue, request)
        elif kind is RecordKind.CANCEL:
            taken = self.open.pop((record.queue, record.id), None)
            self._answer(record, value=int(taken is not None))
        elif kind is RecordKind.STOP:
            self._stop(record.queue)
            self._answer(record)
        elif kind is RecordKind.READ:
            content = self._space(record.queue)
            self._answer(record, content[record.id : record.id + record.value].ljust(record.value, b"\0"))
        elif kind is RecordKind.WRITE:
            self._write(record.queue, record.id, record.payload)
            self._answer(record)
        else:
            raise PipeError(f"the driver sends {kind.name}")

    def _answer(self, record: Record, payload: bytes = b"", value: int = 0) -> None:
        self.end.send(Record(RecordKind.ANSWER, id=record.kind, value=value, payload=payload))

    # --- spaces --------------------------------------------------------------------------------------------

    def _space(self, space: int) -> bytes:
        if space == PipeSpace.FIELDS:
            return self._image.read(0, self._image.size)
        if space == PipeSpace.DEVICE:
            return self.model.config_bytes()
        if space != PipeSpace.COMMON:
            raise PipeError(f"space {space} does not exist")
        model = self.model
        values = {
            "device_features": model.features,
            "driver_features": model.driver_features,
            "status": model.read_status(),
            "generation": model.generation,
            "num_queues": model.queue_count,
            "queue_size": model.queue_size,
            "config_bytes": len(model.config_bytes()),
            "field_bytes": self._image.size,
        }
        return b"".join(values[row.name].to_bytes(row.size, "little") for row in PIPE_COMMON)

    def _write(self, space: int, offset: int, content: bytes) -> None:
        if space == PipeSpace.FIELDS:
            self._image.write(offset, content)
        elif space == PipeSpace.DEVICE:
            self.model.write_config(offset, content)
        elif (offset, len(content)) == (PIPE_COMMON.driver_features.offset, 8):
            self.model.driver_features = int.from_bytes(content, "little")
        elif (offset, len(content)) == (PIPE_COMMON.status.offset, 1):
            self.model.write_status(content[0])
        else:
            raise PipeError(f"{len(content)} bytes at {offset} of space {space} cannot be written")

    def _queue_read(self, index: int, name: str) -> int:
        known = {"size": self.model.queue_size, "index": index, "enable": self._enabled[index]}
        return known.get(name, 0)

    def _queue_write(self, index: int, name: str, value: int) -> None:
        if name == "enable":
            self._enabled[index] = value & 1
        elif name == "reset" and value == 1:
            self._stop(index)
