"""What a page refers to: links, embedded files and frames, as absolute URLs in document order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bs4 import BeautifulSoup, Tag

from pipeline.extract.visible import inner_text
from pipeline.model.document import Frame, Link
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
_NO_REFERENCE = re.compile(r"#|(?:about|blob|data|javascript|vbscript):|$", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,20}:\S", re.IGNORECASE)
_REFRESH = re.compile(r"\s*[\d.]*\s*[;,]?\s*(?:url\s*=)?\s*[\"']?([^\"'>]+)", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_MAX_TEXT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """The page's links and frames, and how many references were left out and why.

    Attributes:
        unreadable: references that are no URL anybody could ask for.
        surplus: references beyond the limit.

    """

    links: tuple[Link, ...]
    frames: tuple[Frame, ...]
    unreadable: int
    surplus: int


def references(page: BeautifulSoup, url: str, codec: str, limit: int) -> References:
    """Collect at most `limit` links of a page that lies at the normal URL `url`.

    A reference that comes again with the same element, `rel` and text is given once. Links
    within the page, scripts and embedded data are left out. `codec` is the page's charset, in which
    old browsers wrote paths.
    """
    base = _base(page, url, codec)
    links: dict[Link, None] = {}
    frames: list[Frame] = []
    unreadable = surplus = 0
    for tag in page.find_all([*_REFERENCE, "meta"]):
        written = _written(tag)
        if written is None or _NO_REFERENCE.match(written):
            continue
        target = _absolute(written, base, codec)
        if target is None:
            unreadable += 1
        elif len(links) >= limit:
            surplus += 1
        else:
            links[_link(tag, target)] = None
            if tag.name == "frame":
                frames.append(Frame(url=target, name=_attribute(tag, "name")))
    return References(
        links=tuple(links), frames=tuple(frames), unreadable=unreadable, surplus=surplus
    )


def _base(page: BeautifulSoup, url: str, codec: str) -> str:
    tag = page.find("base", href=True)
    resolved = resolve(str(tag["href"]), url, codec) if isinstance(tag, Tag) else url
    return url if isinstance(resolved, Rejected) else resolved


def _written(tag: Tag) -> str | None:
    if tag.name == "meta":
        if (_attribute(tag, "http-equiv") or "").lower() != "refresh":
            return None
        found = _REFRESH.match((_attribute(tag, "content") or "")[:MAX_LENGTH])
        return found.group(1).strip() if found else None
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
