"""What a page refers to: links, embedded files and frames, as absolute URLs in document order."""

from __future__ import annotations

import re
from typing import Final

from bs4 import BeautifulSoup, Tag
from msgspec import Struct

from pipeline.extract.visible import inner_text
from pipeline.model.document import Frame, Link
from pipeline.model.refresh import refresh_url
from pipeline.model.url import MAX_LENGTH, Rejected, resolve

_REFERENCE = {
    "a": "href",
    "area": "href",
    "link": "href",
    "frame": "src",
    "iframe": "src",
    "img": "src",
    "embed": "src",
    "script": "src",
    "source": "src",
    "audio": "src",
    "video": "src",
    "object": "data",
}
_ANY_CASE = re.ASCII | re.IGNORECASE
_NO_REFERENCE = re.compile(r"#|(?:about|blob|data|javascript|vbscript):|$", _ANY_CASE)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,20}:\S", _ANY_CASE)
_SPACES = re.compile(r"\s+")
_MAX_TEXT = 300

MAX_LINK_CHARS: Final = 4_000_000
"""Characters of all links and frames of one page that are kept, whatever their number."""


class References(Struct, frozen=True, kw_only=True):
    """The page's links and frames, and how many references were left out and why.

    Attributes:
        unreadable: references that are no URL anybody could ask for.
        surplus: references beyond the limits; what they name was not looked at.

    """

    links: tuple[Link, ...]
    frames: tuple[Frame, ...]
    unreadable: int
    surplus: int


def references(page: BeautifulSoup, url: str, codec: str, limit: int) -> References:
    """Collect at most `limit` links, and `MAX_LINK_CHARS`, of a page at the normal URL `url`.

    A reference that comes again with the same element, `rel` and text is given once. Links
    within the page, scripts and embedded data are left out. `codec` is the page's charset, in which
    old browsers wrote paths.
    """
    base = _base(page, url, codec)
    kept = _Kept(limit)
    unreadable = surplus = 0
    for tag in page.find_all([*_REFERENCE, "meta"]):
        written = _written(tag)
        if written is None or _NO_REFERENCE.match(written):
            continue
        target = _absolute(written, base, codec) if not kept.full else ""
        if target is None:
            unreadable += 1
        elif not kept.take(tag, target):
            surplus += 1
    return References(
        links=tuple(kept.links), frames=tuple(kept.frames), unreadable=unreadable, surplus=surplus
    )


class _Kept:
    """The links and frames kept so far; once one finds no room, nothing more is kept."""

    def __init__(self, limit: int) -> None:
        self.links: dict[Link, None] = {}
        self.frames: dict[Frame, None] = {}
        self.full = False
        self._limit = limit
        self._chars = 0

    def take(self, tag: Tag, target: str) -> bool:
        """Keep what `tag` refers to, each thing once; False where there is no room for it."""
        if self.full:
            return False
        link = _link(tag, target)
        frame = Frame(url=target, name=_attribute(tag, "name")) if tag.name == "frame" else None
        if link not in self.links:
            self._chars += len(link.url) + len(link.rel or "") + len(link.tag) + len(link.text)
            self.full = len(self.links) >= self._limit
        if frame and frame not in self.frames:
            self._chars += len(frame.url) + len(frame.name or "")
        self.full = self.full or self._chars > MAX_LINK_CHARS
        if self.full:
            return False
        self.links[link] = None
        if frame:
            self.frames[frame] = None
        return True


def _base(page: BeautifulSoup, url: str, codec: str) -> str:
    tag = page.find("base", href=True)
    resolved = resolve(str(tag["href"]), url, codec) if isinstance(tag, Tag) else url
    return url if isinstance(resolved, Rejected) else resolved


def _written(tag: Tag) -> str | None:
    if tag.name == "meta":
        if (_attribute(tag, "http-equiv") or "").lower() != "refresh":
            return None
        found = refresh_url(str(tag.get("content") or ""))
        return found.strip() if found is not None else None
    written = tag.get(_REFERENCE[tag.name])
    return str(written).strip() if written is not None else None


def _absolute(written: str, base: str, codec: str) -> str | None:
    resolved = resolve(written, base, codec)
    if not isinstance(resolved, Rejected):
        return resolved
    other = resolved is Rejected.SCHEME and len(written) <= MAX_LENGTH
    return written if other and _OTHER_SCHEME.match(written) else None


def _link(tag: Tag, url: str) -> Link:
    text = inner_text(tag, 4 * _MAX_TEXT) if tag.name in ("a", "iframe", "object") else ""
    text = text or str(tag.get("alt") or tag.get("title") or "")
    text = _SPACES.sub(" ", text).strip()
    if len(text) > _MAX_TEXT:
        text = text[: _MAX_TEXT - 1] + "…"
    rel = "refresh" if tag.name == "meta" else _attribute(tag, "rel")
    return Link(url=url, rel=rel, tag=tag.name, text=text)


def _attribute(tag: Tag, name: str) -> str | None:
    value = tag.get(name)
    text = " ".join(value) if isinstance(value, list) else value
    return _SPACES.sub(" ", str(text)).strip()[:200] or None if text is not None else None
