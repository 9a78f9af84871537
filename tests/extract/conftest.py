"""Fixtures for extraction: sources from bytes, and a check that every document keeps its schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import pipeline.extract
from pipeline.extract.extractor import Skipped, extract
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.source import Source
from pipeline.model import canonical
from pipeline.model.document import Provenance

SCHEMA = json.loads(
    (Path(pipeline.extract.__path__[0]) / "document.schema.json").read_text("utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

# for make_cases, which is a script and no package
sys.path.insert(0, str(Path(__file__).parent))

Read = Callable[..., Any]


def source(payload: bytes, content_type: str | None = "text/html", **other: Any) -> Source:
    return Source(
        url="http://log.example/dir/page.html",
        collection="log",
        captured_at="2026-02-03T04:05:06Z",
        content_type=content_type,
        content_language=None,
        payload=payload,
        provenance=Provenance(
            warc="warc/log/a.warc.gz",
            offset=0,
            length=1,
            record_id="urn:uuid:00000000-0000-4000-8000-000000000001",
            payload_digest=None,
            block_digest=None,
        ),
        **other,
    )


@pytest.fixture
def make_source() -> Callable[..., Source]:
    return source


@pytest.fixture
def read() -> Read:
    """Extract a document, check its schema on the stored form, and give that form."""

    def _read(
        payload: bytes | str,
        content_type: str | None = "text/html",
        policy: ExtractPolicy | None = None,
        **other: Any,
    ) -> Any:
        if isinstance(payload, str):
            payload = payload.encode()
        made = extract(source(payload, content_type, **other), policy or ExtractPolicy())
        if isinstance(made, Skipped):
            return made.reason
        stored = json.loads(canonical.line(made.as_json()))
        VALIDATOR.validate(stored)
        return stored

    return _read
