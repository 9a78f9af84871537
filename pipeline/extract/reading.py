"""What reading one payload gave, whatever its kind, before it becomes a document."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.extract.links import References
from pipeline.extract.metadata import Metadata
from pipeline.model.document import Anomaly, Charset, TextMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Texts, statements and references of one payload."""

    method: TextMethod
    text: str = ""
    full: str = ""
    charset: Charset | None = None
    metadata: Metadata = field(default_factory=Metadata)
    references: References | None = None
    flags: tuple[str, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
