"""What a host's robots.txt permits (RFC 9309), read by Protego.

For the crawl, which asks before each request. Pure: fetching robots.txt, following its redirects
and archiving it is the caller's part. Nothing a host sends makes this raise or take long.
"""

from __future__ import annotations

import re
from typing import Final

from protego import Protego

from pipeline.crawl.rules.scope import Decision

MAX_BYTES: Final = 500 * 1024
"""What follows is not read (RFC 9309 §2.5 asks for at least so much)."""

_PRODUCT = re.compile(r"[A-Za-z_-]+")
_USER_AGENT_LINE = re.compile(r"\s*user[\s-]*agent(?:\s*:|\s)\s*([^#]*)", re.IGNORECASE)

_ALLOWED = Decision(True, "robots: allowed by robots.txt")
_DISALLOWED = Decision(False, "robots: disallowed by robots.txt", "robots")
_NO_RULES = Decision(True, "robots: the host has no robots.txt")
_UNAVAILABLE = Decision(
    False, "robots: robots.txt could not be had, so the host is left alone", "robots-unavailable"
)


def product_token(user_agent: str) -> str:
    """Give the name by which a robots.txt addresses us: `Holdfast` of `Holdfast/1.0 (+…)`."""
    match = _PRODUCT.match(user_agent.strip())
    return match[0] if match else "Holdfast"


class Robots:
    """The rules of one host."""

    __slots__ = ("_rules", "_text", "_verdict")

    def __init__(self, verdict: Decision | None, text: str) -> None:
        self._verdict = verdict  # for every URL of the host; None if the rules in the text decide
        self._text = text
        self._rules: dict[str, Protego] = {}

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
        token = product_token(user_agent).lower()
        return _ALLOWED if self._rules_for(token).can_fetch(url, token) else _DISALLOWED

    def crawl_delay(self, user_agent: str) -> float | None:
        """Give the seconds between requests that the host asks for (no part of RFC 9309)."""
        token = product_token(user_agent).lower()
        delay = self._rules_for(token).crawl_delay(token)
        return None if delay is None else float(delay)

    def _rules_for(self, token: str) -> Protego:
        if token not in self._rules:
            self._rules[token] = Protego.parse(_address_to(token, self._text))
        return self._rules[token]


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
