"""The key under which a URL counts as seen: itself, without what only names the visit.

Sites without cookies hand each visitor a number and write it into every link, so that each visit
finds the whole site anew. The number is left out of the key; what is asked for stays as written.
For the crawl. Pure; a key of a key is the key itself.
"""

from __future__ import annotations

import re

# name and value: names that mean nothing else with any value, others where the value is a digest
_SESSION = (
    r"(?:(?:phpsessid|jsessionid|aspsessionid[a-z]*|cfid|cftoken|oscsid|zenid|xtcsid|"
    r"asp\.net_sessionid)=[^&;]*"
    r"|(?:s|sid|sessid|session|session_?id)=[0-9a-f]{32,})"
)
_SESSION_PARAMETER = re.compile(_SESSION, re.IGNORECASE)
_MAY_HOLD_SESSION = re.compile(r"[?&;]" + _SESSION, re.IGNORECASE)
_SESSION_IN_PATH = re.compile(
    r";(?:jsessionid|phpsessid)=[^/?;]*|/\(S\([0-9a-z]{24}\)\)(?=/)", re.IGNORECASE
)
_SEPARATOR = re.compile(r"([&;])")


def without_session(url: str, ignored: frozenset[str]) -> str:
    """Leave session ids out of a normal URL, and the query parameters named in `ignored`."""
    if "?" not in url and ";" not in url and "(S(" not in url:
        return url
    path, mark, query = url.partition("?")
    if ";" in path or "(" in path:
        path = _SESSION_IN_PATH.sub("", path)
    if mark and (ignored or _MAY_HOLD_SESSION.search(mark + query)):
        kept = _kept(query, ignored)
        mark, query = ("?", kept) if kept or not query else ("", "")
    return path + mark + query


def _kept(query: str, ignored: frozenset[str]) -> str:
    """Give the parameters that stay, with the separators before them."""
    first, *others = _SEPARATOR.split(query)
    kept = [] if _is_left_out(first, ignored) else [first]
    for separator, parameter in zip(others[::2], others[1::2], strict=True):
        if not _is_left_out(parameter, ignored):
            kept.append(separator + parameter if kept else parameter)
    return "".join(kept)


def _is_left_out(parameter: str, ignored: frozenset[str]) -> bool:
    return (
        parameter.partition("=")[0] in ignored
        or _SESSION_PARAMETER.fullmatch(parameter) is not None
    )
