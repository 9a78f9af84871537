"""Canonical JSON (FORMAT.md, common rules): one value, one spelling, so digests can be compared."""

from __future__ import annotations

import json
from typing import Any


def line(value: dict[str, Any]) -> bytes:
    """Write `value` as one canonical JSON line, LF included."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8") + b"\n"
