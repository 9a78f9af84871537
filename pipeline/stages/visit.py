"""What a visit to a target brought, and the WARC records that tell of it. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct, structs

from pipeline.archive.compose import Composer, Revisit, Trail
from pipeline.archive.member import Record
from pipeline.crawl.frontier.catalogue import Known
from pipeline.crawl.rules import politeness
from pipeline.model.exchange import Exchange
from pipeline.model.http import Head
from pipeline.model.records import Original
from pipeline.model.target import Change, Kind, Target, archived
from pipeline.stages.follow import Ways
from pipeline.stages.recall import is_chunked, validators

_RECORDS = 3  # of a capture: response, request, metadata
_GONE = frozenset({404, 410})


class Taken(Struct, frozen=True):
    """What crossed the wire once, how the crawl came there, and what it repeats."""

    exchange: Exchange
    trail: Trail
    revisit: Revisit | None = None


class Visit(Struct, frozen=True, kw_only=True):
    """What a visit brought.

    Attributes:
        kind: how the target is settled; None if it is to be tried again.
        taken: what crossed the wire, in order.
        absence: reason and detail, where the target has no capture.
        robots: status and body of the host's robots.txt, if that was the target.
        known: the capture before this one.

    """

    kind: Kind | None
    taken: Sequence[Taken] = ()
    absence: tuple[str, str] | None = None
    ways: Ways = Ways()
    robots: tuple[int, bytes] | None = None
    known: Known | None = None

    @property
    def last(self) -> Exchange | None:
        """The exchange that settled the visit."""
        return self.taken[-1].exchange if self.taken else None

    @property
    def head(self) -> Head | None:
        """The head of the last response."""
        return self.last.head if self.last else None

    @property
    def status(self) -> int | None:
        """HTTP status code of the last response."""
        return self.head.status if self.head else None

    @property
    def mime(self) -> str:
        """Media type that the last response names, in lower case."""
        named = self.head.get(b"content-type") if self.head else None
        return (named or b"").partition(b";")[0].strip().lower().decode("latin-1")[:100]

    @property
    def received(self) -> int:
        """Bytes received on the wire."""
        return sum(taken.exchange.response.size for taken in self.taken)

    @property
    def is_failure(self) -> bool | None:
        """Tell whether the host could not serve us; None where it was not asked."""
        return None if self.kind == "refused" else politeness.is_failure(self.status)

    @property
    def change(self) -> Change | None:
        """Compare the capture with the one before it."""
        if self.kind not in ("captured", "revisit") or self.last is None:
            return None
        known = self.known
        if known is None:
            return "new"
        if self.status == 304 or self.last.payload_digest == known.payload_digest:
            return "unchanged"
        was_there = 200 <= known.status < 300
        return "vanished" if was_there and self.status in _GONE else "changed"

    @property
    def sets_cookies(self) -> bool:
        """Tell whether a response asks to keep a cookie."""
        heads = (taken.exchange.head for taken in self.taken)
        return any(head is not None and head.get(b"set-cookie") is not None for head in heads)

    def retry_after(self, now: float) -> float | None:
        """Give the seconds for which an overloaded host wants to be left alone."""
        value = self.head.get(b"retry-after") if self.head else None
        return politeness.retry_after(value, now) if value else None

    def records(self, target: Target, composer: Composer, now: datetime) -> list[Record]:
        """Lay out the records of this visit; none if a later visit will tell the rest."""
        records = [
            record
            for taken in self.taken
            for record in composer.capture(taken.exchange, taken.trail, taken.revisit)
        ]
        if self.absence and self.kind:
            records += composer.absence(trail_of(target), now, self.kind, *self.absence)
        return records

    def entry(self, records: Sequence[Record], warc: str, starts: Sequence[int]) -> Known | None:
        """Give what the catalogue shall know, if the visit captured a whole response.

        Args:
            records: as `records` gave them.
            warc: NAME of the file that holds them.
            starts: where each of them begins in it.

        """
        if self.kind not in ("captured", "revisit"):
            return None
        exchange, revisit = self.taken[-1].exchange, self.taken[-1].revisit
        place = _RECORDS * (len(self.taken) - 1)
        head = exchange.head
        if head is None or exchange.truncated:
            return None
        etag, modified = validators(head)
        known = self.known
        if revisit is not None and known is not None and head.status == 304:
            return structs.replace(
                known, etag=etag or known.etag, modified=modified or known.modified
            )
        fields = dict(records[place].fields)
        here = Original(
            record_id=fields["WARC-Record-ID"].strip("<>"),
            url=exchange.url,
            date=fields["WARC-Date"],
            chunked=is_chunked(head),
        )
        return Known(
            url=exchange.url,
            original=revisit.original if revisit else here,
            payload_digest=exchange.payload_digest,
            status=head.status,
            etag=etag,
            modified=modified,
            # the catalogue knows where the original is
            warc="" if revisit else warc,
            offset=0 if revisit else starts[place],
        )

    def close(self) -> None:
        """Give back the temporary files of large responses."""
        for taken in self.taken:
            taken.exchange.response.close()


def trail_of(target: Target) -> Trail:
    """Tell how the crawl came to a target."""
    return Trail(url=target.url, via=target.via, hops=archived(target.hops))
