"""Registrable domains: where one owner's names end, by the Public Suffix List.

For scopes of the type `domain`. The list comes with the `publicsuffixlist` package, is never
fetched, and is read only when the first domain is asked for, because that takes some 50 ms.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

_ADDRESS = re.compile(r"\[.*|[0-9.]+")


@lru_cache(maxsize=4096)
def registrable(host: str) -> str:
    """Give the part of a normal host name that was registered: `example.co.uk` of its `www`.

    A host that has none is given back: an address, `localhost`, or a public suffix itself.
    """
    if _ADDRESS.fullmatch(host):
        return host
    name = host.rstrip(".")
    return f"{_suffixes().privatesuffix(name) or name}{host[len(name) :]}"


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
