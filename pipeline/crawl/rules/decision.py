"""The answer of a rule: whether a URL may be asked for, and why. Pure."""

from __future__ import annotations

from msgspec import Struct


class Decision(Struct, frozen=True):
    """Whether a URL may be asked for, and why.

    Attributes:
        rule: the rule that decided, as a short sentence that is always the same.
        reason: code of a refusal as in FORMAT.md §2; empty where it is accepted.

    """

    accepted: bool
    rule: str
    reason: str = ""
