"""Patterns of URLs, as an operator writes them in a seed file.

`https://example.org/shop/*` is a URL in which `*` stands for any characters, or none; it must match
from end to end, and http and https are one. `re:[?&]page=[0-9]{3}` is a regular expression of
Python that must match somewhere. For the scope. Pure. Patterns with `*` take time in proportion to
the URL, whatever a page has put into it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from pipeline.model.url import Rejected, absolute

EXPRESSION: Final = "re:"
"""Begins a pattern that is a regular expression."""

_ANY_SCHEME = re.compile(r"(?:https?|\*|http\*)://", re.IGNORECASE)
_STARRED_HOST = re.compile(r"[^/?]*\*[^/?]*")
_STARS = re.compile(r"\*+")
_ESCAPED_UNRESERVED = re.compile(r"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|5[0-9AaFf]|7[0-9AaEe])")
_PRINTABLE = "".join(map(chr, range(33, 127)))


class PatternError(ValueError):
    """A pattern that cannot be used; the text says what was expected."""


class Patterns(Struct, frozen=True):
    """Some patterns, to be asked all at once.

    Attributes:
        written: as they stand in the seed file.
        starred: those with `*` in one expression; None if there are none.
        told_apart: the same with a group for each; it is much slower.
        names: what each group stands for.
        expressions: the regular expressions, each as it is written and compiled.

    """

    written: tuple[str, ...]
    starred: re.Pattern[str] | None
    told_apart: re.Pattern[str] | None
    names: tuple[str, ...]
    expressions: tuple[tuple[str, re.Pattern[str]], ...]

    @classmethod
    def of(cls, written: Sequence[str]) -> Patterns:
        """Read patterns.

        Raises:
            PatternError: one of them cannot be used.

        """
        names = tuple(each for each in written if not each.startswith(EXPRESSION))
        starred = [_with_stars(each) for each in names]
        return cls(
            written=tuple(written),
            starred=_any(starred),
            told_apart=_any([f"({each})" for each in starred]),
            names=names,
            expressions=tuple(
                (each, _expression(each)) for each in written if each.startswith(EXPRESSION)
            ),
        )

    def find(self, url: str) -> str | None:
        """Give a pattern that matches a normal URL, as it is written; None if none does."""
        if self.starred is not None and self.told_apart is not None:
            comparable = unescaped(url[url.index("/") :])
            if self.starred.match(comparable):
                match = self.told_apart.match(comparable)
                if match is not None and match.lastindex is not None:
                    return self.names[match.lastindex - 1]
        for name, expression in self.expressions:
            if expression.search(url):
                return name
        return None


def _any(expressions: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(expressions), re.DOTALL) if expressions else None


def unescaped(path: str) -> str:
    """Write the letters, digits and `-._~` of a path plainly, so that spellings can be compared.

    They are the same as their percent-encodings (RFC 3986 §6.2.2.2), and sites mix these freely.
    """
    if "%" not in path:
        return path
    return _ESCAPED_UNRESERVED.sub(lambda escaped: chr(int(escaped[0][1:], 16)), path)


def _expression(pattern: str) -> re.Pattern[str]:
    written = pattern.removeprefix(EXPRESSION)
    if not written:
        raise PatternError("a regular expression after re:")
    try:
        with warnings.catch_warnings(action="ignore"):
            return re.compile(written)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"a regular expression after re: ({error})") from None


def _with_stars(pattern: str) -> str:
    """Give the expression of a pattern with stars, for URLs without their scheme.

    What stands between two stars is sought once only, at its first place (`(?>…)`): to try the
    later ones too would find nothing more, and take for ever on a URL made for it.
    """
    first, *others = map(re.escape, _STARS.split(unescaped(_without_scheme(pattern))))
    if not others:
        return rf"{first}\Z"
    between = "".join(f"(?>.*?{part})" for part in others[:-1])
    return rf"{first}{between}.*{others[-1]}\Z"


def _without_scheme(pattern: str) -> str:
    """Spell a pattern as normal URLs are spelt, and leave the scheme out."""
    scheme = _ANY_SCHEME.match(pattern)
    if scheme is None:
        if not pattern.startswith("*"):
            raise PatternError(
                "a URL, also one that begins with *, or a regular expression after re:"
            )
        return quote(pattern, safe=_PRINTABLE)
    rest = pattern[scheme.end() :]
    starred = _STARRED_HOST.match(rest)
    host = starred[0] if starred else ""
    # a host with a star is no host: another one stands in for it while the rest is made normal
    url = absolute(f"http://h{rest[len(host) :]}" if host else f"http://{rest}")
    if isinstance(url, Rejected):
        raise PatternError(f"a URL in which * stands for any characters ({url.value})")
    rest = url.removeprefix("http:")
    return f"//{host.lower()}{rest.removeprefix('//h')}" if host else rest
