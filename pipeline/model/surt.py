"""Sort-friendly URI Reordering Transform: the key under which an index finds a URL.

For index writers and for look-up. The key follows the practice of the wayback tools (host reversed,
`www` dropped, path and query in lower case, query sorted, session ids dropped), so that their
indexes and ours agree. A key is lossy: it never replaces the URL, and it is never fetched.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import Final

_SPLIT = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*):/{1,3}|(?![A-Za-z][A-Za-z0-9+.-]*:))"  # scheme, or none at all
    r"([^/?#]*)([^?#]*)(?:\?([^#]*))?"
)
_HOST_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]*))?")
# nothing here is escaped, unescaped or a dot segment
_SIMPLE_PATH = re.compile(r"(?:/[!$&-+\-:;=@A-Z_a-z~,0-9][!$&-+\-.:;=@A-Z_a-z~,0-9]*)*/?")
_SIMPLE_QUERY = re.compile(r"[!$&-/:;=?@A-Z_a-z~,0-9]*")
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_TO_ESCAPE = re.compile(rb"[\x00-\x20#%\x7f-\xff]")
_WWW = re.compile(r"www[0-9]*\.")
_DOTS = re.compile(r"\.\.+")
_ASPX_SESSION = re.compile(
    r"(.*/)\((?:(?:[a-z]\([0-9a-z]{24}\))+|[0-9a-z]{24})\)/([^?]+\.aspx.*)", re.DOTALL
)
_SESSIONS: Final = tuple(
    re.compile(rf"(.*){session}(?:&(.*))?", re.IGNORECASE | re.DOTALL)
    for session in (
        r"jsessionid=[0-9a-z]{32}",
        r"phpsessid=[0-9a-z]{32}",
        r"sid=[0-9a-z]{32}",
        r"aspsessionid[a-z]{8}=[a-z]{24}",
        r"cfid=[^&]+&cftoken=[^&]+",
    )
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_MAX_UNESCAPE = 8
# the session expressions cost the square of the length; nobody meant a longer one to be read
_MAX_SESSION = 4096
# no host name is longer; the cache must not fill with what only looks like one, and IDNA costs the
# square of a label's length
_MAX_NAME = 1024
_IPV4_DIGITS = 10


def surt(url: str) -> str:
    """Give the key of `url`, without blanks: `org,example)/path?query`.

    URIs without an authority (`urn:`, `dns:`) are their own key. Never raises: what is no URL keeps
    what sense can be made of it.
    """
    url = url.strip()
    parts = _SPLIT.match(url)
    if parts is None:
        return _escape(url.encode(errors="surrogatepass"), unescaped=False)
    scheme, authority, path, query = parts.groups()
    host = _cached_host if len(authority) <= _MAX_NAME else _host
    key = f"{host(scheme or 'http', authority)}){_path(path)}"
    if query and (query := _query(query)):
        key = f"{key}?{query}"
    return key


def _host(scheme: str, authority: str) -> str:
    match = _HOST_PORT.fullmatch(authority.rpartition("@")[2])
    host, port = match.groups() if match else (authority, None)
    if host.startswith("["):
        key = _escape(host.strip("[]").lower().encode(errors="surrogatepass"))
    else:
        key = ",".join(reversed(_host_name(host).split(".")))
    if port and port != _DEFAULT_PORTS.get(scheme.lower()):
        key = f"{key}:{port}"
    return key


_cached_host = lru_cache(maxsize=16384)(_host)


def _host_name(host: str) -> str:
    name = _unescape(host.encode(errors="surrogatepass")).decode("utf-8", "replace")
    if not name.isascii():
        name = _ascii_name(name)
    name = _DOTS.sub(".", name.lower()).strip(".")
    # a whole number is an IPv4 address; Python reads none of more than 4,300 digits
    digits = name.lstrip("0") or "0"
    if name.isdigit() and len(digits) <= _IPV4_DIGITS and (number := int(digits)) < 1 << 32:
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    return _escape(_WWW.sub("", name, count=1).encode() if _WWW.match(name) else name.encode())


def _ascii_name(name: str) -> str:
    if len(name) <= _MAX_NAME:
        with suppress(UnicodeError):
            return name.encode("idna").decode("ascii")
    return _escape(name.encode())  # no domain name; a key is wanted all the same


def _path(path: str) -> str:
    if not _SIMPLE_PATH.fullmatch(path):
        path = _escape(path.encode(errors="surrogatepass"))
        path = _without_dot_segments(path)
    path = path.lower()
    if ".aspx" in path and len(path) <= _MAX_SESSION and (found := _ASPX_SESSION.fullmatch(path)):
        path = found[1] + found[2]
    if path.endswith("/") and len(path) > 1:
        path = path.rstrip("/")
    return path or "/"


def _query(query: str) -> str:
    if not _SIMPLE_QUERY.fullmatch(query):
        query = _escape(query.encode(errors="surrogatepass"))
    for session in _SESSIONS if len(query) <= _MAX_SESSION else ():
        if found := session.fullmatch(query):
            query = found[1] + (found[2] or "")
    query = query.lower()
    if "&" not in query:
        return query
    return "&".join(sorted(query.split("&"), key=lambda pair: pair.partition("=")))


def _without_dot_segments(path: str) -> str:
    """Resolve `.` and `..`, then drop empty segments; a `..` at the root stays (practice)."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == ".." and kept:
            kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(segment for segment in kept if segment)


def _unescape(data: bytes) -> bytes:
    """Undo percent escapes until there are none; what is escaped too often stays so."""
    for _ in range(_MAX_UNESCAPE):
        if b"%" not in data:
            break
        plain = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), data)
        if plain == data:
            break
        data = plain
    return data


def _escape(data: bytes, *, unescaped: bool = True) -> str:
    """Give the one spelling of `data`: as few escapes as a line of ASCII text can do with."""
    if unescaped:
        data = _unescape(data)
    return _TO_ESCAPE.sub(lambda found: b"%%%02x" % found[0][0], data).decode("ascii")
