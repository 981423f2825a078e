"""What MkDocs does for the site beside its own. ``mkdocs.yml`` names this file.

Pages stay plain Markdown with relative links that work in the tree, too. So this adds the pages that lie
beside ``docs``, turns links to them around, and puts the pages of a folder into the navigation.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

__all__ = ["on_config", "on_files", "on_page_markdown"]

BESIDE = ("CHANGELOG.md", "LICENSE", "examples")
"""Files and folders beside ``docs`` that belong to the site, by the same names."""

_SHOWN = {".md", ".py", ".v", ".toml", ""}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")
_FENCE = re.compile(r"^(```\w+) .*$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Entries of the navigation that are a folder become its pages."""
    root = Path(config.docs_dir)
    config.nav = _expanded(config.nav or [], root)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of :data:`BESIDE` are files of the site."""
    root = Path(config.docs_dir).parent
    for name in BESIDE:
        for path in _files(root / name):
            uri = path.relative_to(root).as_posix()
            if uri not in files.src_uris:
                files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as they are in the tree become links of the site."""
    if page.file.src_uri == "index.md":
        page.meta["hide"] = ["navigation", "toc"]
    beside = page.file.src_uri.split("/")[0] in BESIDE
    here = posixpath.dirname(page.file.src_uri if beside else f"docs/{page.file.src_uri}")
    start = posixpath.dirname(page.file.src_uri)

    def turned(match: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join(here, match[1]))
        uri = place.removeprefix("docs/")
        if (Path(config.docs_dir).parent / place).is_dir():
            uri = posixpath.join(uri, "README.md")
        return posixpath.relpath(uri, start or ".") if files.get_file_from_path(uri) else match[1]

    # Words behind the language of a block are for the tests.
    return _FENCE.sub(r"\1", _LINK.sub(turned, markdown))


def _files(path: Path) -> list[Path]:
    """What of a file or a folder is shown; nothing that was built there."""
    if path.is_file():
        return [path]
    return sorted(
        file
        for file in path.glob("*")
        if file.is_dir() or file.suffix in _SHOWN
        for file in ([file] if file.is_file() else sorted(file.glob("*")))
        if file.is_file() and file.suffix in _SHOWN
    )


def _expanded(nav: Any, root: Path) -> Any:
    """``nav`` with the pages of each folder in its place."""
    if isinstance(nav, dict):
        return {title: _expanded(item, root) for title, item in nav.items()}
    if isinstance(nav, str):
        return _pages(nav, root) if nav.endswith("/") else nav
    made: list[Any] = []
    for item in nav:
        if isinstance(item, str) and item.endswith("/"):
            made += _pages(item, root)
        else:
            made.append(_expanded(item, root))
    return made


def _pages(folder: str, root: Path) -> list[str]:
    """The pages of a folder of ``docs`` or beside it: its index, what the index links to, all others."""
    place = root / folder if (root / folder / "index.md").exists() else root.parent / folder
    found = {path.relative_to(place).as_posix() for path in place.glob("**/*.md")}
    first = next((name for name in ("index.md", "README.md") if name in found), None)
    linked = _LINK.findall((place / first).read_text()) if first else []
    ordered = [name for name in linked if name in found]
    names: list[str] = [*([first] if first else []), *ordered, *sorted(found)]
    return [folder + name for name in dict.fromkeys(names)]
