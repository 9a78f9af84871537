"""From a decoded text to a parsed page: repairs where a parser would lose text, then one parse.

Repairs are made on the text, so that every later reader, trafilatura included, sees the same page.
"""

from __future__ import annotations

import re
import warnings

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from msgspec import Struct

_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,500}>")
_ANY_CASE = re.ASCII | re.IGNORECASE  # HTML §4.6: only ASCII letters are alike in both cases
_INTERNAL_SUBSET = re.compile(r"<!doctype(?=[\s\[])[^>\[]{0,500}\[", _ANY_CASE)
_TITLE = re.compile(r"<title(?=[\s/>])[^>]{0,500}>", _ANY_CASE)
_TITLE_END = re.compile(r"</title", _ANY_CASE)
_NOFRAMES = re.compile(r"</?noframes(?=[\s/>])[^>]{0,500}>", _ANY_CASE)
_MAX_PROLOGUE = 10_000
_FRAMESET = re.compile(r"<frameset(?=[\s/>])", _ANY_CASE)


class Markup(Struct, frozen=True, kw_only=True):
    """Repaired HTML text, and a flag for each repair."""

    text: str
    flags: tuple[str, ...]


def repair(text: str) -> Markup:
    """Mend what would make a parser drop text; everything else is left as it is.

    - The XML declaration goes: the text is decoded, and parsers would act on it.
    - The internal subset of a DOCTYPE goes: HTML has none, and entities are never expanded.
    - A TITLE that is never closed ends before the next tag (else all that follows is title).
    - A comment that is never closed ends at the next `>`, as in the browsers of its time.
    - NOFRAMES is unwrapped: its content is markup, but parsers take it for characters.
    """
    text = _XML_DECLARATION.sub("", text, count=1)
    text = _without_internal_subset(text)
    titled = _close_title(text)
    closed = _close_comment(titled)
    found = {
        "title-unclosed": titled != text,
        "comment-unclosed": closed != titled,
        "frameset": _FRAMESET.search(closed) is not None,
    }
    flags = tuple(flag for flag, holds in found.items() if holds)
    return Markup(text=_NOFRAMES.sub("", closed), flags=flags)


def parse(markup: str) -> BeautifulSoup:
    """Parse HTML of any depth and size without failing and without following any entity."""
    with warnings.catch_warnings():
        # what looks like XML here was sniffed as HTML, knowingly
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        return BeautifulSoup(markup, "lxml")


def _without_internal_subset(text: str) -> str:
    subset = _INTERNAL_SUBSET.search(text, 0, _MAX_PROLOGUE)
    end = text.find("]", subset.end()) if subset else -1
    return text[: subset.end() - 1] + text[end + 1 :] if subset and end >= 0 else text


def _close_title(text: str) -> str:
    title = _TITLE.search(text)
    if title is None or _TITLE_END.search(text, title.end()):
        return text
    next_tag = text.find("<", title.end())
    at = next_tag if next_tag >= 0 else len(text)
    return f"{text[:at]}</title>{text[at:]}"


def _close_comment(text: str) -> str:
    start = text.find("<!--", text.rfind("-->") + 1)
    end = text.find(">", start)
    if start < 0 or end < 0:
        return text
    return f"{text[:end]}--{text[end:]}"
