"""Pictures of pages that are committed: taken by a test's browser, and compared, though not dot by dot.

The text that a picture shows is kept in it. A picture is out of date when its page shows other text in that
place, has another size, or looks clearly different; other fonts and another browser are no difference.
"""

import io
import json
import os
from pathlib import Path
from typing import Any

from .browser import Look

__all__ = ["UPDATE", "check_picture", "differences"]

UPDATE = "RINGWALKER_WRITE_DOCS"
"""The variable with which tests write their pictures in place of comparing them, if it is not empty."""

_TEXTS = "ringwalker"
"""Key of the text in the file."""

_GRID, _MOST = 24, 0.08
"""Parts of a side that are compared, and by how much of all their light two pictures may differ."""


def _image(content: bytes) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(content))


def _with_texts(content: bytes, texts: list[str]) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text(_TEXTS, json.dumps(texts), zip=True)
    out = io.BytesIO()
    _image(content).save(out, "PNG", optimize=True, pnginfo=notes)
    return out.getvalue()


def _coarse(image: Any) -> list[int]:
    return list(image.convert("L").resize((_GRID, _GRID)).tobytes())


def differences(committed: bytes, taken: bytes, texts: list[str]) -> list[str]:
    """In what a committed picture differs from one just taken, which shows ``texts``."""
    old, new = _image(committed), _image(taken)
    kept = json.loads(old.text.get(_TEXTS, "null"))
    if kept is None:
        return ["it does not say what text it shows"]
    found = [f"it lacks {text!r}" for text in texts if text not in kept]
    found += [f"{text!r} is gone" for text in kept if text not in texts]
    if old.size != new.size:
        return [*found, f"it is {old.size[0]}x{old.size[1]}, not {new.size[0]}x{new.size[1]}"]
    light = sum(abs(a - b) for a, b in zip(_coarse(old), _coarse(new), strict=True)) / (255 * _GRID * _GRID)
    return [*found, *([f"{100 * light:.0f} % of its light differ"] if light > _MOST else [])]


def check_picture(look: Look, path: Path, selector: str | None = None) -> None:
    """See that ``path`` is a picture of what ``look`` sees, or of the first element of ``selector``.

    With the variable :data:`UPDATE` it is written. Errors: ``AssertionError`` that says what is
    different, and how to write it.
    """
    taken, texts = look.screenshot(selector=selector), look.texts(selector)
    if os.environ.get(UPDATE):
        path.write_bytes(_with_texts(taken, texts))
    assert path.exists(), f"{path} is not there; {UPDATE}=1 pytest writes it"
    found = differences(path.read_bytes(), taken, texts)
    assert not found, f"{path}: {'; '.join(found)}; {UPDATE}=1 pytest writes it, then look at it"
