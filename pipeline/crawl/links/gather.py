"""What the scanners of this room bring together: a resource's outlinks, resolved, bounded, told.

For all scanners, so that there is one place where a reference becomes a URL, is taken once, and
where the limits lie. It knows nothing of file formats.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import Struct

from pipeline.model.url import Rejected, resolve

MAX_LINKS: Final = 100_000
"""Different references taken from one resource; what follows is left."""

MAX_CHARACTERS: Final = 16_000_000
"""Characters of all URLs taken from one resource: a long base makes each short reference long."""

_MAX_WRITTEN = 200
_BLANKS = "".join(map(chr, range(33)))


class Outlink(NamedTuple):
    """Where a resource leads: a normal URL, its hop letter (FORMAT.md §2), and where it stands."""

    url: str
    hop: str
    tag: str


class Misfit(NamedTuple):
    """A reference that is no URL to be asked for, its first 200 characters as written, and why."""

    written: str
    hop: str
    why: str


class Outlinks(Struct, frozen=True):
    """All that a resource leads to, in the order in which it stands there.

    Attributes:
        cut: more stood there than MAX_LINKS or MAX_CHARACTERS let pass, or than was looked at.

    """

    found: list[Outlink]
    misfits: list[Misfit]
    cut: bool


class Gathering:
    """The outlinks of the resource at the normal URL `url`, as far as they are known.

    A URL is taken once for each hop letter, where it comes first; the resource itself is left out.

    Attributes:
        full: nothing more is taken, so scanners may stop.

    """

    __slots__ = ("_found", "_misfits", "_room", "full", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self.full = False
        self._found: dict[tuple[str, str], Outlink] = {}
        self._misfits: dict[tuple[str, str], Misfit] = {}
        self._room = MAX_CHARACTERS

    def add(
        self, written: str, hop: str, tag: str, base: str | None = None, encoding: str = "utf-8"
    ) -> None:
        """Take what `written` means at `base`; see `resolve` for its form.

        Empty references and other schemes than http and https lead nowhere and are no misfits.
        """
        if hop == "E" and not written.strip(_BLANKS):
            return  # no browser asks for it
        target = resolve(written, base or self.url, encoding)
        if isinstance(target, Rejected):
            self._tell(written, hop, target)
        elif (target, hop) not in self._found and target != self.url and self._has_room(target):
            self._found[target, hop] = Outlink(target, hop, tag)

    def outlinks(self) -> Outlinks:
        """Give all that was taken."""
        return Outlinks(list(self._found.values()), list(self._misfits.values()), self.full)

    def _tell(self, written: str, hop: str, why: Rejected) -> None:
        if why is Rejected.SCHEME or not written.strip(_BLANKS):
            return
        begun = written.strip(_BLANKS)[:_MAX_WRITTEN]
        if (begun, hop) not in self._misfits and self._has_room(begun):
            self._misfits[begun, hop] = Misfit(begun, hop, why.value)

    def _has_room(self, text: str) -> bool:
        if self.full:
            return False
        self._room -= len(text)
        self.full = self._room < 0 or len(self._found) + len(self._misfits) >= MAX_LINKS
        return not self.full
