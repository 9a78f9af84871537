"""Which URLs of a site are linked, by a walk over its files with the standard library alone.

The oracle for the crawl: it shares no code with it, reads no network, and knows only the elements
that the crawl has to follow.
"""

from __future__ import annotations

from collections import deque
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_ATTRIBUTE = {
    "a": "href",
    "area": "href",
    "frame": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "script": "src",
}


def linked(root: Path, start: str) -> dict[str, bool]:
    """Walk from `start` and give every path of the site that is linked, and whether it exists.

    Paths are decoded, begin with a slash, and keep their query; `root` is served as `/`, and a
    folder by its index.html.
    """
    found = {"/" + start: True}
    queue = deque(found)
    while queue:
        path = queue.popleft()
        file = _file(root, path)
        found[path] = file is not None
        if file is None or file.suffix not in (".html", ".htm"):
            continue
        for link in _links(file, path):
            if link not in found:
                found[link] = False
                queue.append(link)
    return found


def path_of(url: str) -> str:
    """Give a URL's path and query as `linked` spells them."""
    parts = urlsplit(url)
    return (unquote(parts.path) or "/") + (f"?{parts.query}" if parts.query else "")


def _file(root: Path, path: str) -> Path | None:
    path = path.partition("?")[0]
    file = root / path[1:]
    if file.is_dir() and path.endswith("/"):
        file = file / "index.html"
    return file if file.is_file() else None


def _links(file: Path, path: str) -> list[str]:
    parser = _Links()
    parser.feed(file.read_text("utf-8", "replace"))
    parser.close()
    base = _resolve(path.partition("?")[0], parser.base) or path
    found = (_resolve(base, reference.strip()) for reference in parser.references)
    return [link for link in found if link is not None]


def _resolve(base: str, reference: str) -> str | None:
    """Resolve against a path (RFC 3986 section 5.2); None for what leads off the site.

    Not `urljoin`, which takes two slashes in a path for one.
    """
    try:
        parts = urlsplit(reference)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        return None
    query = f"?{parts.query}" if parts.query else ""
    if not parts.path:
        return base + query
    path = unquote(parts.path)
    if not path.startswith("/"):
        path = base[: base.rindex("/") + 1] + path
    segments: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    folder = "/" if path.endswith(("/.", "/..")) and segments else ""
    return "/" + "/".join(segments) + folder + query


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(reversed(attrs))
        if tag == "base" and not self.base:
            self.base = values.get("href") or ""
        value = values.get(_ATTRIBUTE.get(tag, ""))
        if value and value.strip():
            self.references.append(value)
