"""The URL in a `<meta http-equiv=refresh>`: one reading for the crawl and for documents.

Pure: `content` is the attribute's value, character references already replaced.
"""

from __future__ import annotations

import re

_REFRESH = re.compile(
    r"""(?=[\s;,]*+(?:[\d.]|url)) \s*+[\d.]*+ \s*+[;,]?+ \s*+ (?:url\s*+=\s*+)?+
    (?: "([^"]*+) | '([^']*+) | (.++) )""",
    re.ASCII | re.DOTALL | re.IGNORECASE | re.VERBOSE,
)


def refresh_url(content: str) -> str | None:
    """Give the URL as it is written, None where the refresh names none (HTML §4.2.5.3).

    As in browsers, the seconds, the separator and `url=` may be missing, though not all of them:
    words alone are no refresh. What follows a closing quote is left out.
    """
    match = _REFRESH.match(content)
    return next((url for url in match.groups() if url is not None), None) if match else None
