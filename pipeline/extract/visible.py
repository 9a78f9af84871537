"""All visible text of a parsed page in reading order: what a person could read, furniture too.

Blocks become paragraphs, `<br>` a new line, `<pre>` keeps its lines, rows of plain cells are joined
by tabs. CSS is not applied and scripts are not run. Works without recursion, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeGuard

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PageElement, PreformattedString

_UNSEEN = frozenset(
    {"datalist", "head", "iframe", "object", "script", "style", "template", "title"}
)
_PARAGRAPHS = frozenset(
    """address article aside blockquote body caption center details dialog dir div dl fieldset
    figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html legend listing
    main menu nav ol p plaintext pre search section summary table ul xmp""".split()  # noqa: SIM905
)
_LINES = frozenset({"li", "dt", "dd", "tr", "option", "td", "th"})
_VERBATIM = frozenset({"pre", "xmp", "listing", "plaintext", "textarea"})
_NOT_IN_PLAIN_CELLS = _PARAGRAPHS | {"br", "li", "dt", "dd", "option"}
_PLAIN_ROW_NODES = 60
_MAX_INNER_NODES = 500
_SPACES = re.compile("[ \t\n\r\f]+")
_LINE_ENDS = re.compile("\r\n?")


def visible_text(page: BeautifulSoup | Tag) -> str:
    """Give the visible text below `page`: lines ended by LF, paragraphs apart by an empty line."""
    flow = _Flow()
    stack: list[PageElement | _Leave] = [page]
    while stack:
        node = stack.pop()
        if isinstance(node, _Leave):
            flow.leave(node)
        elif isinstance(node, Tag):
            if node.name not in _UNSEEN:
                stack.append(flow.enter(node))
                stack.extend(reversed(node.contents))
        elif _is_text(node):
            flow.write(node)
    return flow.finish()


def inner_text(tag: Tag, limit: int) -> str:
    """Give the text in `tag`, at most `limit` characters of it.

    The nodes looked at are bounded too: unclosed links nest by the thousand.
    """
    parts: list[str] = []
    size = 0
    for node in _first_nodes_in(tag, _MAX_INNER_NODES):
        if size > limit:
            break
        if _is_text(node):
            parts.append(node)
            size += len(node)
    return "".join(parts)[:limit]


def _first_nodes_in(tag: Tag, limit: int) -> Iterator[PageElement]:
    """Give at most `limit` nodes below `tag` in document order.

    Beautiful Soup's own `descendants` first seeks the last one, however deep it lies.
    """
    stack = tag.contents[limit - 1 :: -1]
    for _ in range(limit):
        if not stack:
            return
        node = stack.pop()
        yield node
        if isinstance(node, Tag):
            stack += node.contents[limit - 1 :: -1]


def _is_text(node: object) -> TypeGuard[NavigableString]:
    # comments, doctypes and the like are a kind of string too
    return isinstance(node, NavigableString) and not isinstance(node, PreformattedString)


class _Leave:
    """Marks on the stack where an element ends."""

    __slots__ = ("name", "plain_row")

    def __init__(self, name: str, plain_row: bool) -> None:
        self.name = name
        self.plain_row = plain_row


class _Flow:
    """Text being set line by line.

    `gap` is the number of line ends owed before the next text; `verbatim` counts open elements that
    keep their line breaks; `rows` tells for each open table row whether its cells share one line.
    """

    def __init__(self) -> None:
        self._out: list[str] = []
        self._line: list[str] = []
        self._gap = 0
        self._verbatim = 0
        self._at_start_of_verbatim = False
        self._rows: list[bool] = []

    def enter(self, tag: Tag) -> _Leave:
        name = tag.name
        plain_row = name == "tr" and _is_plain_row(tag)
        if name == "br":
            self._end_line()
            self._gap += self._gap < 2 or self._verbatim > 0
        else:
            self._break_at(name)
        if name in _VERBATIM:
            self._verbatim += 1
            self._at_start_of_verbatim = True
        if name == "tr":
            self._rows.append(plain_row)
        return _Leave(name, plain_row)

    def leave(self, element: _Leave) -> None:
        if element.name in _VERBATIM:
            self._verbatim -= 1
        if element.name in ("td", "th") and self._rows and self._rows[-1]:
            self._line.append("\t")
        elif element.name != "br":
            self._break_at(element.name)
        if element.name == "tr":
            self._rows.pop()

    def write(self, text: str) -> None:
        if self._verbatim:
            self._write_verbatim(_LINE_ENDS.sub("\n", text))
            return
        text = _SPACES.sub(" ", text)
        if not self._line or self._line[-1].endswith((" ", "\t")):
            text = text.removeprefix(" ")
        if text:
            self._line.append(text)

    def finish(self) -> str:
        self._end_line()
        return "".join(self._out)

    def _break_at(self, name: str) -> None:
        if name in _PARAGRAPHS:
            self._end_line()
            self._gap = max(self._gap, 2)
        elif name in _LINES and not (name in ("td", "th") and self._rows and self._rows[-1]):
            self._end_line()
            self._gap = max(self._gap, 1)

    def _write_verbatim(self, text: str) -> None:
        if self._at_start_of_verbatim:
            text = text.removeprefix("\n")  # HTML §13.2.6.4.7: the newline after <pre> is none
            self._at_start_of_verbatim = False
        first, *others = text.split("\n")
        self._line.append(first)
        for line in others:
            self._end_line()
            self._gap += 1
            self._line.append(line)

    def _end_line(self) -> None:
        line = "".join(self._line).rstrip(" \t")
        self._line.clear()
        if line:
            if self._out:
                self._out.append("\n" * self._gap)
            self._out.append(line)
            self._gap = 0


def _is_plain_row(row: Tag) -> bool:
    """Tell whether all cells hold one line of text each, as in a table of data."""
    for count, node in enumerate(_first_nodes_in(row, _PLAIN_ROW_NODES), start=1):
        if count == _PLAIN_ROW_NODES:
            return False
        if isinstance(node, Tag) and node.name in _NOT_IN_PLAIN_CELLS:
            return False
    return True
