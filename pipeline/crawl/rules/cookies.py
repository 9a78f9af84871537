"""Cookies of a host: taken from its answers, and sent back to it and to nobody else (RFC 6265).

For the stages, one jar for each host that is crawled. Other than in a browser, a `Domain` attribute
widens nothing: a cookie belongs to the host that set it. Pure: the time is passed in. Whatever a
host sends is bounded, and none of it can add a line to a request.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct, structs

from pipeline.model import canonical
from pipeline.model.url import split

MAX_COOKIES: Final = 50
"""Cookies kept of one host; the oldest go first."""

MAX_COOKIE_BYTES: Final = 4096
"""Bytes of name and value of one cookie; larger ones are not taken (RFC 6265 §6.1)."""

MAX_AGE_S: Final = 400 * 86_400
"""No cookie is kept longer, whatever it asks for (the limit of RFC 6265bis §5.5)."""

_MAX_PATH = 1024
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_AGE = re.compile(r"(-?)([0-9]+)")

# the cookie-date of RFC 6265 §5.1.1
_DATE_TOKEN = re.compile(r"[^\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


class Cookie(Struct, frozen=True, kw_only=True):
    """One cookie of one host.

    Attributes:
        host: as in normal URLs, without a port.
        value: characters U+0000 to U+00FF, each standing for the byte of its number.
        path: prefix of the paths that it is sent to.
        secure: it is sent over https only.
        expires: Unix time, None for a cookie of the session, which lives as long as the jar.

    """

    host: str
    name: str
    value: str
    path: str = "/"
    secure: bool = False
    expires: float | None = None

    def __repr__(self) -> str:
        """Show no value: it may be a key to an account."""
        return f"Cookie({self.host!r}, {self.name!r})"

    def matches(self, host: str, path: str, *, secure: bool) -> bool:
        """Tell whether it goes with a request (RFC 6265 §5.4, step 1)."""
        return self.host == host and (secure or not self.secure) and _covers(self.path, path)


class Jar:
    """The cookies of a host, or of several, kept apart. Thread-safe."""

    __slots__ = ("_cookies", "_lock")

    def __init__(self, cookies: Sequence[Cookie] = ()) -> None:
        self._cookies: tuple[Cookie, ...] = tuple(cookies)  # in the order in which they came
        self._lock = threading.Lock()

    @classmethod
    def load(cls, data: bytes | None) -> Jar:
        """Read what `dump` wrote; None, and what nobody can read, give an empty jar."""
        if not data:
            return cls()
        try:
            return cls([_loaded(each) for each in json.loads(data)["cookies"]])
        except (ValueError, TypeError, KeyError, RecursionError):
            return cls()

    def dump(self) -> bytes:
        """Write the cookies as one line of canonical JSON."""
        return canonical.line({"cookies": [structs.asdict(each) for each in self._cookies]})

    def take(self, fields: Sequence[tuple[bytes, bytes]], url: str, now: float) -> bool:
        """Take the cookies in the header fields of an answer from a normal URL.

        Args:
            fields: names and values, as `Head.fields` has them.
            url: what was asked for.
            now: Unix time.

        Returns:
            Whether the jar has changed.

        """
        lines = [value for name, value in fields if len(name) == 10 and name.lower() == _SET_COOKIE]
        if not lines:
            return False
        scheme, host, _, target = split(url)
        path = target.partition("?")[0]
        with self._lock:
            before = self._cookies
            for line in lines[: 2 * MAX_COOKIES]:
                cookie = _parse(line, host, path, now, secure=scheme == "https")
                if cookie is not None:
                    self._put(cookie, now, secure=scheme == "https")
            return self._cookies != before

    def header(self, url: str, now: float) -> str | None:
        """Give the value of the Cookie field for a normal URL, longest paths first; None if none.

        Its characters stand for bytes, as in `Cookie.value`.
        """
        cookies = self._cookies
        if not cookies:
            return None
        scheme, host, _, target = split(url)
        path, secure = target.partition("?")[0], scheme == "https"
        fit = [
            each
            for each in cookies
            if each.matches(host, path, secure=secure)
            and (each.expires is None or each.expires > now)
        ]
        fit.sort(key=lambda each: -len(each.path))
        return pairs(fit) if fit else None

    def _put(self, cookie: Cookie, now: float, *, secure: bool) -> None:
        """Add, replace or remove one cookie (RFC 6265 §5.3, step 11); a new one goes last."""
        key = (cookie.host, cookie.name, cookie.path)
        kept: list[Cookie] = []
        found = False
        for each in self._cookies:
            if each.expires is not None and each.expires <= now:
                continue
            if (each.host, each.name, each.path) != key:
                kept.append(each)
                continue
            found = True
            if each.secure and not secure:
                return  # what came over TLS is not changed by what came without
            if cookie.expires is None or cookie.expires > now:
                kept.append(cookie)
        if not found and (cookie.expires is None or cookie.expires > now):
            kept.append(cookie)
        own = [each for each in kept if each.host == cookie.host]
        if len(own) > MAX_COOKIES:
            kept.remove(own[0])
        self._cookies = tuple(kept)


_SET_COOKIE = b"set-cookie"


def pairs(cookies: Sequence[Cookie]) -> str:
    """Write cookies as a Cookie field has them (RFC 6265 §4.2.1)."""
    return "; ".join(f"{each.name}={each.value}" if each.name else each.value for each in cookies)


def is_cookie(name: str, value: str) -> bool:
    """Tell whether name and value may be sent: no control characters, no `;`, not too long."""
    text = f"{name}={value}"
    return (
        len(text) <= MAX_COOKIE_BYTES + 1
        and len(text) > 1
        and "=" not in name
        and ";" not in text
        and not _CONTROL.search(text)
        and all(ord(c) < 256 for c in text)
    )


def _parse(line: bytes, host: str, path: str, now: float, *, secure: bool) -> Cookie | None:
    """Read one Set-Cookie field (RFC 6265 §5.2, §5.3); None where it says nothing to be kept."""
    pair, *attributes = line[: 2 * MAX_COOKIE_BYTES].decode("latin-1").split(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    name, value = name.strip(" \t"), value.strip(" \t")
    if not is_cookie(name, value):
        return None
    cookie = Cookie(host=host, name=name, value=value, path=_folder(path))
    expires: float | None = None
    max_age: float | None = None
    for attribute in attributes:
        key, _, word = attribute.partition("=")
        key, word = key.strip(" \t").lower(), word.strip(" \t")
        if key == "expires" and (moment := _date(word)) is not None:
            expires = moment
        elif key == "max-age" and (seconds := _MAX_AGE.fullmatch(word)):
            max_age = now + min(int(seconds[2][:10]), MAX_AGE_S) if not seconds[1] else now
        elif key == "path":
            fits = word.startswith("/") and len(word) <= _MAX_PATH and not _CONTROL.search(word)
            cookie = structs.replace(cookie, path=word if fits else _folder(path))
        elif key == "secure":
            cookie = structs.replace(cookie, secure=True)
        elif key == "domain" and not _belongs(host, word):
            return None
    if max_age is not None:
        expires = max_age
    if expires is not None:
        cookie = structs.replace(cookie, expires=min(expires, now + MAX_AGE_S))
    return cookie if _keeps_its_prefix(cookie, secure=secure) else None


def _keeps_its_prefix(cookie: Cookie, *, secure: bool) -> bool:
    """Tell whether a cookie is as safe as its name says, and as its scheme permits (6265bis)."""
    if cookie.secure and not secure:
        return False
    name = cookie.name.lower()
    if name.startswith("__host-"):
        return cookie.secure and cookie.path == "/"
    return cookie.secure or not name.startswith("__secure-")


def _belongs(host: str, domain: str) -> bool:
    """Tell whether a host may set cookies for a domain (RFC 6265 §5.1.3)."""
    domain = domain.lower().removeprefix(".")
    return not domain or host == domain or host.endswith("." + domain)


def _folder(path: str) -> str:
    """Give the default path (RFC 6265 §5.1.4)."""
    end = path.rfind("/")
    return path[:end] if 0 < end <= _MAX_PATH else "/"


def _covers(prefix: str, path: str) -> bool:
    """Tell whether `path` lies under `prefix` (RFC 6265 §5.1.4)."""
    if not path.startswith(prefix):
        return False
    return len(path) == len(prefix) or prefix.endswith("/") or path[len(prefix)] == "/"


def _date(text: str) -> float | None:
    """Read a date as servers write them (RFC 6265 §5.1.1); None for what is none."""
    time: list[int] = []
    day = month = year = None
    for token in _DATE_TOKEN.findall(text[:200]):
        if not time and (match := _TIME.match(token)):
            time = [int(part) for part in match.groups()]
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = int(match[1])
    if not time or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    if year < 1601:
        return None
    try:
        return datetime(year, month, day, time[0], time[1], time[2], tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _loaded(item: dict[str, Any]) -> Cookie:
    cookie = Cookie(**item)
    texts = (cookie.host, cookie.name, cookie.value, cookie.path)
    if not all(isinstance(text, str) for text in texts) or not is_cookie(cookie.name, cookie.value):
        raise ValueError("no cookie")
    if cookie.expires is not None:
        cookie = structs.replace(cookie, expires=float(cookie.expires))
    return structs.replace(cookie, secure=bool(cookie.secure))
