"""The header fields of one record: which must be there, which must not, and how values are spelt.

For the validator. Which fields a record has decides most rules, and a file has few combinations:
each is judged once. Of the values, those that come again and again are judged once, too. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import Final, NamedTuple

Broken = tuple[str, str]
"""A rule (docs/findings.md) that is broken, and how."""

TYPES: Final = (
    "warcinfo",
    "response",
    "resource",
    "request",
    "metadata",
    "revisit",
    "conversion",
    "continuation",
)
IDENTICAL: Final = "identical-payload-digest"

_NAMES_ITS_TARGET = ("response", "resource", "request", "revisit", "conversion", "continuation")
# WARC 1.1 §5: who may have a field that not everybody may have
_ONLY_ON: Final = {
    "warc-concurrent-to": ("request", "response", "resource", "metadata", "revisit"),
    "warc-ip-address": ("response", "resource", "request", "metadata", "revisit"),
    "warc-refers-to": ("metadata", "revisit", "conversion"),
    "warc-refers-to-target-uri": ("metadata", "revisit", "conversion"),
    "warc-refers-to-date": ("metadata", "revisit", "conversion"),
    "warc-warcinfo-id": TYPES[1:],
    "warc-filename": ("warcinfo",),
    "warc-segment-origin-id": ("continuation",),
    "warc-segment-total-length": ("continuation",),
}
_REQUIRED: Final = {
    "revisit": ("warc-profile",),
    "continuation": ("warc-segment-number", "warc-segment-origin-id"),
}
_REVISIT = ("warc-refers-to-target-uri", "warc-refers-to-date")
_TRUNCATED = ("length", "time", "disconnect", "unspecified")
_PROFILE = re.compile(
    rf"http://netpreserve\.org/warc/1\.[01]/revisit/({IDENTICAL}|server-not-modified)"
)
# the characters of RFC 3986 §2; what URLs of the web hold besides them is not told apart
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\[\]_a-z~]*")
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}\s*(;.*)?")
_MESSAGE = re.compile(r"application/http\s*;\s*msgtype\s*=\s*\"?(request|response)\"?", re.I)
_SUITE = re.compile(r"TLS_[A-Z0-9_]+")
_PROTOCOL = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/:-]+")
# sha1 in Base32, all else in lower-case hex (WARC 1.1 annotated, §5.8)
_DIGEST = re.compile(r"sha1:[A-Z2-7]{32}|(?:md5|sha224|sha256|sha384|sha512):[0-9a-f]+")
_SHA256 = len("sha256:") + 64
_CAPITALS = ("warc", "id", "uri", "ip")
_REMEMBERED = 4096


class _Value(NamedTuple):
    """A field whose value is judged, and the values that have been found right."""

    name: str
    judge: Callable[[str], Broken | None]
    right: set[str]


class Shape(NamedTuple):
    """What follows from a record's type and the names of its fields."""

    broken: tuple[Broken, ...]
    values: tuple[_Value, ...]


class Shapes:
    """The combinations of fields met so far."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Shape] = {}

    def of(self, kind: str, names: Iterable[str]) -> Shape:
        """Give the shape of a record of type `kind` that has fields `names`."""
        key = (kind, *names)
        known = self._known.get(key)
        if known is None:
            there = frozenset(key[1:])
            known = Shape(tuple(_presence(kind, there)), _values(kind, there))
            # a hostile file has as many combinations as records
            if len(self._known) < _REMEMBERED:
                self._known[key] = known
        return known


def broken_value(
    value: str, judge: Callable[[str], Broken | None], right: set[str]
) -> Broken | None:
    """Judge a value that is not known to be right, and remember it if it is."""
    broken = judge(value)
    if broken is None and len(right) < _REMEMBERED:
        right.add(value)
    return broken


def is_uri(value: str) -> bool:
    """Tell whether a target is spelt as RFC 3986 §2 and §3.1 have it."""
    return _URI.fullmatch(value) is not None


def is_usual_digest(stated: str) -> bool:
    """Tell whether a digest has the label and the spelling that readers agree on."""
    if len(stated) == _SHA256 and stated.startswith("sha256:") and stated.islower():
        return True
    return _DIGEST.fullmatch(stated) is not None


def profile(value: str | None) -> str:
    """Give the last part of a revisit profile that WARC knows (§6.7); else nothing."""
    known = _PROFILE.fullmatch(value or "")
    return known[1] if known else ""


def spelt(name: str) -> str:
    """Write a field's name as the standard does."""
    return "-".join(each.upper() if each in _CAPITALS else each.title() for each in name.split("-"))


def _presence(kind: str, there: frozenset[str]) -> Iterator[Broken]:
    for name in ("warc-type", "warc-record-id", "warc-date", *_REQUIRED.get(kind, ())):
        if name not in there:
            yield "E201", spelt(name)
    if kind and kind not in TYPES:
        yield "W224", kind
        return
    yield from _misplaced(kind, there)
    if kind != "warcinfo" and "warc-warcinfo-id" not in there:
        yield "W202", ""
    if kind == "revisit" and (missing := [name for name in _REVISIT if name not in there]):
        yield "W206", ", ".join(map(spelt, missing))
    if kind == "continuation" or "warc-segment-number" in there:
        yield "W225", ""


def _misplaced(kind: str, there: frozenset[str]) -> Iterator[Broken]:
    if kind in _NAMES_ITS_TARGET and "warc-target-uri" not in there:
        yield "E206", f"a {kind} record must name what it is of"
    if kind == "warcinfo" and "warc-target-uri" in there:
        yield "E206", "a warcinfo record is of no URI"
    for name, kinds in _ONLY_ON.items():
        if kind and name in there and kind not in kinds:
            yield "E210", f"{spelt(name)} on a {kind} record"
    if kind in ("warcinfo", "metadata") and "warc-payload-digest" in there:
        yield "W304", f"on a {kind} record"


def _values(kind: str, there: frozenset[str]) -> tuple[_Value, ...]:
    judges = dict(_JUDGES)
    message = {"request": "request", "response": "response", "revisit": "response"}.get(kind)
    if message:
        judges["content-type"] = lambda value: _message(value, message)
    if kind == "continuation":
        judges["warc-segment-number"] = lambda value: _segment(value, first=False)
    return tuple(_Value(name, judge, set()) for name, judge in judges.items() if name in there)


def _message(value: str, wanted: str) -> Broken | None:
    if not value.lower().startswith("application/http"):
        return _media_type(value, "W214")
    found = _MESSAGE.match(value)
    return None if found and found[1].lower() == wanted else ("W214", value)


def _media_type(value: str, code: str) -> Broken | None:
    return None if _MEDIA_TYPE.fullmatch(value) else (code, value)


def _address(value: str) -> Broken | None:
    try:
        usual = str(ip_address(value))
    except ValueError:
        return "W213", f"{value!r} is no numeric address"
    # an IPv4 address inside an IPv6 address may stand in dots (RFC 5952 §5)
    is_usual = usual == value or ("." in value and value.islower())
    return None if is_usual else ("W213", f"{value} is written {usual}")


def _segment(value: str, *, first: bool) -> Broken | None:
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    fits = number == 1 if first else number > 1
    return None if fits else ("E211", value)


def _protocol(value: str) -> Broken | None:
    return None if _PROTOCOL.fullmatch(value) else ("W221", value)


_JUDGES: Final[dict[str, Callable[[str], Broken | None]]] = {
    "warc-ip-address": _address,
    "warc-protocol": _protocol,
    "warc-profile": lambda value: None if profile(value) else ("W216", value),
    "warc-truncated": lambda value: None if value in _TRUNCATED else ("W210", value),
    "warc-cipher-suite": lambda value: None if _SUITE.fullmatch(value) else ("W222", value),
    "warc-identified-payload-type": lambda value: _media_type(value, "W223"),
    "warc-segment-number": lambda value: _segment(value, first=True),
}


def judge_repeated(name: str, value: str) -> Broken | None:
    """Judge the value of a field that may come again, and did."""
    judge = _JUDGES.get(name)
    return judge(value) if judge else None
