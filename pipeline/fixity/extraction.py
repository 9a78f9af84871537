"""What the ledger says of one file of documents: how it was made, and what was passed over.

For verification. An event comes from a file that anybody may have written; one that does not say
all of this in its right form says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pipeline.model import canonical
from pipeline.model.digest import sha256
from pipeline.model.document import Count, Extractor, Sha256


class Extraction(Struct, frozen=True, kw_only=True):
    """The detail of an `extraction` event (FORMAT.md §8).

    Attributes:
        documents: how many were sealed.
        skipped: captures of which none was made, by reason.
        damaged: places of the WARC file that could not be read.
        maker: what every one of the documents names as its extractor.

    """

    documents: int
    skipped: Mapping[str, int]
    damaged: int
    maker: Extractor


class _Detail(Struct, frozen=True):
    documents: Count
    skipped: dict[str, Count]
    damaged: Count
    config_digest: Sha256
    environment: dict[str, str]


def extraction_of(told: Any, agent: Any) -> Extraction | None:
    """Read `eventDetail` and `linkingAgent` of an event; None where they do not say all of this."""
    try:
        detail = msgspec.convert(told, _Detail)
        version = msgspec.convert(agent, dict[str, str])["version"]
        environment = sha256(canonical.line(detail.environment))
    except (ValueError, KeyError, RecursionError):
        return None
    return Extraction(
        documents=detail.documents,
        skipped=detail.skipped,
        damaged=detail.damaged,
        maker=Extractor(
            name="holdfast",
            version=version,
            config_digest=detail.config_digest,
            environment=environment,
        ),
    )
