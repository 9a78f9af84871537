"""URLs: what a page or an operator wrote, made into the one spelling Holdfast asks for and keys by.

A URL is a plain `str` once it has passed through here, because a crawl handles millions of them. A
*normal* URL has the scheme http or https, a lower-case ASCII host, no user, no default port, a path
that begins with `/` and has no dot segments, no fragment, and only characters that may stand on an
HTTP request line. What is written as %XX stays as written. Resolving a normal URL gives it back.

References are read as browsers read them (WHATWG URL Standard, for http and https), with two
exceptions: path and query are both percent-encoded by the page's charset, as the browsers of old
pages did, and the ASCII characters that no URI may hold (RFC 3986 §2) are all encoded, but for
brackets and a lone `%`. Pure, linear in its input, never raises: what cannot be fetched gives a
`Rejected`.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple
from urllib.parse import unquote

import idna

MAX_LENGTH: Final = 8192
"""Characters of the longest URL that is asked for; few servers take more."""

_CACHED_LENGTH = 300  # keeps the cache to some megabytes whatever pages hold
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_AUTHORITY = 1024
_BLANKS = "".join(map(chr, range(33)))
_DROPPED = str.maketrans("", "", "\t\n\r")

# A relative path with nothing to repair: the most common reference by far.
_PLAIN = re.compile(r"(?![./])[\w.~!$&'()*+,;=@/-]+(?:\?[\w.~!$&'()*+,;=@%:/?-]*)?", re.ASCII)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SLASHES = re.compile(r"[/\\]{2,}")
_AUTHORITY_END = re.compile(r"[/\\?]|\Z")
_NOT_IN_URI = re.compile(r"[^!#-;=?-\[\]_a-z~]")
_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?:/|\Z)", re.IGNORECASE)
_BRACKETED = re.compile(r"(\[[^\]]*\])(?::(.*))?", re.DOTALL)
_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_DOTTED_QUAD = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_PORT = re.compile(r"0*([0-9]{1,5})")
_NORMAL = re.compile(r"(https?)://(\[[^\]]*\]|[^:/]*)(?::([0-9]+))?(/.*)")


class Rejected(Enum):
    """Why a reference names nothing that a crawl can ask for."""

    SCHEME = "its scheme is not http or https"
    HOST = "its host is no host name and no IP address"
    PORT = "its port is no number from 1 to 65535"
    LENGTH = f"it is longer than {MAX_LENGTH} characters"
    NUL = "it holds a NUL character"
    RELATIVE = "it does not begin with http:// or https://"


class Parts(NamedTuple):
    """A normal URL taken apart; `target` is path and query as they stand on the request line."""

    scheme: str
    host: str
    port: int
    target: str


def resolve(href: str, base: str, encoding: str = "utf-8") -> str | Rejected:
    """Give the normal URL that `href` means on the page at `base`.

    Args:
        href: as written, character references already replaced. Bytes that could not be decoded may
            be there as surrogate escapes (PEP 383); they are encoded as the bytes they were.
        base: a normal URL.
        encoding: the page's charset, a Python codec. UTF-8 stands in where it lacks a character.

    """
    href = href.strip(_BLANKS)
    if href[:1] in "?#" or len(href) > _CACHED_LENGTH:
        return _resolve(href, base, encoding)
    return _resolve_in_folder(href, folder(base), encoding)


def absolute(text: str) -> str | Rejected:
    """Give the normal URL of an absolute one, as an operator writes it in a seed file."""
    return _resolve(text.strip(_BLANKS), "", "utf-8")


def folder(url: str) -> str:
    """Give a normal URL up to and with the last slash of its path."""
    query = url.find("?")
    end = url.rfind("/", 0, query) if query >= 0 else url.rfind("/")
    return url[: end + 1]


def split(url: str) -> Parts:
    """Take a normal URL apart.

    Raises:
        ValueError: `url` is not normal, which is a bug.

    """
    match = _NORMAL.fullmatch(url)
    if match is None:
        raise ValueError(f"not a normal URL: {url!r}")
    scheme, host, port, target = match.groups()
    return Parts(scheme, host, int(port) if port else _DEFAULT_PORTS[scheme], target)


def origin(url: str) -> str:
    """Give `scheme://host:port` of a normal URL, the port always there: the key of politeness."""
    return _origin(url[: url.index("/", 8)])


def robots_url(origin: str) -> str:
    """Give the normal URL of the robots.txt that governs an origin (RFC 9309 §2.3)."""
    parts = split(origin + "/robots.txt")
    return _site_of(parts.scheme, parts.host, parts.port) + parts.target


@lru_cache(maxsize=4096)
def _origin(site: str) -> str:
    parts = split(site + "/")
    return f"{parts.scheme}://{parts.host}:{parts.port}"


def _resolve(href: str, base: str, encoding: str) -> str | Rejected:
    reference = href.partition("#")[0]
    if base and _PLAIN.fullmatch(reference) and "/." not in reference:
        return _bounded(folder(base) + reference)
    reference = reference.translate(_DROPPED)
    named = _SCHEME.match(reference)
    base_scheme = base.partition(":")[0]
    scheme = named[1].lower() if named else base_scheme
    if scheme not in _DEFAULT_PORTS:
        return Rejected.SCHEME if named else Rejected.RELATIVE
    rest = reference[named.end() :] if named else reference
    if "\0" in rest:
        return Rejected.NUL
    if len(rest) > MAX_LENGTH:
        return Rejected.LENGTH
    if scheme != base_scheme or _SLASHES.match(rest):
        return _with_authority(scheme, rest.lstrip("/\\"), encoding)
    if named and rest[:1] in "?":
        return (
            Rejected.HOST
        )  # `http:` alone; never the page itself, whose folder is all we may know
    return _relative(rest, base, encoding)


_resolve_in_folder = lru_cache(maxsize=16_384)(_resolve)


def _with_authority(scheme: str, rest: str, encoding: str) -> str | Rejected:
    end = _AUTHORITY_END.search(rest)
    assert end is not None  # the expression matches at the end of any text
    if end.start() > _MAX_AUTHORITY:
        return Rejected.HOST
    site = _site(scheme, rest[: end.start()])
    if isinstance(site, Rejected):
        return site
    target = _target(rest[end.start() :], encoding)
    return _bounded(site + _without_dots(target if target.startswith("/") else "/" + target))


def _relative(rest: str, base: str, encoding: str) -> str | Rejected:
    target = _target(rest, encoding)
    if not target:
        return base
    if target.startswith("?"):
        return _bounded(base.partition("?")[0] + target)
    path_start = base.index("/", 8)
    if not target.startswith("/"):
        target = folder(base)[path_start:] + target
    return _bounded(base[:path_start] + _without_dots(target))


def _target(text: str, encoding: str) -> str:
    """Write a path, absolute or relative, and its query in the characters of a URI."""
    path, mark, query = text.partition("?")
    return _percent_encode(path.replace("\\", "/") + mark + query, encoding)


def _percent_encode(text: str, encoding: str) -> str:
    if not _NOT_IN_URI.search(text):
        return text
    octets = text if text.isascii() else _encode(text, encoding).decode("latin-1")
    return _NOT_IN_URI.sub(lambda match: f"%{ord(match[0]):02X}", octets)


def _encode(text: str, encoding: str) -> bytes:
    for codec in (encoding, "utf-8"):
        try:
            return text.encode(codec, "surrogateescape")
        except (UnicodeError, LookupError):
            continue
    # Surrogates that stand for no byte can only come from a caller's own text.
    return text.encode("utf-8", "surrogatepass")


def _without_dots(target: str) -> str:
    """Remove dot segments from the path, those that climb above the root too (RFC 3986 §5.2.4)."""
    path, mark, query = target.partition("?")
    if not _DOT_SEGMENT.search(path):
        return target
    kept: list[str] = []
    dots = ""
    for segment in path.split("/")[1:]:
        dots = segment.lower().replace("%2e", ".") if len(segment) <= 6 else segment
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(segment)
    if dots in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept) + mark + query


@lru_cache(maxsize=4096)
def _site(scheme: str, authority: str) -> str | Rejected:
    """Give `scheme://host` with the port where it is not the default one."""
    server = authority.rpartition("@")[2]
    bracketed = _BRACKETED.fullmatch(server)
    if bracketed:
        name, port = _ipv6(bracketed[1]), bracketed[2] or ""
    else:
        written, _, port = server.partition(":")
        name = _host_name(written)
    if name is None:
        return Rejected.HOST
    number = _PORT.fullmatch(port or str(_DEFAULT_PORTS[scheme]))
    if number is None or not 1 <= int(number[1]) <= 65_535:
        return Rejected.PORT
    return _site_of(scheme, name, int(number[1]))


def _site_of(scheme: str, name: str, port: int) -> str:
    suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{name}{suffix}"


def _ipv6(bracketed: str) -> str | None:
    try:
        address = IPv6Address(bracketed[1:-1])
    except AddressValueError:
        return None
    return None if address.scope_id else f"[{address.compressed}]"


def _host_name(written: str) -> str | None:
    """Read a host name (RFC 952, with the underscores that are in use) or a dotted quad.

    Other spellings of IPv4 addresses (one number, octal, hexadecimal) are refused: their use is to
    slip past rules about addresses.
    """
    name = unquote(written)
    if len(name) > 254:
        return None
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except UnicodeError:
            return None
    name = name.lower()
    if len(name.rstrip(".")) > 253 or not _HOST_NAME.fullmatch(name):
        return None
    if _ENDS_IN_NUMBER.fullmatch(name) and not _DOTTED_QUAD.fullmatch(name):
        return None
    return name


def _bounded(url: str) -> str | Rejected:
    return url if len(url) <= MAX_LENGTH else Rejected.LENGTH
