"""A headless Chromium that opens pages, takes pictures of them, and finds text that is cut or covered."""

import importlib.util
import io
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

__all__ = ["CHROMIUM", "NARROW", "WIDE", "Look", "chromium", "no_chromium", "opened"]

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Names of the program, of which the first that is there is used."""

WIDE, NARROW = 1440, 380
"""Widths in pixels at which pages are looked at: a screen and a telephone."""

_HEIGHT = 900
_LOCAL = ("file:", "data:", "blob:", "about:")
_COLOURS, _CANDIDATES, _ALIKE = 128, 20_000, 12
"""Colours of a picture, those that are looked at for it, and by how much two have to differ."""

_FUNCTIONS = Path(__file__).with_name("browser_faults.js").read_text()

Scheme = Literal["light", "dark"]


def no_chromium() -> str | None:
    """Why there is no browser, for ``skipif``; None if there is one."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed"
    if not any(map(shutil.which, CHROMIUM)):
        return "Chromium is not installed"
    return None


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser (a ``playwright.sync_api.Browser``), for many pages: it takes a second to start."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, CHROMIUM)))
    # Fonts as they are drawn on any machine: without hints and without the colours of a screen's dots.
    looks = ("--font-render-hinting=none", "--disable-lcd-text", "--hide-scrollbars")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *looks])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Look:
    """An open page.

    ``page`` is Playwright's own; ``errors`` what the page's scripts and the console have complained about;
    ``requests`` the addresses of all that it asked the network for: files and data in the page are no part of
    them.
    """

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def overflow(self) -> list[str]:
        """Elements that reach beyond the width of the page, if it can be scrolled sideways."""
        return self.page.evaluate(_FUNCTIONS + "overflow()")

    def cut(self) -> list[str]:
        """Texts of which a part is not seen, since their element is too small and cannot be scrolled."""
        return self.page.evaluate(_FUNCTIONS + "cut()")

    def overlaps(self, ignored: Sequence[str] = ()) -> list[str]:
        """Pairs of texts that cover each other. Not those in elements of the selectors ``ignored``, nor in
        such as stay in place when the page is scrolled."""
        return self.page.evaluate(f"ignored => {{ {_FUNCTIONS} return overlaps(ignored) }}", list(ignored))

    def faint(self, least: float = 4.5) -> list[str]:
        """Texts whose contrast to the colour behind them is less than WCAG asks for (not those in SVG)."""
        return self.page.evaluate(f"least => {{ {_FUNCTIONS} return faint(least) }}", least)

    def faults(self, ignored: Sequence[str] = ()) -> list[str]:
        """All of the above but for contrast, and errors and requests: a good page has none."""
        found = {
            "error": self.errors,
            "request": self.requests,
            "beyond the page": self.overflow(),
            "cut": self.cut(),
            "overlap": self.overlaps(ignored),
        }
        return [f"{what}: {text}" for what, texts in found.items() for text in texts]

    def texts(self, selector: str | None = None) -> list[str]:
        """The texts that are seen: of the window, or of the first element that ``selector`` finds."""
        found = self.page.evaluate(f"selector => {{ {_FUNCTIONS} return shown(selector) }}", selector)
        return [" ".join(text.split()) for text in found]

    def screenshot(self, path: Path | None = None, selector: str | None = None, whole: bool = False) -> bytes:
        """A picture as PNG with few colours, so that it is small, also as a file: of what is seen, of the
        ``whole`` page, or of the first element that ``selector`` finds."""
        from PIL import Image

        target = self.page if selector is None else self.page.locator(selector).first
        options = {"full_page": True} if whole and selector is None else {}
        picture = Image.open(io.BytesIO(target.screenshot(animations="disabled", **options)))
        out = io.BytesIO()
        few = _with_few_colours(picture.convert("RGB"))
        few.save(out, "PNG", optimize=True)
        if path is not None:
            path.write_bytes(out.getvalue())
        return out.getvalue()


def _with_few_colours(picture: Any) -> Any:
    """``picture`` with a palette of its most frequent colours, none of which is much like another one: so
    backgrounds stay as they are, and a colour of few dots is not lost to shades of the others."""
    from PIL import Image

    counted = sorted(picture.getcolors(picture.width * picture.height), reverse=True)[:_CANDIDATES]
    colours = np.array([colour for _count, colour in counted], np.int64)
    chosen = np.empty((0, 3), np.int64)
    for colour in colours:
        if len(chosen) < _COLOURS and (np.abs(chosen - colour).sum(axis=1) > _ALIKE).all():
            chosen = np.vstack([chosen, colour])
    palette = Image.new("P", (1, 1))
    palette.putpalette(chosen.astype(np.uint8).ravel().tolist())
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


@contextmanager
def opened(
    browser: Any,
    address: str | Path,
    *,
    width: int = WIDE,
    height: int = _HEIGHT,
    scheme: Scheme = "light",
    scale: float = 1,
) -> Iterator[Look]:
    """The page at ``address``, a URL or a file, in a window of its own that has no network.

    ``scheme`` is what the person prefers, ``scale`` how many dots of a picture a pixel has.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=scale,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
        offline=not _is_address(address),
    )
    try:
        look = Look(context.new_page())
        look.page.on("pageerror", lambda error: look.errors.append(str(error)))
        look.page.on("console", lambda message: _note(look, message))
        look.page.on("request", lambda request: _asked(look, request))
        url = str(address) if _is_address(address) else Path(address).resolve().as_uri()
        look.page.goto(url, wait_until="load")
        yield look
    finally:
        context.close()


def _is_address(address: str | Path) -> bool:
    return isinstance(address, str) and "://" in address


def _note(look: Look, message: Any) -> None:
    if message.type in ("error", "warning"):
        look.errors.append(message.text)


def _asked(look: Look, request: Any) -> None:
    if not request.url.startswith(_LOCAL):
        look.requests.append(request.url)
