"""What a host's robots.txt permits (RFC 9309), read by Protego.

For the crawl, which asks before each request. Pure: fetching robots.txt, following its redirects
and archiving it is the caller's part. Nothing a host sends makes this raise or take long.
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from protego import Protego

from pipeline.crawl.rules.decision import Decision

MAX_BYTES: Final = 500 * 1024
"""What follows is not read (RFC 9309 §2.5 asks for at least so much)."""

LONGEST_DELAY_S: Final = 86_400.0
"""A host that asks for more is taken to ask for a day."""

_DAY_S = 86_400.0
# a worker may go on so long with what it was given before it is told (LEASE_S of the frontier)
_NOTICE_S = 60.0
_TIME_FOR_A_PAGE_S = 3600.0

_PRODUCT = re.compile(r"[A-Za-z_-]+")
_USER_AGENT_LINE = re.compile(r"\s*user[\s-]*agent(?:\s*:|\s)\s*([^#]*)", re.IGNORECASE)

_ALLOWED = Decision(True, "robots: allowed by robots.txt")
_DISALLOWED = Decision(False, "robots: disallowed by robots.txt", "robots")
_NO_RULES = Decision(True, "robots: the host has no robots.txt")
_UNAVAILABLE = Decision(
    False, "robots: robots.txt could not be had, so the host is left alone", "robots-unavailable"
)


def good_until(answered_at: float, rest_s: float) -> float:
    """Give the moment from which the answer to a request for robots.txt is asked for again.

    That is a day later (RFC 9309 §2.4). Where the host then rests for a day, because it asks for
    that, it is an hour after the rest: else no page would ever come between the two.

    Args:
        answered_at: Unix time.
        rest_s: seconds for which the host rests after the answer.

    """
    return answered_at + max(_DAY_S - _NOTICE_S, rest_s + _TIME_FOR_A_PAGE_S)


def product_token(user_agent: str) -> str:
    """Give the name by which a robots.txt addresses us: `Holdfast` of `Holdfast/1.0 (+…)`."""
    match = _PRODUCT.match(user_agent.strip())
    return match[0] if match else "Holdfast"


class _Group(NamedTuple):
    """What a robots.txt says to one robot."""

    token: str
    rules: Protego
    crawl_delay: float | None


class Robots:
    """The rules of one host."""

    __slots__ = ("_groups", "_text", "_verdict")

    def __init__(self, verdict: Decision | None, text: str) -> None:
        self._verdict = verdict  # for every URL of the host; None if the rules in the text decide
        self._text = text
        self._groups: dict[str, _Group] = {}

    @property
    def is_unavailable(self) -> bool:
        """Tell whether the file could not be had, so that nothing may be asked for."""
        return self._verdict is _UNAVAILABLE

    @classmethod
    def parse(cls, status: int, body: bytes) -> Robots:
        """Read the answer to a request for robots.txt; status 0 is no answer at all.

        2xx gives rules. 4xx, and redirects that led nowhere, give leave to ask for anything
        (§2.3.1.3, §2.3.1.2). All else forbids everything (§2.3.1.4).
        """
        if not 200 <= status < 300:
            return cls(_NO_RULES if 300 <= status < 500 else _UNAVAILABLE, "")
        if len(body) > MAX_BYTES:
            # a rule that is cut short would say something else
            body = body[:MAX_BYTES].rpartition(b"\n")[0]
        return cls(None, body.decode("utf-8-sig", "replace"))

    def decide(self, url: str, user_agent: str) -> Decision:
        """Tell whether the normal URL `url` of this host may be asked for."""
        if self._verdict is not None:
            return self._verdict
        group = self._group(user_agent)
        return _ALLOWED if group.rules.can_fetch(url, group.token) else _DISALLOWED

    def crawl_delay(self, user_agent: str) -> float | None:
        """Give the seconds between requests that the host asks for (no part of RFC 9309).

        None where it asks for nothing, or for what is no number of seconds; at most a day.
        """
        return None if self._verdict is not None else self._group(user_agent).crawl_delay

    def _group(self, user_agent: str) -> _Group:
        """Read the rules for a robot when it first asks; both questions come with every request."""
        group = self._groups.get(user_agent)
        if group is None:
            token = product_token(user_agent).lower()
            rules = Protego.parse(_address_to(token, self._text))
            group = _Group(token, rules, _bounded(rules.crawl_delay(token)))
            self._groups[user_agent] = group
        return group


def _bounded(delay: float | None) -> float | None:
    if delay is None or math.isnan(delay) or delay < 0:
        return None
    return min(float(delay), LONGEST_DELAY_S)


def _address_to(token: str, text: str) -> str:
    """Leave of all names in `user-agent` lines only `token`, `*`, and one that stands for the rest.

    Our name then counts only where it is the whole product token (§2.2.1), and a file that gives
    ten thousand rules to ten thousand robots costs no more than one for a single robot.
    """
    lines = []
    for line in text.splitlines():
        match = _USER_AGENT_LINE.match(line)
        if match is None:
            lines.append(line)
            continue
        product = _PRODUCT.match(match[1])
        ours = product is not None and product[0].lower() == token
        name = token if ours else "*" if match[1].startswith("*") else "!"
        lines.append(f"User-agent: {name}")
    return "\n".join(lines)
