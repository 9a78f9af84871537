"""The answer of a rule: whether a URL may be asked for, and why. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

SOURCE: Final = "source: no seed is listed"
"""How the rule begins by which a source of seeds is told that lists none; then comes why."""


class Decision(Struct, frozen=True):
    """Whether a URL may be asked for, and why.

    Attributes:
        rule: the rule that decided, as a short sentence that is always the same.
        reason: code of a refusal as in FORMAT.md §2; empty where it is accepted.

    """

    accepted: bool
    rule: str
    reason: str = ""
