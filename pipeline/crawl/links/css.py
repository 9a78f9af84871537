r"""The references of a style sheet: `url()`, `@import`, `image-set()` (CSS Syntax 3 §4, Values 4).

For CSS files, style elements and style attributes. Comments and other strings are passed over, and
so are namespaces, which name and do not refer. One regular expression, one pass; linear, and it
never raises. Names that are themselves written with escapes (`u\72l(`) are not recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Strings end with their line, also where the closing quote is missing (CSS Syntax 3 §4.3.5).
_STRING = r""" "((?:[^"\\\n]++|\\.)*+)"?+ | '((?:[^'\\\n]++|\\.)*+)'?+ """
_URL = rf"""url\(\s*+(?: {_STRING} | ((?:[^)\\\n;{{}}"']++|\\.)*+) )"""
_TOKEN = re.compile(
    rf"""/\*(?:[^*]++|\*(?!/))*+
    | {_URL}
    | @import\s*+(?: {_STRING} | (?=u))
    | @namespace[^;{{}}]*+
    | image-set\(((?:[^()"']++|"[^"]*+"|'[^']*+'|\([^()]*+\))*+)
    | "(?:[^"\\\n]++|\\.)*+ "?+ | '(?:[^'\\\n]++|\\.)*+ '?+""",
    re.ASCII | re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_IN_IMAGE_SET = re.compile(
    rf"{_URL} | {_STRING}", re.ASCII | re.DOTALL | re.IGNORECASE | re.VERBOSE
)
_IMAGE_SET = 6
_ESCAPE = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})\s?|\r?\n|(.?))", re.ASCII | re.DOTALL)


def references(text: str) -> Iterator[str]:
    """Give what a style sheet refers to, as written but without quotes and escapes."""
    for match in _TOKEN.finditer(text):
        group = match.lastindex
        if group is None:
            continue
        if group == _IMAGE_SET:
            for inner in _IN_IMAGE_SET.finditer(match[group]):
                if inner.lastindex:
                    yield from _referring(inner[inner.lastindex])
        else:
            yield from _referring(match[group])


def _referring(written: str) -> Iterator[str]:
    if not written.startswith("#"):  # a part of the document itself
        yield _ESCAPE.sub(_unescaped, written) if "\\" in written else written


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1]:
        code = int(escape[1], 16)
        return chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd"
    return escape[2] or ""
