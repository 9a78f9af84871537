"""The links of an HTML page or an SVG image, in page order, each with its hop letter.

For the dispatcher, and for feeds, which quote HTML. First all references are collected as they
stand in the text, then they are read: only the whole page tells its charset and its base.
`rel=nofollow` and `<meta name=robots>` are not obeyed on purpose; they speak to search engines.

Pure. Linear in the size of the page, bounded, and it never raises, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from pipeline.crawl.links import css, script
from pipeline.crawl.links.decoding import Text, charset_in
from pipeline.crawl.links.gather import MAX_LINKS, Gathering
from pipeline.crawl.links.relation import hop_of
from pipeline.crawl.links.tokens import attributes, start_tags, without_references
from pipeline.model.policy import LinkPolicy
from pipeline.model.refresh import refresh_url
from pipeline.model.url import Rejected, resolve

_MAX_DEPTH = 3  # pages within pages (`srcdoc`)

_REPEATED = 200  # characters of tags that are kept in mind: the pages of a site share many

# How a value is read: as one URL with this hop letter, or as something that holds several.
_URL = frozenset("LER")
_SRCSET, _SRCDOC = "srcset", "srcdoc"
_STYLE, _SHEET, _SCRIPT = "style", "sheet", "script"
_BASE, _CHARSET = "base", "charset"
_UNDER = "under"  # a folder, a line feed, and a file in it

# Scripts of many makers load these later; without one, the page has no pictures.
_LAZY = {
    "data-src": "E",
    "data-srcset": _SRCSET,
    "data-src-large": "E",
    "data-src-medium": "E",
    "data-src-retina": "E",
    "data-src-small": "E",
    "data-lazy-src": "E",
    "data-lazy-srcset": _SRCSET,
    "data-lazy": "E",
    "data-original": "E",
    "data-original-set": _SRCSET,
    "data-hi-res-src": "E",
    "data-image": "E",
    "data-full": "E",
    "data-large": "E",
    "data-poster": "E",
    "data-bg": "E",
    "data-background": "E",
    "data-background-image": "E",
}
_QUOTING = {"cite": "L"}
_TABLE = {"background": "E", "data-bg": "E", "data-background": "E", "data-background-image": "E"}
_ANY = {name: way for name, way in _TABLE.items() if name != "background"}
_LAYER = {"src": "E", "background": "E"}
_DRAWN = {"href": "E", "xlink:href": "E"}
_PLACES: dict[str, Mapping[str, str]] = {
    "a": {"href": "L", "xlink:href": "L"},
    "area": {"href": "L"},
    "audio": {"src": "E", **_LAZY},
    "bgsound": {"src": "E"},
    "blockquote": _QUOTING,
    "body": _TABLE,
    "del": _QUOTING,
    "embed": {"src": "E", **_LAZY},
    "feimage": _DRAWN,
    "fig": {"src": "E"},
    "frame": {"src": "E", "longdesc": "L"},
    "iframe": {"src": "E", "longdesc": "L", "srcdoc": _SRCDOC, **_LAZY},
    "ilayer": _LAYER,
    "image": {"src": "E", **_DRAWN},
    "img": {"src": "E", "srcset": _SRCSET, "lowsrc": "E", "dynsrc": "E", "longdesc": "L", **_LAZY},
    "ins": _QUOTING,
    "layer": _LAYER,
    "overlay": {"src": "E"},
    "q": _QUOTING,
    "script": {"src": "E", "href": "E", "xlink:href": "E", "data-src": "E"},
    "source": {"src": "E", "srcset": _SRCSET, **_LAZY},
    "table": _TABLE,
    "tbody": _TABLE,
    "td": _TABLE,
    "tfoot": _TABLE,
    "th": _TABLE,
    "thead": _TABLE,
    "tr": _TABLE,
    "track": {"src": "E"},
    "use": _DRAWN,
    "video": {"src": "E", "poster": "E", **_LAZY},
}
_NOT_GET = frozenset({"post", "dialog"})
_PARAMETERS = frozenset({"data", "filename", "image", "movie", "source", "src", "url"})

_CANDIDATE = re.compile(r"[\s,]*+(\S++)", re.ASCII)
_DESCRIPTORS = re.compile(r"[^,(]*+(?:\([^)]*+[^,(]*+)*+")
_SEPARATORS = re.compile(r"[\s,]+", re.ASCII)
_XML_STYLESHEET = re.compile(r"""<\?xml-stylesheet\s[^>]*?\bhref\s*=\s*["']([^"'<>]*+)""")
_PROLOGUE = 4096


def scan(text: Text, gathering: Gathering, policy: LinkPolicy, base: str | None = None) -> None:
    """Take what a page refers to; `base` is its normal URL where that is not the resource's."""
    _Page(text, gathering, policy, base or gathering.url, 0).scan()


def scan_prologue(text: Text, gathering: Gathering) -> None:
    """Take the style sheets that an XML document names before its root (xml-stylesheet §3)."""
    for match in _XML_STYLESHEET.finditer(text.whole, 0, _PROLOGUE):
        value = without_references(text.read(match[1]))
        gathering.add(value, "E", "xml-stylesheet", None, text.encoding)


class _Reference(NamedTuple):
    """A value as it stands in the text, how it is read, and in what it stands."""

    written: str
    way: str
    tag: str


class _Page:
    """One page on its way through: values as they stand in the text, then what they mean."""

    def __init__(
        self, text: Text, gathering: Gathering, policy: LinkPolicy, base: str, depth: int
    ) -> None:
        self._text = text
        self._gathering = gathering
        self._policy = policy
        self._base = base
        self._base_written: str | None = None
        self._depth = depth
        self._written: dict[tuple[str, str, str], None] = {}

    def scan(self) -> None:
        """Collect, then read."""
        self._collect()
        if self._base_written is not None:
            self._base = self._resolve(self._base_written)
        for written, way, tag in self._written:
            if self._gathering.full:
                return
            if way not in _URL:
                self._read_several(written, way, tag)
            elif "&" not in written and written.isascii():
                self._gathering.add(written, way, tag, self._base)
            else:
                value = without_references(self._text.read(written))
                self._gathering.add(value, way, tag, self._base, self._text.encoding)
        if len(self._written) >= MAX_LINKS:
            self._gathering.full = True

    def _collect(self) -> None:
        written = self._written
        forms = self._policy.forms
        for link, tag, body in start_tags(self._text.whole):
            if link:
                written[link, "L", "a"] = None
            elif tag == "/style":
                written[body, _SHEET, "css"] = None
            elif tag == "/script":
                if self._policy.scripts:
                    written[body, _SCRIPT, "script"] = None
            else:
                found = _known if len(body) < _REPEATED else _references
                for reference in found(tag, body, forms):
                    if reference.way == _CHARSET:
                        self._text.labels.append(reference.written)
                    elif reference.way != _BASE:
                        written[reference] = None
                    elif self._base_written is None:
                        self._base_written = reference.written
            if len(written) >= MAX_LINKS:
                return

    def _read_several(self, written: str, way: str, tag: str) -> None:
        value = self._text.read(written)
        if way not in (_SHEET, _SCRIPT):
            value = without_references(value)
        if way == _SRCDOC:
            if self._depth < _MAX_DEPTH:
                inner = Text.of(value)
                _Page(inner, self._gathering, self._policy, self._base, self._depth + 1).scan()
            return
        base, hop, urls = self._base, "E", _srcset(value)
        if way == _UNDER:
            codebase, _, value = value.partition("\n")
            base, urls = self._resolve(codebase), iter((value,))
        elif way == _SCRIPT:
            hop, urls = "X", script.references(value)
        elif way != _SRCSET:
            urls = css.references(value)
        for url in urls:
            if self._gathering.full:
                return
            self._gathering.add(url, hop, tag, base, self._text.encoding)

    def _resolve(self, written: str) -> str:
        """Give a base URL, the page's own one where `written` is none."""
        value = without_references(self._text.read(written))
        encoding = "utf-8" if value.isascii() else self._text.encoding
        target = resolve(value, self._base, encoding)
        return self._base if isinstance(target, Rejected) else target


def _references(tag: str, body: str, forms: bool) -> tuple[_Reference, ...]:
    """Give what a tag refers to; `forms` tells whether forms that are sent with GET do."""
    found = attributes(body)
    references = list(_SPECIAL[tag](found)) if tag in _SPECIAL else []
    if tag == "form" and forms and found.get("method", "").strip().lower() not in _NOT_GET:
        references.append(_Reference(found.get("action", ""), "L", tag))
    places = _PLACES.get(tag, _ANY)
    references += [
        _Reference(value, places[name], tag) for name, value in found.items() if name in places
    ]
    if "(" in found.get("style", ""):
        references.append(_Reference(found["style"], _STYLE, "css"))
    return tuple(_without_fragment(reference) for reference in references)


_known = lru_cache(maxsize=4096)(_references)


def _without_fragment(reference: _Reference) -> _Reference:
    written, way, tag = reference
    if way in _URL and "#" in written and "&" not in written:
        return _Reference(written.partition("#")[0], way, tag)
    return reference


def _link(found: Mapping[str, str]) -> Iterator[_Reference]:
    hop = hop_of(found.get("rel"))
    if hop and "href" in found:
        yield _Reference(found["href"], hop, "link")
    if hop and "imagesrcset" in found:
        yield _Reference(found["imagesrcset"], _SRCSET, "link")


def _meta(found: Mapping[str, str]) -> Iterator[_Reference]:
    """Give the URL of a refresh (HTML §4.2.5.3), and what is said of the charset."""
    pragma = found.get("http-equiv", "").strip().lower()
    content = found.get("content", "")
    if pragma == "refresh":
        url = refresh_url(content)
        if url is not None:
            yield _Reference(url, "R", "meta")
        return
    declared = charset_in(content) if pragma == "content-type" else None
    for label in (declared, found.get("charset")):
        if label:
            yield _Reference(label, _CHARSET, "meta")


def _base(found: Mapping[str, str]) -> Iterator[_Reference]:
    if "href" in found:
        yield _Reference(found["href"], _BASE, "base")


def _input(found: Mapping[str, str]) -> Iterator[_Reference]:
    if found.get("type", "").strip().lower() == "image" and "src" in found:
        yield _Reference(found["src"], "E", "input")


def _param(found: Mapping[str, str]) -> Iterator[_Reference]:
    value = found.get("value", "")
    if found.get("name", "").strip().lower() in _PARAMETERS and ("." in value or "/" in value):
        yield _Reference(value, "E", "param")


def _object(found: Mapping[str, str]) -> Iterator[_Reference]:
    files = [found.get("data", ""), *_SEPARATORS.split(found.get("archive", ""))]
    return _under(found.get("codebase", ""), files, "object")


def _applet(found: Mapping[str, str]) -> Iterator[_Reference]:
    """Give class and archives (HTML 4.01 §13.4), the codebase being a folder as in browsers."""
    codebase = found.get("codebase", "").strip()
    if codebase and not codebase.endswith("/"):
        codebase += "/"
    archives = [name.strip() for name in found.get("archive", "").split(",")]
    return _under(codebase, [_class_file(found.get("code", "")), *archives], "applet")


def _under(codebase: str, files: Iterable[str], tag: str) -> Iterator[_Reference]:
    codebase = codebase.replace("\n", "").replace("\r", "")
    for name in files:
        if name:
            written = f"{codebase}\n{name}" if codebase else name
            yield _Reference(written, _UNDER if codebase else "E", tag)


_SPECIAL: dict[str, Callable[[Mapping[str, str]], Iterator[_Reference]]] = {
    "applet": _applet,
    "base": _base,
    "input": _input,
    "link": _link,
    "meta": _meta,
    "object": _object,
    "param": _param,
}


def _class_file(code: str) -> str:
    """Give the file of a Java class: `a.B` and `a.B.class` are both in `a/B.class`."""
    name = code.strip()
    if name.lower().endswith(".class"):
        name = name[: -len(".class")]
    return f"{name.replace('.', '/') if '/' not in name else name}.class" if name else ""


def _srcset(value: str) -> Iterator[str]:
    """Give the URLs of image candidates (HTML §4.8.4.3.10)."""
    position = 0
    while match := _CANDIDATE.match(value, position):
        position = match.end()
        if not match[1].endswith(","):
            descriptors = _DESCRIPTORS.match(value, position)
            position = descriptors.end() if descriptors else position
        yield match[1].rstrip(",")
