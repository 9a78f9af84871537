"""The content of XML elements without entities being expanded: for feeds and sitemaps.

No XML parser is used: these files are cut short, mislabelled and hostile often enough, and what is
wanted of them is flat. Pure, linear, never raises.
"""

from __future__ import annotations

import re
from html import unescape

_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)
_REFERENCE = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]{1,9}|#x[0-9A-Fa-f]{1,8});")


def content(inner: str) -> str:
    """Give the characters of an element: CDATA as it is, predefined references replaced."""
    if "<![CDATA[" not in inner:
        return plain(inner)
    pieces = _CDATA.split(inner)
    return "".join(piece if number % 2 else plain(piece) for number, piece in enumerate(pieces))


def plain(text: str) -> str:
    """Replace character references and the five entities of XML (XML 1.0 §4.6), once."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(reference: re.Match[str]) -> str:
    return "'" if reference[0] == "&apos;" else unescape(reference[0])
