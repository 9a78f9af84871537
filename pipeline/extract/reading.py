"""What reading one payload gave, whatever its kind, before it becomes a document."""

from __future__ import annotations

from msgspec import Struct, field

from pipeline.extract.links import References
from pipeline.extract.metadata import Metadata
from pipeline.model.document import Anomaly, Charset, TextMethod


class Reading(Struct, frozen=True, kw_only=True):
    """Texts, statements and references of one payload."""

    method: TextMethod
    text: str = ""
    full: str = ""
    charset: Charset | None = None
    metadata: Metadata = field(default_factory=Metadata)
    references: References | None = None
    flags: tuple[str, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
