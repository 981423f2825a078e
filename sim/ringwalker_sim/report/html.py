"""HTML that is put together from values: text is escaped where it is put in."""

import html
from typing import Any

__all__ = ["Html", "bar", "chart", "element", "heads", "join", "scroll", "table"]

_ALONE = frozenset({"br", "col", "input", "meta"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def _inner(content: Any) -> str:
    if isinstance(content, Html):
        return content
    if isinstance(content, list | tuple):
        return "".join(map(_inner, content))
    return "" if content is None else html.escape(str(content), quote=False)


def scroll(content: Html, name: str, kind: str = "") -> Html:
    """A box for a table that may be too wide or too long, which can be reached with the keyboard."""
    classes = f"scroll {kind}".rstrip()
    return element("div", content, class_=classes, tabindex="0", role="group", aria_label=name)


def chart(name: str, id: str | None = None) -> Html:
    """Where the page's script draws a chart."""
    return element("div", id=id, class_="chart", aria_label=name)


def heads(*titles: tuple[str, str | None]) -> Html:
    """The first row of a table: texts, each with its class."""
    return element(
        "thead", element("tr", [element("th", text, scope="col", class_=kind) for text, kind in titles])
    )


def bar(part: float | None, colour: str | None = None) -> Html:
    """A bar that is filled to a part of it."""
    style = f"width:{100 * min(1.0, part or 0.0):.2f}%" + (f";--c:{colour}" if colour else "")
    return element("div", element("i", style=style), class_="bar", aria_hidden="true")


def join(*parts: Any) -> Html:
    """Parts behind each other; None is nothing."""
    return Html(_inner(parts))


def element(tag: str, *content: Any, **attributes: Any) -> Html:
    """An element. An attribute that is None or False is left out, one that is True has no value; a line below
    at the end of a name (``class_``) is dropped, others stand for hyphens.
    """
    words = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        words.append(name if value is True else f'{name}="{html.escape(str(value))}"')
    head = f"<{' '.join(words)}>"
    return Html(head if tag in _ALONE else f"{head}{_inner(content)}</{tag}>")


def table(titles: list[Any], rows: list[list[Any]], **attributes: Any) -> Html:
    """A table in a box that scrolls if it is too wide. A cell that is a number, or text that begins with one,
    stands at the right; the first of a row is its head."""
    numbers = [any(_is_number(row[place]) for row in rows) for place in range(len(titles))]
    kinds = ["n" if number else None for number in numbers]
    head = [element("th", text, class_=kind, scope="col") for text, kind in zip(titles, kinds, strict=True)]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            [element("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)],
        )
        for row in rows
    ]
    whole = element("table", element("thead", element("tr", head)), element("tbody", body), **attributes)
    return scroll(whole, "table", "facts")


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) or (isinstance(cell, str) and cell[:1].isdigit())
