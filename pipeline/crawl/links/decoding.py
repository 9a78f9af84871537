"""A payload as text that can be scanned, and the way back from a value in it to what it means.

For all scanners of text formats. Values are percent-encoded as the bytes that stand in the payload;
its charset matters only for what else is in them (`caf&eacute;.html`), so it is looked for only
then. Pure; never raises.
"""

from __future__ import annotations

import re

from pipeline.model.encodings import CODECS, canonical_name

_CHARSET = re.compile(r"charset\s*+=\s*+[\"']?([^\s\"';,>]{1,40})", re.ASCII | re.IGNORECASE)
_XML_ENCODING = re.compile(rb"""\s*+<\?xml[^>]{1,200}?encoding\s*=\s*["']([\w.:-]{1,40})""")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_NOT_ASCII = frozenset({"utf-16-le", "utf-16-be", "iso2022_jp"})


class Text:
    """A payload as text.

    Attributes:
        whole: one character for each byte, except in encodings where the bytes of ASCII characters
            can mean something else; those are decoded.
        labels: names of charsets, the one to be believed first in front; more may be added.

    """

    __slots__ = ("_codec", "_is_decoded", "_payload", "labels", "whole")

    def __init__(self, payload: bytes, charset: str | None) -> None:
        xml = _XML_ENCODING.match(payload)
        self.labels = [charset, xml and xml[1].decode("latin-1")]
        self._payload = payload
        self._codec = next((codec for bom, codec in _BOMS if payload.startswith(bom)), None)
        if self._codec is None and b"\x1b" in payload and b"\x1b$" in payload:
            self._codec = "iso2022_jp"
        elif self._codec is None:
            self._codec = CODECS.get(canonical_name(charset) or "")
        self._is_decoded = self._codec in _NOT_ASCII
        if self._codec and self._is_decoded:
            self.whole = payload.decode(self._codec, "replace")
        else:
            self.whole = payload.decode("latin-1")

    @classmethod
    def of(cls, characters: str) -> Text:
        """Give text that is known already, such as what a feed quotes."""
        text = cls(b"", "utf-8")
        text._is_decoded = True
        text.whole = characters
        return text

    def read(self, written: str) -> str:
        """Give the characters of a part of `whole`; bytes that are none as surrogate escapes."""
        if self._is_decoded or written.isascii():
            return written
        return written.encode("latin-1").decode(self.encoding, "surrogateescape")

    @property
    def encoding(self) -> str:
        """The charset: byte order mark, HTTP, XML, as declared, strict UTF-8, windows-1252."""
        if self._codec is None:
            names = (canonical_name(label) for label in self.labels)
            declared = (CODECS[name] for name in names if name)
            self._codec = next((codec for codec in declared if codec not in _NOT_ASCII), None)
            self._codec = self._codec or ("utf-8" if _is_utf8(self._payload) else "cp1252")
        return "utf-8" if self._codec.startswith("utf-16") else self._codec


def charset_in(text: str) -> str | None:
    """Give the charset that a Content-Type, or a `<meta>` that stands for one, names."""
    match = _CHARSET.search(text)
    return match[1] if match else None


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
