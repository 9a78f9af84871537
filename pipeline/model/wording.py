"""Numbers and foreign text, made fit for people to read on a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """Make text from the web harmless for a terminal: no controls, no changes of direction."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def size(count: int) -> str:
    """Write a number of bytes for people."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Lay out names and values in two columns."""
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)
