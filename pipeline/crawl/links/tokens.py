"""The start tags of a page, as a scanner of tokens sees them, not a tree builder.

For html.py. A tree builder decides what is in the document and drops what it dislikes (frames
beside a body, what is nested too deeply); an archive wants these too. One missing quote makes it
swallow the page up to the next one. And it costs twice as much, on a path that every page of a
crawl takes. The price: what looks like a tag in another tag's attribute value may be taken for one.

Pure. Linear in the size of the page, and it never raises, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from html import unescape
from html.entities import html5
from typing import Final

MAX_ATTRIBUTES: Final = 256 * 1024
"""Characters of one tag that are read."""

# A comment, or a start tag that matters here, to its end (HTML §13.2.5). All repetition is
# possessive, so nothing backtracks. A quote that is never closed is an ordinary character, and so
# the tag ends at the next `>`.
_ATTRIBUTES = r"""((?: [^>=]++ | =\s*+(?: "[^"]*+" | '[^']*+' | [^\s>"'][^\s>]*+ |) )*+) >?+"""
# Most of all tags: a link or anchor without a flaw.
_PLAIN_LINK = r"""a (?:\s++(?!href=|style=)[a-z-]++="[^"<>]*+")*+
    (?: \s++href="(\#|[^"<>&\#]++)[^"<>&]*+" (?:\s++(?!style=)[a-z-]++="[^"<>]*+")*+ )?+ \s*+ >"""
_NAMES = r"""(?: a(?:pplet|rea|udio)?+ | b(?:ase|gsound|lockquote|ody) | del | embed
    | f(?:eimage|ig|orm|rame) | i(?:frame|layer|mage|mg|nput|ns) | l(?:ayer|ink) | meta
    | o(?:bject|verlay) | param | q | s(?:cript|ource|tyle)
    | t(?:extarea|itle|rack|(?:able|[dhr])(?=\s[^<>]*(?i:background))) | use | video | xmp
    )(?=[\s/>])"""
_RAW = ("script", "style", "textarea", "title", "xmp")
_RAW_TEXT = r"""(?: (?<=/>) | ([^<]*+ (?: <(?!/(?i:\3)[\s/>])[^<]*+ )*+)(?=<) | (.*+) )"""
# What Internet Explorer reads in a conditional comment is part of the page.
_COMMENT = r"!--(?!\s*+\[(?i:if)\b) (?: -?> | (?: [^-]++ | -(?!-!?>) )*+--!?> | (.*+) )"

_ANY_NAME = r"[a-z][^\s/<>]*+(?=[\s/][^<>]*(?i:style|data-b))"
_CAPITAL = re.compile(r"<[A-Z]")
_STYLE = re.compile(r"style\s*+=", re.IGNORECASE)

_MANY = 1 << 20  # characters of a text whose tokens are not all held at once

_ASSIGNED = r"""\s*+=\s*+ (?: "([^"]*+)" | '([^']*+)' | ["']?+([^\s>]*+) )"""
_ATTRIBUTE = re.compile(rf"([^\s/>=]++) (?:{_ASSIGNED})?+", re.ASCII | re.VERBOSE)
# What a URL seems to hold when its closing quote is missing: the tag's end, then more tags.
_SWALLOWED = re.compile(r"([^>]*+)>[^<]*+<")
_CHARACTER_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,9}+;?|#[xX][0-9A-Fa-f]{1,8}+;?|([A-Za-z][A-Za-z0-9]*+(?:;|(?![;=]))))"
)


def start_tags(text: str) -> Iterator[tuple[str, str, str]]:
    """Give the start tags that matter here: link, name in lower case, the text of the attributes.

    Of a link without a flaw only the URL is given, without its fragment. The text of a script or
    style element is given with the name `/script` or `/style`.

    Comments and raw text are passed over. Where one is never closed, what follows is read as if it
    had not begun: old browsers did so, and the links in it are worth having.
    """
    capitals = _CAPITAL.search(text) is not None
    # style attributes make every tag one that matters
    every = ("url(" in text or (capitals and "URL(" in text)) and _STYLE.search(text) is not None
    scanner = partial(_pattern, capitals, every)
    spare = len(text)  # how much may be read a second time, which keeps the whole linear
    stack = [_Level(text, scanner, frozenset())]
    while stack:
        level = stack[-1]
        for link, name, raw_name, body, raw, rest, uncommented in level.tokens:
            if link:
                yield link, "", ""
                continue
            name = name.lower()
            if "<" in body and spare > 0 and (cut := _broken_quote(body)):
                yield "", name, body[:cut]
                again = f"{body[cut + 1 :]}>{raw}{rest}"
                spare -= len(again)
                stack.append(_Level(again, scanner, level.endless))
                break
            if name:
                yield "", name, body[:MAX_ATTRIBUTES]
            if raw and (name == "script" or name == "style"):
                yield "", "/" + name, raw
            elif rest or uncommented:
                endless = level.endless | {raw_name.lower() or "!--"}
                stack.append(_Level(rest or uncommented, scanner, endless))
                break
        else:
            stack.pop()


class _Level:
    """A text on its way through the scanner: the whole page, or a part that is read again.

    Attributes:
        endless: comments and raw text that are known to have no end here.

    """

    __slots__ = ("endless", "tokens")

    def __init__(
        self,
        text: str,
        scanner: Callable[[frozenset[str]], re.Pattern[str]],
        endless: frozenset[str],
    ) -> None:
        pattern = scanner(endless)
        self.endless = endless
        # one call is faster than many, but holds everything at once
        self.tokens: Iterator[tuple[str, ...]] = (
            iter(pattern.findall(text))
            if len(text) < _MANY
            else (match.groups("") for match in pattern.finditer(text))
        )


@cache
def _pattern(capitals: bool, every: bool, endless: frozenset[str]) -> re.Pattern[str]:
    """Give the expression for tokens: of every start tag, or of those that may refer by name.

    Where no tag is in capitals, which is most pages of today, it is much faster without IGNORECASE.
    """
    raw = "|".join(name for name in _RAW if name not in endless) or "(?!)"
    begins = "[!a-z]" if every else "[!abefilmopqstuvx]|del"
    names = f"{_NAMES} | {_ANY_NAME}" if every else _NAMES
    comment = "(?!)()" if "!--" in endless else _COMMENT
    return re.compile(
        rf"""<(?={begins}) (?: {_PLAIN_LINK}
        | ( ({raw})(?=[\s/>]) | {names} ) {_ATTRIBUTES} (?(3){_RAW_TEXT}) | {comment} )""",
        re.ASCII | re.DOTALL | re.VERBOSE | (re.IGNORECASE if capitals else re.NOFLAG),
    )


def attributes(body: str) -> dict[str, str]:
    """Give names in lower case and values, character references as they stand.

    The first attribute of a name counts (HTML §13.2.5.33); one without a value has an empty one.
    """
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(body):
        found.setdefault(name.lower(), double or single or bare)
    return found


def without_references(value: str) -> str:
    """Replace character references as in an attribute, where `&copy=` is none (§13.2.5.73)."""
    return _CHARACTER_REFERENCE.sub(_character, value) if "&" in value else value


def _broken_quote(body: str) -> int | None:
    """Find where a tag was meant to end whose URL lacks its closing quote, and swallows others."""
    for match in _ATTRIBUTE.finditer(body):
        if match[1].lower() in ("href", "src"):
            group = 2 if match[2] else 3
            swallowed = _SWALLOWED.match(match[group] or "")
            if swallowed:
                return match.start(group) + swallowed.end(1)
    return None


def _character(reference: re.Match[str]) -> str:
    name = reference[1]
    return unescape(reference[0]) if name is None else html5.get(name, reference[0])
