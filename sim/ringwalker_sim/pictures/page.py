"""The pages in docs/blocks: their text is written by hand, and these parts of it are made."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ringwalker.errors import RingwalkerError

from ..markdown import markdown_table
from ..mutants.catalogue import MUTANTS
from ..proofs.catalogue import PROPERTIES
from .catalogue import PAGES, BlockPage

__all__ = ["FOLDER", "PageError", "filled", "parts"]

FOLDER = "blocks"
"""The pages, in the documentation's folder."""

_BEGIN, _END = "<!-- {}: made by scripts/pictures, do not edit -->", "<!-- end of {} -->"
_WALKER = "core.walker.lane0."
"""What is in the walker is named from there."""


class PageError(RingwalkerError):
    """A page that cannot be filled; the message names it and what is missing."""


@cache
def _figures(docs: Path, name: str) -> Any:
    return json.loads((docs / name).read_text())


def _picture(words: str, name: str) -> str:
    return f"![{words}]({name}.svg)"


def _below(module: str, page: BlockPage) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in page.modules)


# ---- area


def _found(tree: dict[str, Any], path: list[str]) -> dict[str, Any] | None:
    """The block at ``path`` below ``tree``. Equal names have a number behind a ``$``."""
    if not path:
        return tree
    part = next((one for one in tree.get("parts", ()) if one["name"].split("$")[0] == path[0]), None)
    return None if part is None else _found(part, path[1:])


def _area(page: BlockPage, docs: Path) -> Iterator[str]:
    devices = [one for one in _figures(docs, "synthesis.json")["devices"] if "blocks" in one]
    names = {"ecp5": "ECP5", "xilinxup": "UltraScale+"}
    titles = ["block"]
    for one in devices:
        titles += [f"{names.get(one['target'], one['target'])}: LUTs", "registers", "block RAM"]
    rows = []
    for path in page.area:
        row = [f"`{path.removeprefix(_WALKER)}`"]
        for one in devices:
            block = _found(one["blocks"], path.split("."))
            counts = block["counts"] if block else {}
            row += [f"{counts[key]:,}" if counts else "-" for key in ("lut", "ff", "bram")]
        rows.append(row)
    what = "; ".join(f"{names.get(one['target'], one['target'])}: {one['name']}" for one in devices)
    yield "Each block synthesized by itself, with all that is in it ([synthesis](../synthesis.md))."
    yield f"{what}."
    yield ""
    yield from markdown_table(titles, rows)


def _ring_area(docs: Path) -> Iterator[str]:
    rows = []
    for one in _figures(docs, "rings.json")["area"]:
        ring = one["blocks"]["ring"]
        rows.append([f"`{one['ring']}`", f"{ring['lut']:,}", f"{ring['ff']:,}", f"{one['lut']:,}"])
    yield "At 64 bits on ECP5, the ring format by itself and the whole walker with it ([rings](../rings.md))."
    yield ""
    yield from markdown_table(("`ring`", "LUTs", "registers", "LUTs of the walker"), rows)


# ---- what holds it


def _mirrored(page: BlockPage, root: Path) -> list[str]:
    """The test files of its modules: those in the folder of a package, those with the name of a module."""
    found = set(page.tests)
    for module in page.modules:
        folder, name = root / "tb" / Path(*module.split(".")), module.rpartition(".")[2]
        if folder.is_dir():
            found |= {str(path.relative_to(root)) for path in folder.rglob("test_*.py")}
        else:
            near = folder.parent.glob(f"test_{name}*.py")
            found |= {
                str(path.relative_to(root))
                for path in near
                if path.stem == f"test_{name}" or path.stem.startswith(f"test_{name}_")
            }
    return sorted(found)


def _checks(page: BlockPage, docs: Path) -> Iterator[str]:
    root = docs.parent
    files = ", ".join(f"`{path}`" for path in _mirrored(page, root))
    yield f"Tests: {files}."
    proved = _figures(docs, "proofs.json")
    properties = [one for one in PROPERTIES if _below(one.module, page)]
    yield ""
    if properties:
        yield f"Proved ([proofs](../proofs.md), {len(properties)}):"
        yield ""
        for one in properties:
            verdict = one.method if proved[one.name]["proved"] else "does not hold"
            yield f"- `{one.block}`: {one.says.replace('``', '`')} ({verdict})"
    else:
        yield "Nothing is proved of it ([proofs](../proofs.md))."
    tried = _figures(docs, "mutants.json")
    mutants = [one for one in MUTANTS if _below(one.module, page)]
    yield ""
    if not mutants:
        yield "No fault is planted in it ([mutants](../mutants.md))."
        return
    yield "Planted faults, and which layers notice them ([mutants](../mutants.md)):"
    yield ""
    for one in mutants:
        layers = [name for name, got in tried[one.name].items() if got["verdict"] == "caught"]
        yield f"- {one.change.says}: {', '.join(layers) or 'nobody'}"


# ---- the page


def _list(docs: Path) -> Iterator[str]:
    rows = []
    for page in PAGES[1:]:
        sources = ", ".join(f"`{module.replace('.', '/')}`" for module in page.modules)
        rows.append([f"[{page.title}]({page.name}.md)", sources])
    yield from markdown_table(("page", "below `rtl/ringwalker`"), rows)


def parts(page: BlockPage, docs: Path) -> dict[str, str]:
    """What is made of a page, by the name of its marks. ``docs``: the folder of the documentation."""
    made = {"diagram": [_picture(f"{page.title}: blocks, and what runs between them", page.name)]}
    for n, (name, scene) in enumerate(page.scenes):
        made["timing" if n == 0 else f"timing {n + 1}"] = [_picture(scene.title, name)]
    if page is PAGES[0]:
        made["list"] = list(_list(docs))
        return {name: "\n".join(lines) for name, lines in made.items()}
    if page.area:
        made["area"] = list(_area(page, docs))
    elif page.rings:
        made["area"] = list(_ring_area(docs))
    made["checks"] = list(_checks(page, docs))
    return {name: "\n".join(lines) for name, lines in made.items()}


def filled(page: BlockPage, text: str, docs: Path) -> str:
    """The page ``text`` with its parts as they are now.

    Errors: :class:`PageError` if the marks of a part are missing.
    """
    for name, made in parts(page, docs).items():
        begin, end = _BEGIN.format(name), _END.format(name)
        pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}\n", re.DOTALL)
        if not pattern.search(text):
            raise PageError(f"{FOLDER}/{page.name}.md has no lines {begin!r} and {end!r}")
        before, after = pattern.split(text, maxsplit=1)
        text = f"{before}{begin}\n{made}\n{end}\n{after}"
    return text
