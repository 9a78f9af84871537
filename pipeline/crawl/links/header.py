"""References in the fields of a response's head: Link, Refresh, Location.

Bytes outside ASCII, which fields may not hold but do, are percent-encoded as they are. Pure,
linear, never raises.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.crawl.links.gather import Gathering
from pipeline.crawl.links.relation import hop_of
from pipeline.model.refresh import refresh_url
from pipeline.model.url import Rejected, resolve

# RFC 8288 §3
_PARAMETER = r"""[^\s,;="<]++ (?: \s*+=\s*+ (?: "(?:[^"\\]++|\\.)*+"?+ | [^\s,;"]*+ ) )?+"""
_LINK = re.compile(rf"< ([^<>]*+) > ((?: \s*+;\s*+ (?:{_PARAMETER})?+ )*+)", re.DOTALL | re.VERBOSE)
_RELATION = re.compile(
    r""";\s*+ (?: rel\s*+=\s*+ (?: "((?:[^"\\]++|\\.)*+) | ([^\s,;"]*+) )
    | [^\s,;="<]++ \s*+=\s*+ "(?:[^"\\]++|\\.)*+ )""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)


def scan(fields: Sequence[tuple[bytes, bytes]], gathering: Gathering) -> None:
    """Take what the fields Link (RFC 8288) and Refresh refer to."""
    for name, value in fields:
        if len(name) == 4 and name.lower() == b"link":
            _scan_link(_text(value), gathering)
        elif len(name) == 7 and name.lower() == b"refresh":
            written = refresh_url(_text(value))
            if written is not None:
                gathering.add(written, "R", "refresh header")


def redirect_target(location: bytes, url: str) -> str | None:
    """Give the normal URL that a Location header means (RFC 9110 §10.2.2), None if there is none.

    Bytes outside ASCII, which the header may not hold but does, are percent-encoded as they are.
    """
    target = resolve(_text(location), url)
    return None if isinstance(target, Rejected) else target


def _scan_link(value: str, gathering: Gathering) -> None:
    for written, parameters in _LINK.findall(value):
        # the first one counts (RFC 8288 §3.3); a quoted parameter is passed over as a whole
        relations = [quoted or bare for quoted, bare in _RELATION.findall(parameters)]
        hop = hop_of(next((relation for relation in relations if relation), None))
        if hop:
            gathering.add(written, hop, "link header")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
