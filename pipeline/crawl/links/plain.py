"""URLs written out in plain text, and the list of URLs that a sitemap may be.

Pure, linear, never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_URL = re.compile(r"""[hH][tT][tT][pP][sS]?+://[^\s<>"'`{}|\\^\[\]\x00-\x1f]++""", re.ASCII)
_TRAILING = ".,:;!?*_"
_LINE = re.compile(r"^[ \t\ufeff]*+(https?://\S++)[ \t]*+\r?$", re.IGNORECASE | re.MULTILINE)


def references(text: str) -> Iterator[str]:
    """Give the URLs in running text, without the punctuation that follows them (RFC 3986 C)."""
    for match in _URL.finditer(text):
        yield _without_punctuation(match[0])


def lines(text: str) -> Iterator[str]:
    """Give the URLs that stand on a line of their own (sitemaps.org, "Text file")."""
    return (match[1] for match in _LINE.finditer(text))


def _without_punctuation(url: str) -> str:
    trimmed = url.rstrip(_TRAILING)
    if trimmed.endswith(")") and "(" not in trimmed:
        trimmed = trimmed.rstrip(")" + _TRAILING)
    return trimmed
