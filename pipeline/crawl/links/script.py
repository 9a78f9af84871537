"""Strings in scripts and JSON that look like URLs: guesses, hop letter X.

For scripts in pages and script files, where the operator asks for it. No script is parsed or run:
a tokenizer that mistakes one quote or regular expression loses step, and from there on takes code
for strings. So whatever stands between two quotes and holds no blank is looked at. Linear; never
raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BETWEEN_QUOTES = re.compile(r"""["'`]([^"'`\s<>]++)(?=["'`])""", re.ASCII)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)
_MAX_STRING = 2000
_EXTENSION = (
    r"\.(?:[xs]?html?|php[3-7]?|phtml|aspx?|jspx?|cgi|cfm|xml|rss|atom|json|txt|csv|pdf|docx?|xlsx?"
    r"|pptx?|odt|rtf|zip|gz|tgz|css|m?js|gif|jpe?g|jpe|png|bmp|webp|avif|svgz?|ico|tiff?|swf|mp[34]"
    r"|m4[av]|og[agv]|wav|midi?|mov|avi|wm[av]|flv|webm|ram?|m3u8?|vtt|srt|woff2?|ttf|otf|eot|wasm)"
)
_URL_LIKE = re.compile(
    rf"""https?://[\w.:\[\]-]++(?:[/?\#].*+)?
    | //[\w-]++(?:\.[\w-]++)++(?::[0-9]++)?+(?:[/?\#].*+)?
    | [\w.~/%@,+-]*?[\w)]{_EXTENSION}(?:[?\#].*+)?""",
    re.ASCII | re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
# what is put together when the script runs; and names of namespaces, which no browser asks for
_NO_URL = re.compile(r"[{}$^*|]|https?://www\.w3\.org/(?:1998|1999|2000|XML)/")


def references(text: str) -> Iterator[str]:
    """Give the strings that look like a URL, or like a path that ends as files of the Web do."""
    for match in _BETWEEN_QUOTES.finditer(text):
        written = match[1]
        if len(written) > _MAX_STRING or ("." not in written and "//" not in written):
            continue
        if "\\" in written:
            written = _ESCAPE.sub(_unescaped, written)
        if _URL_LIKE.fullmatch(written) and not _NO_URL.search(written):
            yield written


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    return chr(int(code, 16)) if code else escape[3]
