"""What a link relation means for a crawl: `<link rel>` and the Link header alike (RFC 8288)."""

from __future__ import annotations

_EMBEDDING = frozenset(
    {
        "apple-touch-icon",
        "apple-touch-icon-precomposed",
        "apple-touch-startup-image",
        "fluid-icon",
        "icon",
        "image_src",
        "manifest",
        "mask-icon",
        "modulepreload",
        "preload",
        "stylesheet",
    }
)
_NO_RESOURCE = frozenset({"dns-prefetch", "preconnect"})


def hop_of(relation: str | None) -> str | None:
    """Give the hop letter for what a relation points at: E, L, or None for mere host names.

    `nofollow` changes nothing on purpose: it asks search engines not to reckon a link as praise.
    """
    kinds = (relation or "").lower().split()
    if not _EMBEDDING.isdisjoint(kinds):
        return "E"
    return None if kinds and _NO_RESOURCE.issuperset(kinds) else "L"
